"""Records that hardly anybody means to send: broken ones made of good ones, and what no codec should have to see."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator

import msgpack
import numpy as np
import orjson

WORDS = ("red", "green", "blue", "cat", "dog", "bird", "sea", "sky", "stone", "sun", "moon", "king", "queen", "pawn")
CLAIM = 50 * 1024 * 1024  # bytes or elements that a header promises
Pair = tuple[bytes | None, bytes | None]


class Fuzz:
    """An endless stream of records from one seed.

    Args:
        dimension: of the embeddings that are right.
        ids: how many different ids there are; keys repeat all the time.
    """

    def __init__(self, seed: int, dimension: int, ids: int = 5000) -> None:
        self._chosen = random.Random(seed)
        self._dimension = dimension
        self._ids = ids
        self._kinds: list[Callable[[], bytes | None]] = [
            self._text,
            self._packed_text,
            self._embedded,
            self._listed,
            self._mutated,
            self._mutated,
            self._mutated,
            self._cut,
            self._noise,
            self._nested,
            self._not_finite,
            self._wrong_size,
            self._bad_text,
            self._control_characters,
            self._claim,
            self._odd_types,
            self._twice,
            self._tombstone,
            self._not_an_object,
        ]

    def records(self, count: int) -> Iterator[Pair]:
        """Key and value; a record may lack either, or both."""
        for _ in range(count):
            value = self._chosen.choice(self._kinds)()
            yield self._key(), value

    def _key(self) -> bytes | None:
        kind = self._chosen.randrange(20)
        if kind == 0:
            return None
        if kind == 1:
            return self._chosen.randbytes(self._chosen.randrange(12))
        return b"d%d" % self._chosen.randrange(self._ids)

    def _id(self) -> str:
        return f"d{self._chosen.randrange(self._ids)}"

    def _words(self) -> str:
        return " ".join(self._chosen.choices(WORDS, k=self._chosen.randrange(1, 20)))

    def _vector(self) -> np.ndarray:
        return np.frombuffer(self._chosen.randbytes(self._dimension), np.int8).astype("<f4") + np.float32(0.5)

    def _good(self) -> bytes:
        return self._chosen.choice([self._text, self._packed_text, self._embedded, self._listed])()

    def _text(self) -> bytes:
        fields = {"id": self._id(), "text": self._words(), "meta": {"n": self._chosen.randrange(9)}}
        if self._chosen.random() < 0.3:
            fields |= {"tokens": self._chosen.randrange(99), "timestamp": "2024-05-06T07:08:09Z"}
        return orjson.dumps(fields)

    def _packed_text(self) -> bytes:
        return bytes(msgpack.packb({"text": self._words(), "a": [1, None, {"b": 2.5}]}))

    def _embedded(self) -> bytes:
        return bytes(msgpack.packb({"id": self._id(), "embedding": self._vector().tobytes(), "text": self._words()}))

    def _listed(self) -> bytes:
        return orjson.dumps({"embedding": self._vector().tolist(), "text": self._words()})

    def _mutated(self) -> bytes:
        """A good record of which some bytes are others, missing, or doubled."""
        value = bytearray(self._good())
        for _ in range(self._chosen.randrange(1, 5)):
            at = self._chosen.randrange(len(value) + 1)
            kind = self._chosen.randrange(3)
            if kind == 0 and at < len(value):
                value[at] = self._chosen.randrange(256)
            elif kind == 1:
                del value[at : at + self._chosen.randrange(1, 9)]
            else:
                value[at:at] = value[at : at + 4] or self._chosen.randbytes(3)
        return bytes(value)

    def _cut(self) -> bytes:
        value = self._good()
        return value[: self._chosen.randrange(len(value) + 1)]

    def _noise(self) -> bytes:
        return self._chosen.randbytes(self._chosen.randrange(200))

    def _nested(self) -> bytes:
        depth = self._chosen.choice([10, 100, 1000, 20_000])
        kind = self._chosen.randrange(4)
        if kind == 0:
            return b'{"a":' * depth + b"1" + b"}" * depth
        if kind == 1:
            return b'{"text":"red","meta":' + b"[" * depth + b"]" * depth + b"}"
        if kind == 2:
            return b"\x81\xa1a" * depth + b"\x01"
        return b"\x82\xa4text\xa3red\xa4meta" + b"\x91" * depth + b"\x01"

    def _not_finite(self) -> bytes:
        kind = self._chosen.randrange(4)
        vector = self._vector()
        vector[self._chosen.randrange(self._dimension)] = self._chosen.choice([np.nan, np.inf, -np.inf])
        if kind == 0:
            return bytes(msgpack.packb({"embedding": vector.tobytes()}))
        if kind == 1:
            return bytes(msgpack.packb({"embedding": vector.tolist(), "text": "red"}))
        if kind == 2:
            return b'{"embedding": [NaN, 1, 2], "text": "red"}'
        return orjson.dumps({"embedding": [1e999 if self._chosen.random() < 0.5 else 1e300] * self._dimension})

    def _wrong_size(self) -> bytes:
        size = self._chosen.choice([0, 1, 3, self._dimension - 1, self._dimension + 1, 4 * self._dimension])
        if self._chosen.random() < 0.5:
            return orjson.dumps({"embedding": [0.5] * size, "text": self._words()})
        return bytes(msgpack.packb({"embedding": self._chosen.randbytes(size), "text": self._words()}))

    def _bad_text(self) -> bytes:
        kind = self._chosen.randrange(3)
        if kind == 0:
            return b'{"text": "' + self._chosen.choice([b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88"]) + b'"}'
        if kind == 1:
            return b'{"text": "\\ud800 red"}'
        return b"\x81\xa4text\xa4" + self._chosen.randbytes(4)

    def _control_characters(self) -> bytes:
        text = "".join(map(chr, self._chosen.choices([*range(32), 0x7F, 0x85, 0x200B, 0x202E, 0xFEFF, 0xFFFF], k=6)))
        kind = self._chosen.randrange(3)
        if kind == 0:
            return orjson.dumps({"id": f"{text}{self._id()}", "text": f"red {text} cat"})
        if kind == 1:
            return orjson.dumps({"text": text})
        return b'{"text": "red \x01\x00 cat"}'

    def _claim(self) -> bytes:
        """A length that is not there: of a string, of bytes, of a list, of a map."""
        head = self._chosen.choice([b"\xdb", b"\xc6", b"\xdd", b"\xdf", b"\xc9"]) + struct.pack(">I", CLAIM)
        inside = self._chosen.choice([b"\x81\xa4text", b"\x81\xa9embedding", b"\x82\xa4text\xa3red\xa4meta", b""])
        return inside + head + self._chosen.randbytes(self._chosen.randrange(40))

    def _odd_types(self) -> bytes:
        odd = self._chosen.choice([None, True, -1, 2**63, 1e308, [], {}, "", " ", "x" * 3000, [[1]], {"a": "b"}])
        field = self._chosen.choice(["id", "text", "embedding", "tokens", "timestamp", "meta", "deleted"])
        fields = {"id": self._id(), "text": self._words(), field: odd}
        if self._chosen.random() < 0.5:
            return orjson.dumps(fields)
        return bytes(msgpack.packb(fields))

    def _twice(self) -> bytes:
        """A map that names a key twice."""
        if self._chosen.random() < 0.5:
            return b'{"text": "red", "text": 5, "id": "d1", "id": "d2"}'
        return b"\x83\xa4text\xa3red\xa4text\xa3sun\xa2id\x07"

    def _not_an_object(self) -> bytes:
        value = self._chosen.choice([None, True, 5, -1.5, "red", [], ["red"], [{"text": "red"}]])
        return orjson.dumps(value) if self._chosen.random() < 0.5 else bytes(msgpack.packb(value))

    def _tombstone(self) -> bytes | None:
        return None if self._chosen.random() < 0.5 else orjson.dumps({"id": self._id(), "deleted": True})
