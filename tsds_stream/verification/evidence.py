"""What an auditor looks at: the log of documents, and what a sink holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from tsds_stream.records import DeadLetter, Json
from tsds_stream.streams.base import Batch, Positions, Sent

_NO_PARTITION: Final = -1


class Place(NamedTuple):
    """Where a record stands: topic or path, partition (-1 in a file), offset."""

    name: str
    partition: int
    offset: int

    def __str__(self) -> str:
        partition = "" if self.partition == _NO_PARTITION else f" partition {self.partition}"
        return f"{self.name}{partition} at {self.offset}"


class DocumentLog(Protocol):
    """The documents of a stream, read once from where it began. Nothing is held against a clock.

    Attributes:
        thinned: why earlier records of documents may be gone, though the last of each is there; "": they are all there.
    """

    thinned: str

    def unreadable(self, positions: Positions) -> str | None:
        """Why the documents up to `positions` are not all there, or None."""

    def progress(self, positions: Positions) -> Any:
        """Something that grows along the stream, to put positions of one stream in order."""

    def told_between(self, before: Positions, after: Positions) -> str | None:
        """Why two positions published one after the other cannot be held against each other, or None."""

    def gone_back(self, before: Positions, after: Positions) -> str | None:
        """Where any part of `after` lies before `before`, though nothing tells why, in words; or None."""

    def amount(self, positions: Positions) -> int | None:
        """What `batches` will have read up to there, for a progress bar; None: not known."""

    def covers(self, place: Place) -> bool:
        """Whether the record there lay within what was read so far."""

    def batches(self, until: Positions) -> Iterator[Batch]:
        """What lies between the positions reached so far and `until`. Raises `SourceError`."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Current:
    """The selection of a set as consumers hold it now."""

    revision: int
    members: dict[str, Sent]


@dataclass(slots=True)
class Published:
    """What a sink holds.

    Attributes:
        revisions: by target set, all revision records in the order in which they were published.
        whole: revisions begin with number 1: none was deleted on purpose.
        current: by target set.
        positions: up to where the stream was dealt with; None: nothing was published.
        letters: dead letters, oldest first; letters_whole: none was deleted.
        faults: what could not even be read: (kind, sentence, set).
        notes: for the reader of the report.
    """

    revisions: dict[str, list[Json]] = field(default_factory=dict)
    whole: bool = True
    current: dict[str, Current] = field(default_factory=dict)
    positions: Positions | None = None
    letters: list[DeadLetter] = field(default_factory=list)
    letters_whole: bool = True
    faults: list[tuple[str, str, str | None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def place_of(source: Json) -> Place | None:
    """Where a record was read; None where its source does not say."""
    if "topic" in source:
        return Place(str(source["topic"]), int(source["partition"]), int(source["offset"]))
    if "path" in source:
        return Place(str(source["path"]), _NO_PARTITION, int(source["position"]))
    return None
