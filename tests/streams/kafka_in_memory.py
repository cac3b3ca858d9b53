"""A Kafka topic in memory, and clients of it that behave as the real ones do: what fast tests of the source read."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tsds_stream.streams.kafka.client import Topic
from tsds_stream.streams.kafka.errors import OutOfRange, Partition, Unreachable
from tsds_stream.streams.kafka.topic_look import Clients


class FakeRecord(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass
class FakeLog:
    """Offsets from `begin`; an entry None is a control record, or was compacted away."""

    begin: int = 0
    entries: list[FakeRecord | None] = field(default_factory=list)
    hidden: int = 0  # offsets at the end that belong to an open transaction
    cut: int | None = None  # the log lost what came after this offset, and has grown again

    @property
    def end(self) -> int:
        return self.begin + len(self.entries)

    @property
    def stable(self) -> int:
        return self.end - self.hidden


class FakeKafka:
    """One topic; `down` is an outage."""

    def __init__(self, partitions: int = 1, name: str = "documents") -> None:
        self.name = name
        self.down = False
        self.recreate(partitions)
        self.asked: list[float | None] = []  # the patience of each look by an admin
        self.opened: list[FakeConsumer] = []

    def recreate(self, partitions: int = 1) -> None:
        self.id = f"id-{next(_ids)}"
        self.logs: dict[int, FakeLog] = {number: FakeLog() for number in range(partitions)}
        self.exists = True

    def delete(self) -> None:
        self.exists, self.logs = False, {}

    def put(
        self,
        value: bytes | None,
        key: bytes | None = None,
        partition: int = 0,
        timestamp: int = 1_000,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        log = self.logs[partition]
        log.entries.append(FakeRecord(self.name, partition, log.end, timestamp, key, value, headers))

    def put_control(self, partition: int = 0) -> None:
        self.logs[partition].entries.append(None)

    def delete_before(self, offset: int, partition: int = 0) -> None:
        log = self.logs[partition]
        log.entries = log.entries[offset - log.begin :]
        log.begin = offset

    def cut_at(self, offset: int, partition: int = 0) -> None:
        log = self.logs[partition]
        log.entries = log.entries[: offset - log.begin]

    def clients(self) -> Clients:
        return Clients(lambda *_, **options: FakeConsumer(self, **options), lambda _: FakeAdmin(self))  # type: ignore[arg-type,return-value]

    def answer(self) -> None:
        if self.down:
            raise Unreachable("Could not reach the brokers (memory): nobody is there")


class FakeAdmin:
    def __init__(self, kafka: FakeKafka) -> None:
        self._kafka = kafka
        kafka.answer()

    def topics(self, names: Sequence[str], patience: float | None = None) -> dict[str, Topic]:
        kafka = self._kafka
        kafka.answer()
        kafka.asked.append(patience)
        if not kafka.exists:
            return {name: Topic(name, problem="there is no such topic", missing=True) for name in names}
        return {kafka.name: Topic(kafka.name, kafka.id, tuple(kafka.logs), 1)}

    def close(self) -> None: ...


class FakeConsumer:
    """Fetches up to three entries of a partition at a time and hands them out as the real one does."""

    def __init__(self, kafka: FakeKafka, *, committed_only: bool = True) -> None:
        kafka.answer()
        kafka.opened.append(self)
        self._kafka = kafka
        self._committed_only = committed_only
        self._at: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._high: dict[Partition, int] = {}
        self.closed = False

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        self._at = dict(offsets)
        self._paused &= offsets.keys()

    def seek(self, partition: Partition, offset: int) -> None:
        assert partition in self._at
        self._at[partition] = offset

    def poll(self, timeout: float, limit: int) -> Mapping[Partition, list[FakeRecord]]:
        kafka = self._kafka
        if kafka.down or not kafka.exists:
            return {}
        found: dict[Partition, list[FakeRecord]] = {}
        left = limit
        for partition in [one for one in self._at if one not in self._paused]:
            log, at = kafka.logs[partition.partition], self._at[partition]
            if log.cut is not None:
                cut, log.cut = log.cut, None
                raise OutOfRange({partition: -1}, {partition: cut})
            if not log.begin <= at <= log.end:
                if found:
                    break
                raise OutOfRange({partition: at})
            self._high[partition] = log.end
            for entry in log.entries[at - log.begin : log.stable - log.begin][:3]:
                if entry is not None:
                    if not left:
                        break
                    left -= 1
                    found.setdefault(partition, []).append(entry)
                self._at[partition] += 1
        self._at = dict(sorted(self._at.items(), key=lambda pair: pair[0] in found))  # others first, the next time
        return found

    def offset(self, partition: Partition) -> int:
        return self._at[partition]

    def high_water(self, partition: Partition) -> int | None:
        return self._high.get(partition)

    def pause(self, partitions: Iterable[Partition]) -> None:
        self._paused |= set(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        self._paused -= set(partitions)

    def glimpse(self, topic: str) -> tuple[str, list[int]]:
        kafka = self._kafka
        return (kafka.id, sorted(kafka.logs)) if kafka.exists else ("", [])

    def beginnings(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        self._kafka.answer()
        return {one: self._kafka.logs[one.partition].begin for one in partitions}

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        self._kafka.answer()
        logs = self._kafka.logs
        return {
            one: logs[one.partition].stable if self._committed_only else logs[one.partition].end for one in partitions
        }

    def close(self) -> None:
        self.closed = True


_ids = itertools.count(1)
