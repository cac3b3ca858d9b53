"""Revisions published to real topics by the sink, and what each of them holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer

from tests.kafka.topics import Topics
from tests.patience import PATIENCE
from tests.streams.stories import Members, key_of, publication
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.sink import KafkaSink

# Compaction runs all the time, and forgets tombstones at once.
COMPACTING = {
    "cleanup.policy": "compact",
    "segment.ms": 100,
    "min.cleanable.dirty.ratio": 0.001,
    "delete.retention.ms": 100,
}


class Publishing:
    """A selection and a revisions topic of its own, and a sink that publishes to them.

    Attributes:
        truth: (set, revision) -> id -> (p, weight, multiplicity, text).
    """

    def __init__(self, broker: Topics, fresh: Callable[[str], str], partitions: int = 3) -> None:
        self.bootstrap = broker.bootstrap
        self.selection = broker.create_topic(fresh("selection"), partitions, COMPACTING)
        self.revisions = broker.create_topic(fresh("revisions"))
        self.letters = broker.create_topic(fresh("dead-letters"))
        self._id = fresh("tsds")
        self.members: dict[str, Members] = {}
        self.numbers: dict[str, int] = {}
        self.truth: dict[tuple[str, int], dict[str, tuple[Any, ...]]] = {}
        self.open()

    @property
    def connection(self) -> Connection:
        return Connection(self.bootstrap, request_timeout=30.0, startup_timeout=60.0)

    def open(self) -> None:
        """A new sink, as after a restart of the publisher."""
        self.sink = KafkaSink(
            self.connection,
            transactional_id=self._id,
            group_id=self._id,
            selection=self.selection,
            revisions=self.revisions,
            dead_letters=self.letters,
            documents=None,
        )
        self.sink.recover()

    def __enter__(self) -> Publishing:
        return self

    def __exit__(self, *raised: object) -> None:
        self.sink.close()

    def publish(self, changes: dict[str, Members]) -> None:
        """One transaction with the new members of some sets."""
        publications = []
        for name, new in changes.items():
            number = self.numbers[name] = self.numbers.get(name, 0) + 1
            old = self.members.get(name, {})
            now = int(time.time() * 1000)
            one = publication(name, number, old, new, added=0, removed=0, exact=True, documents_seen=1, created=now,
                              positions={"documents": number})  # fmt: skip
            for record in one.upserts:
                record["text"] = f"{record['id']} as of {number}"
            held = {i: row for i, row in self.truth.get((name, number - 1), {}).items() if i in new}
            held |= {record["id"]: row_of(record) for record in one.upserts}
            self.truth[name, number], self.members[name] = held, new
            publications.append(one)
        self.sink.commit(publications, [], {"documents": sum(self.numbers.values())})

    def abort(self) -> None:
        """Records that somebody began to write to the selection topic, and gave up."""
        settings = {"bootstrap.servers": self.bootstrap, "transactional.id": f"{self._id}-other", "log_level": 0}
        producer = Producer(settings)
        producer.init_transactions(PATIENCE)
        producer.begin_transaction()
        for i in range(20):
            headers = [("revision", b"1"), ("point", key_of("a"))]
            producer.produce(self.selection, b'{"never": "committed"}', b"default/d%d" % i, headers=headers)
        producer.flush(PATIENCE)
        producer.abort_transaction(PATIENCE)


def row_of(record: dict[str, Any]) -> tuple[Any, ...]:
    return record["probability"], record["weight"], record["multiplicity"], record["text"]


def rows(documents: dict[str, dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    return {name: row_of(record) for name, record in documents.items()}


def sliding(n: int, size: int = 12) -> Members:
    """Members that come and go with `n`, some of them with other values each time."""
    return {f"d{i}": (0.05 * (1 + (i * n) % 7), 1.0 + i, 1) for i in range(n, n + size)}
