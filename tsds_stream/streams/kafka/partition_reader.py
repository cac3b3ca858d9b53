"""The partitions of one topic that are being read: from where, up to where, and how far that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from tsds_stream.streams.kafka.client import Consumer, Record
from tsds_stream.streams.kafka.errors import KafkaFailure, Partition
from tsds_stream.streams.kafka.gaps import Log

Runs = list[tuple[int, Sequence[Record]]]  # (partition, consecutive records)


class PartitionReader:
    """Moves through partitions that it is told.

    Attributes:
        offsets: of the next record, by partition; never beyond the bounds.
        bounds: offsets at which reading ends, by partition; others are not read. None: it never ends.
        newest: timestamp of the last record, in milliseconds; -1: unknown.
    """

    def __init__(self, topic: str, open_consumer: Callable[[], Consumer]) -> None:
        self._topic = topic
        self._open = open_consumer
        self._consumer: Consumer | None = None
        self._ends: dict[int, int] = {}
        self._paused: set[int] = set()
        self._resting = False
        self._before: dict[int, int] = {}
        self.offsets: dict[int, int] = {}
        self.bounds: Mapping[int, int] | None = None
        self.newest = -1

    @property
    def consumer(self) -> Consumer:
        """Made when it is first needed. Raises `KafkaFailure`."""
        if self._consumer is None:
            self._consumer = self._open()
        return self._consumer

    def begin(self, offsets: Mapping[int, int], logs: Mapping[int, Log]) -> None:
        """Read these partitions from these offsets on and no others, without bounds."""
        partitions = {self._partition(number): offset for number, offset in offsets.items()}
        self.consumer.assign(partitions)
        self.consumer.resume(partitions)
        self._paused, self._resting, self.bounds = set(), False, None
        self.offsets = dict(offsets)
        self._ends = {number: log.end for number, log in logs.items()}

    def add(self, logs: Mapping[int, Log]) -> None:
        """Read these partitions too, from where their logs begin."""
        ends = {**self._ends, **{number: log.end for number, log in logs.items()}}
        self.begin({**self.offsets, **{number: log.begin for number, log in logs.items()}}, {})
        self._ends = ends

    def jump(self, number: int, offset: int) -> None:
        """Go on at `offset`."""
        self.consumer.seek(self._partition(number), offset)
        self.offsets[number] = offset

    def bind(self, bounds: Mapping[int, int] | None) -> None:
        """End at these offsets; None: never."""
        self._resume()
        self.bounds = bounds
        if bounds is not None:
            self._pause({number for number, offset in self.offsets.items() if offset >= bounds.get(number, 0)})

    @property
    def unfinished(self) -> set[int]:
        """Partitions in which something may come."""
        return self.offsets.keys() - self._paused

    def read(self, limit: int, timeout: float) -> Runs:
        """At most `limit` records, waiting at most `timeout` seconds for the first. Raises `KafkaFailure`."""
        consumer = self.consumer
        if self._resting:
            consumer.resume([self._partition(number) for number in self.unfinished])
            self._resting = False
        self._before = dict(self.offsets)
        found = {partition.partition: run for partition, run in consumer.poll(timeout, limit).items()}
        runs: Runs = []
        for number in sorted(self.unfinished):
            run, offset = found.get(number), consumer.offset(self._partition(number))
            if self.bounds is not None and offset >= self.bounds[number]:
                offset = bound = self.bounds[number]
                if run and run[-1].offset >= bound:
                    run = [record for record in run if record.offset < bound]
                    consumer.seek(self._partition(number), bound)
                self._pause({number})
            if run:
                runs.append((number, run))
                self.newest = run[-1].timestamp
            self.offsets[number] = offset
        return runs

    def undo(self) -> None:
        """Go back to where the last `read` began."""
        bounds = self.bounds
        for number, offset in self._before.items():
            self.jump(number, offset)
        self.bind(bounds)

    def rest(self) -> None:
        """Read nothing and keep the connection, until the next `read`."""
        if self._consumer is None:
            return
        if not self._resting:
            self._consumer.pause([self._partition(number) for number in self.offsets])
            self._resting = True
        with suppress(KafkaFailure):  # the next `read` meets it again
            self._consumer.poll(0.0, 1)

    def lags(self) -> dict[int, int]:
        """Offsets up to the end of each log as the last answer had it; asks nobody."""
        if self._consumer is not None:
            for number in self.offsets:
                end = self._consumer.high_water(self._partition(number))
                if end is not None:
                    self._ends[number] = end
        return {number: max(0, self._ends.get(number, 0) - offset) for number, offset in self.offsets.items()}

    def close(self) -> None:
        """Let go of all connections."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _pause(self, numbers: set[int]) -> None:
        self._paused |= numbers
        self.consumer.pause(self._partitions(numbers))

    def _resume(self) -> None:
        self.consumer.resume(self._partitions(self._paused))
        self._paused = set()

    def _partition(self, number: int) -> Partition:
        return Partition(self._topic, number)

    def _partitions(self, numbers: Iterable[int]) -> list[Partition]:
        return [self._partition(number) for number in numbers]
