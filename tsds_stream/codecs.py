"""The wire form of documents and targets: bytes in, `Document` or `Target` out, or a `RecordError` that says why not.

A value is a JSON object or a msgpack map, told apart by the first byte unless the format is fixed. A document has:

    id         string or integer; falls back to the record key, then to blake2b-128 (hex) of the UTF-8 text, or of the
               little-endian float32 embedding where there is no text
    text       string with something in it besides white space
    embedding  list of numbers, or in msgpack raw little-endian float32 or float16 (told apart by the dimension)
    tokens     whole number; falls back to `count_tokens(text)`
    timestamp  whole milliseconds since 1970 (negative: before), or an ISO 8601 string (without a zone: UTC)
    meta       free; one that is no object is kept as {"meta": …}
    deleted    true: retract this id; text and the rest are then not looked at

Other top-level fields are kept in `meta`, where `meta` itself wins: nothing that a corpus says of a document is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, Final, Literal

import msgpack
import numpy as np
import orjson
from numpy.typing import NDArray

from tsds_stream.fields import (
    MAX_DIMENSION,
    MAX_ID_BYTES,
    MAX_TOKENS,
    TIMESTAMP_LIMIT,
    RecordError,
    content_id,
    count_tokens,
    milliseconds,
    out_of_range,
    plain_meta,
    record_id,
    shown,
    unusable,
    usable_text,
)
from tsds_stream.records import Document, Json, Target

__all__ = ["Decoder", "Format", "Needs", "RecordError", "content_id", "count_tokens"]

Format = Literal["auto", "json", "msgpack"]
Needs = Literal["either", "text", "embedding"]
HOUR: Final = 3_600_000
_MSGPACK_MAPS: Final = frozenset([*range(0x80, 0x90), 0xDE, 0xDF])
_BOM: Final = b"\xef\xbb\xbf"
_MISSING: Final = "id"  # stands in for an id that is computed from an embedding that is still bytes


class Decoder:
    """Decodes the values of one stream.

    Args:
        dimension: of the embeddings that are accepted; None: any, and raw bytes are read as float32.
        needs: what a record must bring: a text (to be embedded here), an embedding, or either of them.
        max_future: milliseconds that a timestamp may lie ahead of `clock`.
        clock: milliseconds since 1970; None: timestamps are not held against a clock.
        count: tokens of a text, where the record does not say.
        format: of the values; "auto" looks at the first byte.
    """

    def __init__(
        self,
        *,
        dimension: int | None = None,
        needs: Needs = "either",
        max_future: int = HOUR,
        clock: Callable[[], int] | None = None,
        count: Callable[[str], int] = count_tokens,
        format: Format = "auto",
    ) -> None:
        self.dimension = dimension
        self.needs: Needs = needs
        self.max_future = max_future
        self.clock = clock
        self.count = count
        self.format: Format = format

    def document(
        self, value: bytes | None, key: bytes | None = None, timestamp: int | None = None, source: Json | None = None
    ) -> Document:
        """The document of one value; see `documents`. Raises `RecordError` and nothing else, whatever it is."""
        documents, errors = self.documents([value], [key], [timestamp], [{} if source is None else source])
        if errors:
            raise errors[0][1]
        return documents[0]

    def documents(
        self,
        values: Sequence[bytes | Json | None],
        keys: Sequence[bytes | None] | None = None,
        timestamps: Sequence[int | None] | None = None,
        sources: Sequence[Json] | None = None,
    ) -> tuple[list[Document], list[tuple[int, RecordError]]]:
        """Decode many values at once.

        Args:
            values: bytes, or fields that are decoded already (they are taken apart), or None: a retraction of the key.
            keys: record keys; a document without id is named by its key.
            timestamps: milliseconds, for documents that bring none (the broker's).
            sources: where each value was read; becomes `Document.source`.

        Returns:
            The documents, in order, and (position in the call, error) of the values that are none. Embeddings that came
            as bytes are read-only rows of one matrix per call.
        """
        latest = TIMESTAMP_LIMIT if self.clock is None else self.clock() + self.max_future
        loads, packed, build = orjson.loads, self.format == "msgpack", self._document
        documents: list[Document] = []
        errors: list[tuple[int, RecordError]] = []
        raw: list[_Raw] = []
        plain = self.needs != "embedding"
        add, count = documents.append, self.count
        for i, value in enumerate(values):
            try:
                fields = None
                if value.__class__ is bytes and value[:1] == b"{" and not packed:
                    try:
                        fields = loads(value)
                    except orjson.JSONDecodeError:
                        fields = None  # `_fields` says what is wrong with it
                if fields is None:
                    fields = self._fields(value)
                identifier, text = fields.pop("id", None), fields.pop("text", None)
                timestamp = timestamps[i] if timestamps is not None else None
                source = sources[i] if sources is not None else {}
                if (
                    not fields
                    and plain
                    and timestamp is None
                    and identifier.__class__ is str
                    and text.__class__ is str
                    and 0 < len(identifier) <= MAX_ID_BYTES
                    and identifier.isascii()
                    and text
                    and not text.isspace()
                ):  # what most records are: nothing else to look at
                    add(Document(identifier, text, None, count(text), None, {}, source, False))
                    continue
                key = keys[i] if keys is not None else None
                add(build(identifier, text, fields, key, timestamp, latest, source, raw, len(documents), i))
            except RecordError as error:
                # As it was raised, it would keep this frame, the frame this list, and the list the error.
                errors.append((i, RecordError(error.reason, error.detail)))
        if raw:
            bad = self._settle(documents, raw)
            if bad:
                errors = sorted(errors + list(bad.values()), key=lambda pair: pair[0])
                documents = [document for place, document in enumerate(documents) if place not in bad]
        return documents, errors

    def target(self, value: bytes | Json | None, key: str | None = None) -> Target:
        """The target example of one value; `key` is its id where the value brings none; None withdraws `key`.

        Unknown fields are ignored. Raises `RecordError`.
        """
        fields = self._fields(value)
        if _retracts(fields.get("deleted")):
            identifier = record_id(fields.get("id"), None) or record_id(key, None)
            if identifier is None:
                raise RecordError("id", "a withdrawal names no id")
            return Target(identifier, deleted=True)
        text = usable_text(fields.get("text"))
        data = fields.get("embedding")
        embedding = None if data is None else self._vector(data)
        self._check_needs(text, embedding is not None)
        weight, group = fields.get("weight"), fields.get("group")
        weight = 1.0 if weight is None else weight
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not (weight > 0 and isfinite(weight)):
            raise RecordError("weight", f"weight must be a positive number, not {shown(weight)}")
        if group is not None and not isinstance(group, str):
            raise RecordError("group", f"group must be a string, not {shown(group)}")
        identifier = record_id(fields.get("id"), None) or record_id(key, None)
        if identifier is None:
            identifier = content_id(text if text is not None else embedding)  # type: ignore[arg-type]
        return Target(identifier, text, embedding, float(weight), group)

    def _fields(self, value: bytes | Json | None) -> Json:
        """The map that a value holds, or the reason why it holds none."""
        if value is None:
            return {"deleted": True}
        if isinstance(value, dict):
            return value
        if not value:
            raise RecordError("decode", "the value is empty")
        packed = self.format == "msgpack" or (self.format == "auto" and value[0] in _MSGPACK_MAPS)
        fields = _unpack(value) if packed else _parse(value.removeprefix(_BOM).strip(b" \t\r\n"))
        if not isinstance(fields, dict):
            raise RecordError("not_an_object", f"the value is {shown(fields)}; expected an object with a text")
        return fields

    def _document(
        self,
        identifier: Any,
        text: Any,
        fields: Json,
        key: bytes | None,
        timestamp: int | None,
        latest: int,
        source: Json,
        raw: list[_Raw],
        place: int,
        position: int,
    ) -> Document:
        pop = fields.pop
        if identifier.__class__ is not str or not 0 < len(identifier) <= 64 or not identifier.isascii():
            identifier = record_id(identifier, key)
        tokens: int | None = None
        meta: Json = {}
        embedding: NDArray[np.float32] | None = None
        data: Any = None
        if fields:
            if _retracts(pop("deleted", None)):
                if identifier is None:
                    raise RecordError("id", "a retraction names no id")
                return Document(identifier, None, None, None, timestamp, {}, source, True)
            data, tokens, stated = pop("embedding", None), pop("tokens", None), pop("timestamp", None)
            if stated is not None:
                timestamp = milliseconds(stated)
            if tokens is not None and (tokens.__class__ is not int or not 0 <= tokens <= MAX_TOKENS):
                raise RecordError("tokens", f"tokens must be a whole number from 0 to 2^40, not {shown(tokens)}")
            if fields:
                meta = plain_meta(fields)
        if text.__class__ is not str or not text or text.isspace():
            text = usable_text(text)
        if text is None or self.needs == "embedding":
            self._check_needs(text, data is not None)
        if timestamp is not None and not -TIMESTAMP_LIMIT < timestamp <= latest:
            raise RecordError("timestamp", out_of_range(timestamp, latest))
        if data is not None:
            if data.__class__ is bytes and self.dimension and len(data) in (4 * self.dimension, 2 * self.dimension):
                raw.append((place, position, data, identifier is None and text is None))
                identifier = identifier or (_MISSING if text is None else None)
            else:
                embedding = self._vector(data)
        if identifier is None:
            identifier = content_id(text if text is not None else embedding)  # type: ignore[arg-type]
        if tokens is None and text is not None:
            tokens = self.count(text)
        return Document(identifier, text, embedding, tokens, timestamp, meta, source, False)

    def _settle(self, documents: list[Document], raw: list[_Raw]) -> dict[int, tuple[int, RecordError]]:
        """Give the documents their embeddings from bytes, one matrix for all; the bad ones by place."""
        bad: dict[int, tuple[int, RecordError]] = {}
        assert self.dimension is not None
        for width, kind in ((4, "<f4"), (2, "<f2")):
            group = [item for item in raw if len(item[2]) == width * self.dimension]
            if not group:
                continue
            matrix = np.frombuffer(b"".join([item[2] for item in group]), kind).reshape(-1, self.dimension)
            with np.errstate(invalid="ignore"):  # there are NaN that warn
                matrix = matrix.astype(np.float32, copy=False)
                finite, nonzero = np.isfinite(matrix).all(1), matrix.any(1)
            usable = (finite & nonzero).tolist()
            for (place, position, _, nameless), row, fine in zip(group, matrix, usable, strict=True):
                if fine:
                    documents[place].embedding = row
                    if nameless:
                        documents[place].id = content_id(row)
                else:
                    bad[place] = (position, unusable(row))
        return bad

    def _vector(self, data: object) -> NDArray[np.float32]:
        """One embedding, checked: (d,) float32."""
        if isinstance(data, bytes):
            if self.dimension is not None and len(data) == 2 * self.dimension:
                with np.errstate(invalid="ignore"):
                    vector = np.frombuffer(data, "<f2").astype(np.float32)
            elif len(data) % 4:
                raise RecordError("embedding", f"an embedding of {len(data)} bytes is not float32")
            else:
                vector = np.frombuffer(data, "<f4").astype(np.float32, copy=False)
        else:
            if isinstance(data, list) and not _NUMBERS.issuperset(map(type, data)):
                raise RecordError("embedding", "an embedding must be a list of numbers")
            with np.errstate(all="ignore"):
                try:
                    vector = np.asarray(data, np.float32)
                except (ValueError, TypeError, OverflowError):
                    raise RecordError(
                        "embedding", f"an embedding must be a list of numbers, not {shown(data)}"
                    ) from None
        if vector.ndim != 1 or not 1 <= vector.size <= MAX_DIMENSION:
            raise RecordError("embedding", f"an embedding must be a list of 1 to {MAX_DIMENSION} numbers")
        if self.dimension is not None and vector.size != self.dimension:
            raise RecordError("embedding", f"the embedding has {vector.size} numbers, this stream has {self.dimension}")
        if not np.isfinite(vector).all() or not vector.any():
            raise unusable(vector)
        return vector

    def _check_needs(self, text: str | None, embedded: bool) -> None:
        if self.needs == "embedding" and not embedded:
            raise RecordError("no_embedding", "the record has no embedding, and this stream computes none")
        if text is None and (self.needs == "text" or not embedded):
            raise RecordError("no_text", "the record has no usable text")


_Raw = tuple[int, int, bytes, bool]  # place among the documents, position in the call, bytes, whether it has no id
_NUMBERS: Final = frozenset((int, float))


def _retracts(deleted: object) -> bool:
    if deleted is not None and not isinstance(deleted, bool):
        raise RecordError("deleted", f"deleted must be true or false, not {shown(deleted)}")
    return bool(deleted)


def _parse(body: bytes) -> object:
    if not body:
        raise RecordError("decode", "the value is empty")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            body.decode()
        except UnicodeDecodeError as where:
            raise RecordError("encoding", f"not UTF-8 at byte {where.start}") from None
        if "depth" in error.msg:
            raise RecordError("nesting", "objects and lists are nested too deep") from None
        raise RecordError("decode", f"not JSON: {error.msg} at character {error.pos}") from None


def _unpack(value: bytes) -> object:
    try:
        # A length that is claimed and not there must not reserve memory: lists are allocated before they are read.
        return msgpack.unpackb(value, max_array_len=MAX_DIMENSION)
    except msgpack.StackError:
        raise RecordError("nesting", "maps and lists are nested too deep") from None
    except UnicodeDecodeError:
        raise RecordError("encoding", "a string is not UTF-8") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise RecordError("decode", f"not msgpack: {str(error) or type(error).__name__}") from None
