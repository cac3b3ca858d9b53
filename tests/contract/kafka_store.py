"""Topics as a store; librdkafka reads them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, ClassVar

from confluent_kafka import Consumer, Message, TopicPartition

from tests.contract.stores import Crash, Seen, Store
from tests.kafka.topics import Topics
from tests.patience import PATIENCE
from tsds_stream.records import Json
from tsds_stream.streams.base import Positions, Sink
from tsds_stream.streams.kafka.client import Producer
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.dead_letters import decode_letter
from tsds_stream.streams.kafka.errors import Unreachable
from tsds_stream.streams.kafka.sink import KafkaSink
from tsds_stream.streams.kafka.startup import Clients

COMPACTED = {"cleanup.policy": "compact"}


class MortalProducer(Producer):
    """Dies at the n-th call of a method, before or after it has had its effect; or the brokers go away there."""

    def __init__(self, *given: Any, **told: Any) -> None:
        super().__init__(*given, **told)
        self._death: tuple[str, int, str] | None = None

    def die(self, call: str, nth: int, when: str) -> None:
        self._death = (call, nth, when)

    def flush(self, timeout: float) -> None:
        self._step("flush", lambda: super(MortalProducer, self).flush(timeout))

    def commit(self) -> None:
        self._step("commit", lambda: super(MortalProducer, self).commit())

    def _step(self, name: str, act: Callable[[], Any]) -> Any:
        if self._death is None or self._death[0] != name:
            return act()
        _, nth, when = self._death
        if nth > 1:
            self._death = (name, nth - 1, when)
            return act()
        self._death = None
        if when == "away":
            raise Unreachable("The brokers are away.")
        if when == "after":
            act()
        raise Crash


class KafkaStore(Store):
    """Three topics of one publisher.

    Args:
        documents: topic of the source, where that is one.
    """

    points: ClassVar = {
        "changes have arrived": ("flush", 1, "after"),
        "revisions have arrived": ("flush", 2, "after"),
        "brokers are away": ("flush", 2, "away"),
        "before the commit": ("commit", 1, "before"),
        "after the commit": ("commit", 1, "after"),
    }

    def __init__(self, broker: Topics, fresh: Callable[[str], str], documents: str | None = None) -> None:
        self._bootstrap = broker.bootstrap
        self._documents = documents
        self._id = fresh("tsds")
        self._selection = broker.create_topic(fresh("selection"), 2, COMPACTED)
        self._revisions = broker.create_topic(fresh("revisions"))
        self._letters = broker.create_topic(fresh("dead-letters"))
        self._dropped: list[Sink] = []
        self._producers: dict[Sink, MortalProducer] = {}

    def open(self) -> Sink:
        def producer(*given: Any, **told: Any) -> Producer:
            self._producers[sink] = MortalProducer(*given, **told)
            return self._producers[sink]

        sink = KafkaSink(
            Connection(self._bootstrap, request_timeout=30.0, startup_timeout=60.0),
            transactional_id=self._id,
            group_id=self._id,
            selection=self._selection,
            revisions=self._revisions,
            dead_letters=self._letters,
            documents=self._documents,
            transaction_timeout=60.0,
            clients=Clients(producer=producer),
        )
        return sink

    def positions(self, number: int) -> Positions:
        assert self._documents is None
        return {"files": {"a.jsonl": ["content", number]}, "finished": [0, ""]}

    def arm(self, sink: Sink, point: str) -> None:
        self._producers[sink].die(*self.points[point])

    def drop(self, sink: Sink) -> None:
        self._dropped.append(sink)

    def seen(self) -> Seen:
        seen = Seen()
        found = self._read()
        for message in found[self._revisions]:
            record = json.loads(message.value())
            seen.revisions.setdefault(record["set"], []).append(record)
            seen.members.setdefault(record["set"], {})
        for message in found[self._selection]:
            key = message.key().decode()
            if key.startswith(":"):
                continue
            name, _, identifier = key.partition("/")
            newest: Json = seen.revisions[name][-1]
            assert message.offset() < newest["selection_end"][str(message.partition())], "nothing but whole revisions"
            if message.value() is None:
                del seen.members[name][identifier]
            else:
                seen.members[name][identifier] = json.loads(message.value())
        for message in found[self._letters]:
            seen.letters.append(decode_letter(message.key(), message.value(), message.headers() or []))
        return seen

    def close(self) -> None:
        for sink in self._dropped:
            sink.close()

    def _read(self) -> dict[str, list[Message]]:
        """What a plain consumer of committed records sees of each topic, each partition in order."""
        settings = {"bootstrap.servers": self._bootstrap, "group.id": "reader", "isolation.level": "read_committed"}
        more = {"log_level": 0, "enable.partition.eof": True, "enable.auto.commit": False, "fetch.wait.max.ms": 20}
        consumer = Consumer(settings | more)
        found: dict[str, list[Message]] = {self._revisions: [], self._selection: [], self._letters: []}
        left = {(self._revisions, 0), (self._letters, 0), (self._selection, 0), (self._selection, 1)}
        consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in left])
        deadline = time.monotonic() + PATIENCE
        while left:
            assert time.monotonic() < deadline, f"{left} did not end"
            for message in consumer.consume(1000, 0.02):
                if message.error():
                    left.discard((message.topic(), message.partition()))
                else:
                    found[message.topic()].append(message)
        consumer.close()
        return found
