"""Reading a topic without disturbing anybody: no group, nothing is committed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from tsds_stream.streams.base import SourceError, SourceUnavailable
from tsds_stream.streams.kafka.client import Consumer, Record
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import Partition

_WAIT = 0.25  # seconds of one poll
_LIMIT = 5000  # records of one poll


class TopicReader:
    """The committed records of one topic, a part at a time.

    Args:
        stall: seconds without progress after which the brokers are given up; above the time-out of transactions.

    Attributes:
        beginnings: the first offset that each partition holds.
        positions: by partition, the offset up to which records were given out.

    Raises:
        SourceError: there is no such topic.
        KafkaFailure: here and in every method.
    """

    def __init__(self, connection: Connection, topic: str, *, stall: float) -> None:
        self.topic = topic
        self._stall = stall
        self._consumer = Consumer(connection)
        self._uncommitted = Consumer(connection, committed_only=False)
        self._fetched: dict[int, int] = {}
        self._ahead: dict[int, list[Record]] = {}
        partitions = [Partition(topic, number) for number in self._consumer.partitions(topic)]
        if not partitions:
            self.close()
            raise SourceError(f"there is no topic {topic!r}, or it may not be read")
        self.beginnings = {one.partition: offset for one, offset in self._consumer.beginnings(partitions).items()}
        self.positions = dict(self.beginnings)
        self.start(self.beginnings)

    def start(self, positions: Mapping[int, int]) -> None:
        """Go on at these offsets, and with no other partitions."""
        self.positions, self._fetched = dict(positions), dict(positions)
        self._ahead = {number: [] for number in positions}
        self._consumer.assign({Partition(self.topic, number): offset for number, offset in positions.items()})
        self._consumer.pause(Partition(self.topic, number) for number in positions)

    def ends(self) -> dict[int, int]:
        """The end of each partition. What belongs to open transactions counts: `read` waits for their outcome."""
        told = self._uncommitted.ends([Partition(self.topic, number) for number in self.beginnings])
        return {one.partition: offset for one, offset in told.items()}

    def read(self, until: Mapping[int, int]) -> Iterator[dict[int, list[Record]]]:
        """Records by partition, in the order of each, up to the offsets `until`; partitions it does not name rest."""
        todo = {number for number, end in until.items() if self.positions[number] < end}
        missing = [Partition(self.topic, number) for number in todo if self._fetched[number] < until[number]]
        self._consumer.resume(missing)
        moved = time.monotonic()
        while todo:
            before = dict(self.positions)
            given = {number: self._give(number, until[number]) for number in todo}
            if any(given.values()):
                yield {number: records for number, records in given.items() if records}
            todo = {number for number in todo if self.positions[number] < until[number]}
            if todo:
                self._fetch(until)
            if self.positions != before:
                moved = time.monotonic()
            elif time.monotonic() - moved > self._stall:
                left = ", ".join(f"{number} at {self.positions[number]} of {until[number]}" for number in sorted(todo))
                raise SourceUnavailable(
                    f"topic {self.topic!r}: nothing comes any more (partition {left}); a transaction may be open there"
                )

    def close(self) -> None:
        """Let go of all connections."""
        self._consumer.close()
        self._uncommitted.close()

    def _give(self, number: int, end: int) -> list[Record]:
        ahead = self._ahead[number]
        count = next((i for i, record in enumerate(ahead) if record.offset >= end), len(ahead))
        given, self._ahead[number] = ahead[:count], ahead[count:]
        # What was fetched moves over aborted records and over holes as well, so that it is what tells the end.
        self.positions[number] = min(self._fetched[number], end)
        return given

    def _fetch(self, until: Mapping[int, int]) -> None:
        for partition, records in self._consumer.poll(_WAIT, _LIMIT).items():
            self._ahead[partition.partition] += records
        for number, end in until.items():
            if self._fetched[number] < end:
                self._fetched[number] = self._consumer.position(Partition(self.topic, number))
                if self._fetched[number] >= end:
                    self._consumer.pause([Partition(self.topic, number)])
