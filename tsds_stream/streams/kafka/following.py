"""Reading topics to their end, and on from there: what is committed, from offsets that are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from tsds_stream.streams.kafka.errors import OutOfRange, Partition, Refused, Unreachable

if TYPE_CHECKING:
    from tsds_stream.streams.kafka.client import Record

POLL = 0.25  # seconds
LIMIT = 5000  # records of one poll
_FIRST_WINDOW = 64  # offsets before the end that are looked at first
_WIDER = 16  # by how much the next window is larger
_LOOK = 1.0  # seconds between two looks for new partitions; the client itself asks every few seconds
_GONE = 30.0  # seconds without any partition, after which a topic is gone and not merely hidden


class Reader(Protocol):
    """The part of `Consumer` that reading needs."""

    def assign(self, offsets: Mapping[Partition, int]) -> None: ...
    def poll(self, timeout: float, limit: int) -> Mapping[Partition, list[Record]]: ...
    def offset(self, partition: Partition) -> int: ...
    def partitions(self, topic: str) -> list[int]: ...
    def glimpse(self, topic: str) -> tuple[str, list[int]]: ...
    def beginnings(self, partitions: Iterable[Partition]) -> dict[Partition, int]: ...
    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]: ...
    def close(self) -> None: ...


class Following:
    """Reads topics on and on; knows where it stands, and takes partitions that are added.

    Attributes:
        positions: of every partition, the offset below which everything committed has been given.
    """

    def __init__(self, reader: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self.positions: dict[Partition, int] = {}
        self._reader = reader
        self._clock = clock
        self._look = clock() + _LOOK
        self._topics: dict[str, float] = {}  # when each was last seen to have partitions
        self._ids: dict[str, str] = {}

    def start(self, offsets: Mapping[Partition, int]) -> None:
        """Read exactly these partitions from these offsets on."""
        self._reader.assign(offsets)
        self.positions = dict(offsets)
        self._topics = dict.fromkeys(sorted({partition.topic for partition in offsets}), self._clock())
        self._ids = {topic: self._reader.glimpse(topic)[0] for topic in self._topics}
        self._look = self._clock() + _LOOK

    def poll(self, timeout: float, limit: int = LIMIT) -> list[Record]:
        """The next records, waiting at most `timeout` seconds for the first; none while no broker answers.

        Raises:
            OutOfRange: the log does not hold the records that come next, or is that of another topic of this name.
            Refused: a topic was deleted, or may not be read.
        """
        if self._clock() >= self._look:
            self._look_around()
        found = self._reader.poll(timeout, limit)
        for partition in self.positions:
            self.positions[partition] = self._reader.offset(partition)
        return [record for records in found.values() for record in records]

    def of(self, topic: str) -> dict[int, int]:
        """The positions in one topic, by partition."""
        return {partition.partition: offset for partition, offset in self.positions.items() if partition.topic == topic}

    def ends(self, topic: str) -> dict[Partition, int]:
        """Where the committed part of each partition ends now. Raises `Unreachable`."""
        return self._reader.ends([partition for partition in self.positions if partition.topic == topic])

    def reached(self, ends: Mapping[Partition, int]) -> bool:
        """Whether everything below `ends` has been given."""
        return all(self.positions.get(partition, -1) >= end for partition, end in ends.items())

    def look_now(self) -> None:
        """Look for new partitions at the next `poll`."""
        self._look = self._clock()

    def _look_around(self) -> None:
        now = self._clock()
        self._look = now + _LOOK
        added: list[Partition] = []
        for topic, seen in self._topics.items():
            identity, numbers = self._reader.glimpse(topic)
            there = [Partition(topic, number) for number in numbers]
            if there:
                self._topics[topic] = now
                if identity != (self._ids[topic] or identity):
                    raise OutOfRange({one: at for one, at in self.positions.items() if one.topic == topic})
                self._ids[topic] = identity
            elif now - seen > _GONE:
                raise Refused(f"The topic {topic!r} is gone: it was deleted, or it may not be read any more.")
            added += [partition for partition in there if partition not in self.positions]
        if added:
            # From their beginnings: what they hold was written after they were made, and so is new.
            self.positions |= self._reader.beginnings(added)
            self._reader.assign(self.positions)


class Listing(Protocol):
    """Who can tell which partitions there are."""

    def partitions(self, topic: str) -> list[int]: ...


def partitions_of(reader: Listing, topic: str) -> list[Partition]:
    """All partitions of a topic. Raises `Refused` when there is no such topic."""
    found = [Partition(topic, number) for number in reader.partitions(topic)]
    if not found:
        raise Refused(f"There is no topic {topic!r}; `tsds-stream topics --create` makes it.")
    return found


def catch_up(
    following: Following,
    ends: Mapping[Partition, int],
    apply: Callable[[Record], None],
    *,
    stall: float = 30.0,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Apply what comes until `ends` are reached, and perhaps a little more.

    What others committed behind a transaction that was still open when the ends were taken is left out.

    Args:
        stall: seconds without any progress that are borne.
        stop: asked between polls; when it says so, reading ends where it is.

    Raises:
        Unreachable: no progress for so long; the sentence says where it stands.
    """
    moved = time.monotonic()
    while not following.reached(ends) and not stop():
        before = dict(following.positions)
        for record in following.poll(POLL):
            apply(record)
        now = time.monotonic()
        if following.positions != before:
            moved = now
        elif now - moved > stall:
            left = ", ".join(
                f"{partition} at {following.positions.get(partition)} of {end}"
                for partition, end in ends.items()
                if following.positions.get(partition, -1) < end
            )
            raise Unreachable(f"Nothing more was read for {stall:.0f} s, before the end was reached: {left}.")


def read_tail(
    reader: Reader,
    topic: str,
    apply: Callable[[Record], None],
    enough: Callable[[], bool],
    *,
    stall: float = 30.0,
) -> dict[Partition, int]:
    """Apply the newest committed records of a topic: ever more of them, until there are `enough` or no more.

    Every record is applied at least once, in order within its partition; a wider window begins again at its beginning.
    For topics that are kept for ever, where only the end matters.

    Returns:
        The offsets that come next.

    Raises:
        Unreachable: no progress for `stall` seconds.
    """
    partitions = partitions_of(reader, topic)
    first, ends = reader.beginnings(partitions), reader.ends(partitions)
    window = _FIRST_WINDOW
    while True:
        following = Following(reader)
        following.start({one: max(first[one], ends[one] - window) for one in partitions})
        catch_up(following, ends, apply, stall=stall)
        if enough() or all(ends[one] - window <= first[one] for one in partitions):
            return following.positions
        window *= _WIDER
