"""A sink on brokers in memory."""

from __future__ import annotations

from tests.streams.fake_kafka import FakeKafka
from tests.streams.kafka_publications import TOPIC
from tsds_stream.records import DeadLetter
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.sink import KafkaSink


class Alarm:
    """Says whether a limit was running; ends nothing."""

    def __init__(self) -> None:
        self.armed: float | None = None
        self.history: list[float] = []

    def arm(self, seconds: float) -> None:
        self.armed = seconds
        self.history.append(seconds)

    def disarm(self) -> None:
        self.armed = None


def brokers() -> FakeKafka:
    """With the topics of one publisher."""
    return FakeKafka({TOPIC: 2, "selection": 3, "revisions": 2, "dead-letters": 1})


def sink_of(kafka: FakeKafka, *, recovered: bool = True, **told) -> KafkaSink:
    told = {"documents": TOPIC, "transactional_id": "tsds-0", "group_id": "tsds", **told}
    sink = KafkaSink(
        Connection("nowhere:1"),
        selection="selection",
        revisions="revisions",
        dead_letters="dead-letters",
        clients=kafka.clients,
        alarm=told.pop("alarm", Alarm()),
        **told,
    )
    if recovered:
        sink.recover()
    return sink


def letter(**told) -> DeadLetter:
    source = {"topic": TOPIC, "partition": 1, "offset": 7}
    return DeadLetter(
        **{"reason": "decode", "detail": "no JSON", "source": source, "key": b"k", "value": b"v"} | told, created=5
    )


def documents_of(kafka: FakeKafka) -> list:
    return [record for record in kafka.visible("selection") if not record.key.startswith(b":")]
