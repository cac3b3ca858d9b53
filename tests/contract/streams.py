"""What every stream is to a test: a place to put records, and sources that read it as processes of their own would."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from tsds_stream.records import DeadLetter, Document
from tsds_stream.streams.base import Batch, Positions, Source


class Put(NamedTuple):
    """A record as it was put into a stream, or came out of it: "new", "gone" (a retraction) or "broken"."""

    kind: str
    id: str  # of a broken record: its key
    text: str  # of a broken record: its value


def new(name: str, text: str) -> Put:
    return Put("new", name, text)


def gone(name: str) -> Put:
    return Put("gone", name, "")


def broken(key: str, value: str) -> Put:
    return Put("broken", key, value)


class Stream:
    """A stream of one kind. Records of one lane (a partition, a file) stay in order.

    Attributes:
        rewindable: what was read can be read again, by another process too.
        ends: a source is exhausted when it has read everything.
        keyed: records have keys, which their dead letters keep.
        given: per lane, what was put there.
    """

    lanes = 1
    rewindable = True
    ends = True
    keyed = False

    def __init__(self) -> None:
        self.given: list[list[Put]] = [[] for _ in range(self.lanes)]
        self._opened: list[Source] = []

    def put(self, records: Sequence[Put], lane: int = 0) -> None:
        """Append to one lane; no two records of a stream are alike."""
        self.given[lane] += records
        self._write(records, lane)

    def finish(self) -> None:
        """No more will come."""

    def disturb(self, lane: int) -> None:
        """Put something there that is no record."""

    def begin(self) -> None:
        """From here on, new processes have a state of their own."""

    def open(self) -> Source:
        """A source in a new process. Close the one before first, unless both shall live."""
        self._opened.append(self._open())
        return self._opened[-1]

    def leave(self) -> None:
        """End all processes."""
        for source in self._opened:
            source.close()
        self._opened.clear()

    def close(self) -> None:
        """The stream is of no more use."""
        self.leave()

    def at_end(self, positions: Positions) -> bool:
        """Whether nothing lies behind these positions, where a source does not end by itself."""
        raise AssertionError(f"{type(self).__name__} ends by itself")

    def came(self, batch: Batch) -> tuple[list[Put], list[Put]]:
        """Documents, and dead letters of broken records, as they were put."""
        return [self._of_document(one) for one in batch.documents], [self._of_letter(one) for one in batch.dead_letters]

    def expected(self, lane: int) -> list[Put]:
        """What a reader of the lane can know of its records."""
        kept = [Put(one.kind, "", one.text) if one.kind == "broken" else one for one in self.given[lane]]
        return self.given[lane] if self.keyed else kept

    @abstractmethod
    def _write(self, records: Sequence[Put], lane: int) -> None: ...

    @abstractmethod
    def _open(self) -> Source: ...

    @staticmethod
    def _of_document(document: Document) -> Put:
        return gone(document.id) if document.deleted else new(document.id, document.text or "")

    @staticmethod
    def _of_letter(letter: DeadLetter) -> Put:
        return broken((letter.key or b"").decode(), (letter.value or b"").decode())


def fill(stream: Stream, count: int = 40) -> None:
    """Documents, new versions, retractions, broken records, in every lane, and in between what is no record."""
    for lane in range(stream.lanes):
        chosen = random.Random(lane)
        records: list[Put] = []
        for i in range(count):
            kind, name = chosen.random(), f"{lane}-{i}"
            known = [one.id for one in records if one.kind == "new" and gone(one.id) not in records]
            if kind < 0.15:
                records.append(broken(f"key {name}", f'{{"no": {name}'))
            elif kind < 0.3 and known:
                records.append(gone(chosen.choice(known)))
            elif kind < 0.5 and known:
                records.append(new(chosen.choice(known), f"another text, {name}"))
            else:
                records.append(new(f"ä/ö \N{DUCK} {name}" if i % 7 == 0 else name, f"a text\u2028of {name}"))
        records.insert(count // 2, new(f"{lane}-large", "x" * 30_000))
        for begin in range(0, len(records), 8):
            stream.put(records[begin : begin + 8], lane)
            stream.disturb(lane)
    stream.finish()
