"""Brokers in memory: logs with transactions, epochs and committed offsets, and faults at any call of a client.

Only what the sink relies on. A transaction's records are in the logs at once; consumers see them, and the offsets, once
it is committed. A later `init_transactions` with the same id aborts what is open and fences the earlier producer off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from zlib import crc32

from tsds_stream.streams.kafka.client import Mark, Topic
from tsds_stream.streams.kafka.errors import FencedOff, KafkaFailure, OutOfRange, Partition, TooLarge
from tsds_stream.streams.kafka.startup import Clients


@dataclass
class Transaction:
    """`open` until it is committed or aborted."""

    transactional_id: str
    state: str = "open"
    offsets: dict[tuple[str, Partition], Mark] = field(default_factory=dict)
    touched: set[Partition] = field(default_factory=set)


@dataclass
class Log:
    records: list[tuple[SimpleNamespace, Transaction | None]] = field(default_factory=list)
    beginning: int = 0
    end: int = 0


@dataclass
class Fault:
    """At the `nth` call of that name: raise, before or after the call has had its effect."""

    call: str
    error: BaseException
    nth: int = 1
    after: bool = False


class FakeKafka:
    """The brokers. `calls` lists the calls of producers; `during` is called with the name of each."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        self.logs = {Partition(topic, n): Log() for topic, count in topics.items() for n in range(count)}
        self.limits: dict[str, str] = dict.fromkeys(topics, "1048588")
        self.epochs: dict[str, int] = defaultdict(int)
        self.open: dict[str, Transaction] = {}
        self.offsets: dict[tuple[str, Partition], Mark] = {}
        self.calls: list[str] = []
        self.faults: list[Fault] = []
        self.refused: dict[bytes, KafkaFailure] = {}  # by key: what the future of that record fails with
        self.during: Callable[[str], None] = lambda call: None

    @property
    def clients(self) -> Clients:
        return Clients(
            lambda connection, **told: FakeProducer(self, **told),
            lambda connection, **told: FakeConsumer(self, **told),
            lambda connection: FakeAdmin(self),
        )

    def partitions(self, topic: str) -> list[Partition]:
        return sorted(partition for partition in self.logs if partition.topic == topic)

    def append(
        self, partition: Partition, key: bytes | None, value: bytes | None, headers: Sequence = (), transaction=None
    ) -> int:
        log = self.logs[partition]
        record = SimpleNamespace(
            topic=partition.topic,
            partition=partition.partition,
            offset=log.end,
            timestamp=0,
            key=key,
            value=value,
            headers=list(headers),
        )
        log.records.append((record, transaction))
        log.end += 1
        if transaction is not None:
            transaction.touched.add(partition)
        return record.offset

    def finish(self, transaction: Transaction, state: str) -> None:
        transaction.state = state
        for partition in transaction.touched:
            self.logs[partition].end += 1  # the marker
        if state == "committed":
            self.offsets.update(transaction.offsets)
        self.open.pop(transaction.transactional_id, None)

    def stable(self, partition: Partition) -> int:
        log = self.logs[partition]
        return min((r.offset for r, t in log.records if t is not None and t.state == "open"), default=log.end)

    def visible(self, topic: str) -> list[SimpleNamespace]:
        """What a consumer of committed records sees, partition by partition."""
        return [
            record
            for partition in self.partitions(topic)
            for record, transaction in self.logs[partition].records
            if record.offset < self.stable(partition) and (transaction is None or transaction.state == "committed")
        ]

    def compact(self, topic: str) -> None:
        """Keep the last committed record of each key, and drop what was aborted."""
        for partition in self.partitions(topic):
            log = self.logs[partition]
            settled = [(r, t) for r, t in log.records if t is None or t.state != "aborted"]
            last = {r.key: r.offset for r, t in settled if t is None or t.state == "committed"}
            log.records = [
                (r, t) for r, t in settled if (t is not None and t.state == "open") or last[r.key] == r.offset
            ]

    def delete(self, topic: str) -> None:
        """Make the topic again, empty."""
        for partition in self.partitions(topic):
            self.logs[partition] = Log()


class FakeProducer:
    def __init__(self, kafka: FakeKafka, *, transactional_id: str, max_request_size: int, **told) -> None:
        self._kafka = kafka
        self._id = transactional_id
        self._limit = max_request_size
        self._epoch = -1
        self._transaction: Transaction | None = None
        self._unflushed: list[FakePending] = []

    def init_transactions(self) -> None:
        with _Step(self._kafka, "init_transactions"):
            left = self._kafka.open.get(self._id)
            if left is not None:
                self._kafka.finish(left, "aborted")
            self._kafka.epochs[self._id] += 1
            self._epoch = self._kafka.epochs[self._id]

    def begin(self) -> None:
        with _Step(self._kafka, "begin"):
            self._transaction = Transaction(self._id)  # the brokers learn of it with the first record

    def send(self, topic, key, value, headers=(), *, partition=None, timestamp=None) -> FakePending:
        with _Step(self._kafka, "send"):
            assert self._transaction is not None
            assert key is not None or value is not None
            size = len(key or b"") + len(value or b"") + sum(len(n) + len(v) for n, v in headers) + 82
            if size > self._limit:
                raise TooLarge(f"{size} bytes are more than {self._limit}.")
            count = len(self._kafka.partitions(topic))
            number = partition if partition is not None else crc32(key or b"") % count
            pending = FakePending(Partition(topic, number), key, value, headers)
            self._unflushed.append(pending)
            return pending

    def flush(self, timeout: float) -> None:
        with _Step(self._kafka, "flush"):
            for pending in self._unflushed:
                pending.failure = self._kafka.refused.get(pending.key)
                if pending.failure is None and self._fenced:
                    pending.failure = FencedOff("InvalidProducerEpochError")
                if pending.failure is None:
                    self._kafka.open[self._id] = self._transaction
                    pending.offset = self._kafka.append(
                        pending.partition, pending.key, pending.value, pending.headers, self._transaction
                    )
            self._unflushed.clear()

    def send_offsets(self, marks: Mapping[Partition, Mark], group_id: str) -> None:
        with _Step(self._kafka, "send_offsets"):
            self._check()
            assert all(len(mark.metadata) <= 4096 for mark in marks.values())
            self._transaction.offsets.update({(group_id, partition): mark for partition, mark in marks.items()})

    def commit(self) -> None:
        with _Step(self._kafka, "commit"):
            self._check()
            self._kafka.finish(self._transaction, "committed")
            self._transaction = None

    def close(self, timeout: float = 1.0) -> None:
        pass

    @property
    def _fenced(self) -> bool:
        return self._epoch != self._kafka.epochs[self._id]

    def _check(self) -> None:
        if self._fenced:
            raise FencedOff("ProducerFencedError")


class FakePending:
    def __init__(self, partition, key, value, headers) -> None:
        self.partition, self.key, self.value, self.headers = partition, key, value, headers
        self.offset: int | None = None
        self.failure: KafkaFailure | None = None

    def place(self) -> tuple[int, int]:
        if self.failure is not None:
            raise self.failure
        assert self.offset is not None, "asked before the flush"
        return self.partition.partition, self.offset


class FakeConsumer:
    def __init__(self, kafka: FakeKafka, *, group_id: str | None = None, committed_only: bool = True) -> None:
        self._kafka = kafka
        self._group = group_id
        self._committed_only = committed_only
        self._at: dict[Partition, int] = {}

    def partitions(self, topic: str) -> list[int]:
        return [partition.partition for partition in self._kafka.partitions(topic)]

    def beginnings(self, partitions) -> dict[Partition, int]:
        return {partition: self._kafka.logs[partition].beginning for partition in partitions}

    def ends(self, partitions) -> dict[Partition, int]:
        self._kafka.during("ends")
        return {p: self._kafka.stable(p) if self._committed_only else self._kafka.logs[p].end for p in partitions}

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        self._at = dict(offsets)

    def seek(self, partition: Partition, offset: int) -> None:
        self._at[partition] = offset

    def position(self, partition: Partition) -> int:
        return self._at[partition]

    def poll(self, timeout: float, limit: int) -> dict[Partition, list[SimpleNamespace]]:
        self._kafka.during("poll")
        gone = {
            p: at for p, at in self._at.items() if at < self._kafka.logs[p].beginning or at > self._kafka.logs[p].end
        }
        if gone:
            raise OutOfRange(gone)
        found = {}
        for partition, at in self._at.items():
            end = self._kafka.stable(partition)
            new = [
                r for r in self._kafka.visible(partition.topic) if r.partition == partition.partition and r.offset >= at
            ]
            if new[:limit]:
                found[partition] = new[:limit]
            self._at[partition] = max(at, new[limit - 1].offset + 1 if len(new) > limit else end)
        return found

    def committed(self, partitions) -> dict[Partition, Mark]:
        assert not any(t.offsets for t in self._kafka.open.values()), "this would block"
        marks = {partition: self._kafka.offsets.get((self._group, partition)) for partition in partitions}
        return {partition: mark for partition, mark in marks.items() if mark is not None}

    def close(self) -> None:
        pass


class FakeAdmin:
    def __init__(self, kafka: FakeKafka) -> None:
        self._kafka = kafka

    def topics(self, names: Sequence[str], patience: float | None = None) -> dict[str, Topic]:
        return {
            name: Topic(name, f"id-of-{name}", tuple(p.partition for p in self._kafka.partitions(name)), 1)
            if self._kafka.partitions(name)
            else Topic(name, problem="there is no such topic", missing=True)
            for name in names
        }

    def topic_config(self, name: str) -> dict[str, str]:
        return {"max.message.bytes": self._kafka.limits[name]}

    def close(self) -> None:
        pass


class _Step:
    """One call of a producer."""

    def __init__(self, kafka: FakeKafka, call: str) -> None:
        self._kafka = kafka
        self._call = call

    def __enter__(self) -> None:
        self._kafka.calls.append(self._call)
        self._kafka.during(self._call)
        self._trip(after=False)

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self._trip(after=True)

    def _trip(self, *, after: bool) -> None:
        for fault in list(self._kafka.faults):
            if fault.call == self._call and fault.after == after and self._kafka.calls.count(self._call) >= fault.nth:
                self._kafka.faults.remove(fault)
                raise fault.error
