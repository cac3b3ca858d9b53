"""What the engine needs of the world: a source of documents, a sink of revisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from tsds_stream.records import DeadLetter, Document, Json

Positions = dict[str, Any]  # JSON-able, opaque to the engine; equal positions mean the same prefix of the stream


@dataclass(slots=True)
class Batch:
    """Consecutive records of the stream and the positions after them."""

    documents: list[Document]
    dead_letters: list[DeadLetter]
    positions: Positions
    size: int = 0  # bytes read


class Source(Protocol):
    """An ordered, positioned stream of documents."""

    rewindable: bool  # False for standard input

    def seek(self, positions: Positions | None) -> None:
        """Continue after `positions` (None: from the beginning). Raises `SourceError` when they cannot be reached."""

    def poll(self, limit: int, timeout: float, until: Positions | None = None) -> Batch:
        """At most `limit` records, waiting at most `timeout` seconds for the first; never reads beyond `until`."""

    @property
    def exhausted(self) -> bool:
        """Everything there is has been read (up to `until` of the last poll) and the source does not follow."""

    def unreachable(self, state: Positions | None, committed: Positions) -> str | None:
        """Why reading on from `state` (None: the beginning) cannot lead to `committed`, in a sentence; or None."""

    def reaches_back(self, positions: Positions) -> bool:
        """Whether all of the stream from its beginning to `positions` can still be read."""

    def rest(self) -> None:
        """Called now and then while nobody takes what is read: keep whatever connection there is."""

    def lag(self) -> Mapping[str, float]:
        """What is known to be left: {"bytes": …} or {"records": …, "seconds": …}."""

    def close(self) -> None: ...


@runtime_checkable
class TopicSource(Protocol):
    """A source of which every record carries the moment at which it was produced, spread over partitions."""

    def partition_lag(self) -> Mapping[str, int]:
        """{"topic/partition": records that are left}."""


class SourceError(Exception):
    """The stream cannot go on from here; the message says why and what to do."""


class SourceUnavailable(SourceError):  # noqa: N818 - it passes
    """The source does not answer now; a new start may succeed."""


class SinkError(Exception):
    """The sink cannot take or give revisions; the message says why and what to do."""


class SinkUnavailable(SinkError):  # noqa: N818
    """The sink does not answer, or the outcome of a commit is unknown: a new start settles it."""


class Fenced(SinkError):  # noqa: N818
    """Another process has taken over; this one must leave and not come back."""


@dataclass(slots=True)
class Sent:
    """What consumers hold of one selected document."""

    probability: float
    weight: float
    key: bytes  # of the point
    multiplicity: int


@dataclass(slots=True)
class Committed:
    """What a sink durably holds."""

    positions: Positions | None = None
    revisions: dict[str, Json] = field(default_factory=dict)  # per target set: its last revision record
    members: dict[str, dict[str, Sent]] = field(default_factory=dict)  # per target set: id -> what was sent


@dataclass(slots=True)
class Publication:
    """One new revision of one target set, as a difference to the one before."""

    name: str
    revision: Json  # the revision record, as it is published
    upserts: list[Json]  # selection records that are new or must be sent again
    keys: list[bytes]  # of the points of `upserts`, in the same order
    removed: list[str]
    members: tuple[Sequence[str], Sequence[float], Sequence[float]]  # ids ascending, exact p, exact weights


class Withdrawal(NamedTuple):
    """A document that was retracted.

    Attributes:
        time: when the retraction was sent, as far as the stream tells, else when it was read; ms since the epoch.
    """

    id: str
    time: int


@runtime_checkable
class Remembering(Protocol):
    """A sink that records for good which documents were retracted."""

    def withdraw(self, withdrawals: Sequence[Withdrawal]) -> None:
        """They are part of the next commit. To be called before each, also when there are none."""


@runtime_checkable
class Trimming(Protocol):
    """A sink with a limit on the size of records.

    Attributes:
        oversized: records that were sent without their body because they did not fit.
    """

    oversized: int


class Sink(Protocol):
    """Where revisions are published: all of a commit is visible, or nothing."""

    def recover(self) -> Committed:
        """Settle whatever a crash left behind and tell what is durably published."""

    def commit(
        self, publications: Sequence[Publication], dead_letters: Sequence[DeadLetter], positions: Positions
    ) -> None:
        """Publish atomically. Raises `SinkError`; the outcome is then unknown and only `recover` settles it."""

    def heartbeat(self, positions: Positions, now: int) -> None:
        """Tell consumers that the publisher is alive and up to date, without a new revision."""

    def close(self) -> None: ...
