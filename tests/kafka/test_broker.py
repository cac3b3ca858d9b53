"""The broker that other tests stand on."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.kafka.broker import Broker
from tests.kafka.topics import Topics

pytestmark = pytest.mark.kafka


def write(bootstrap: str, topic: str, values: list[bytes]) -> None:
    """Acknowledged by the server, or an assertion fails."""
    errors: list[object] = []
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "log_level": 0})
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(30) == 0
    assert errors == [None] * len(values)


def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "nobody", "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, 0)])
    deadline = time.monotonic() + 30
    found: list[bytes] = []
    while len(found) < count and time.monotonic() < deadline:
        found += [message.value() for message in consumer.consume(count - len(found), 0.2) if not message.error()]
    consumer.close()
    return found


def test_topics_are_made_written_read_and_deleted(broker: Topics, fresh: Callable[[str], str]) -> None:
    name = broker.create_topic(fresh("documents"), partitions=3, config={"cleanup.policy": "compact"})
    assert broker.leaders(name) == {0: 1, 1: 1, 2: 1}
    name = broker.create_topic(fresh("one"))
    write(broker.bootstrap, name, [b"a", b"b"])
    assert read(broker.bootstrap, name, 2) == [b"a", b"b"]
    broker.delete_topic(name)
    assert name not in broker.topic_names()


def test_a_killed_broker_is_back_within_ten_seconds_with_its_data(own_broker: Broker) -> None:
    name = own_broker.create_topic("kept")
    write(own_broker.bootstrap, name, [b"before"])
    address = own_broker.bootstrap
    killed = time.monotonic()
    own_broker.kill()
    own_broker.start()
    assert time.monotonic() - killed < 10
    assert own_broker.bootstrap == address
    write(address, name, [b"after"])
    assert read(address, name, 2) == [b"before", b"after"]
