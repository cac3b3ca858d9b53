"""Targets from a real topic: compaction, transactions, several partitions, records that are no examples."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.kafka.publishing import COMPACTING
from tests.kafka.topics import Topics
from tests.patience import PATIENCE
from tests.streams.test_kafka_targets_fake import Lines, eventually
from tsds_stream.codecs import Decoder
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.targets import TargetTopic

pytestmark = pytest.mark.kafka


def send(
    broker: Topics,
    topic: str,
    records: Mapping[str, dict[str, Any] | bytes | None],
    *,
    times: int = 1,
    commit: bool | None = None,
) -> None:
    settings = {"bootstrap.servers": broker.bootstrap, "linger.ms": 0, "log_level": 0}
    if commit is not None:
        settings["transactional.id"] = f"{topic}-{time.monotonic_ns()}"
    producer = Producer(settings)
    if commit is not None:
        producer.init_transactions(PATIENCE)
        producer.begin_transaction()
    for n in range(times):
        for key, value in records.items():
            data = value if value is None or isinstance(value, bytes) else json.dumps({"n": n, **value}).encode()
            producer.produce(topic, data, key.encode())
    assert producer.flush(PATIENCE) == 0
    if commit is not None:
        (producer.commit_transaction if commit else producer.abort_transaction)(PATIENCE)


def opened(broker: Topics, topic: str, log: Lines) -> TargetTopic:
    connection = Connection(broker.bootstrap, request_timeout=30.0, startup_timeout=60.0)
    targets = TargetTopic(connection, topic, Decoder(), ["default", "other"], log, patience=PATIENCE)
    targets.start()
    return targets


def left(broker: Topics, topic: str) -> int:
    """Records that compaction has left."""
    settings = {"bootstrap.servers": broker.bootstrap, "group.id": topic, "enable.partition.eof": True, "log_level": 0}
    consumer = Consumer({**settings, "fetch.wait.max.ms": 20})
    consumer.assign([TopicPartition(topic, n, 0) for n in broker.leaders(topic)])
    count, ended = 0, 0
    while ended < len(broker.leaders(topic)):
        for message in consumer.consume(500, 0.05):
            count, ended = count + (message.error() is None), ended + (message.error() is not None)
    consumer.close()
    return count


def test_the_last_record_of_every_key_is_in_force_also_after_compaction(broker: Topics, fresh) -> None:
    topic = broker.create_topic(fresh("targets"), 3, COMPACTING)
    send(broker, topic, {f"default/{i}": {"text": "old"} for i in range(10)}, times=30)
    send(broker, topic, {f"default/{i}": {"text": f"{i} of 29"} for i in range(10)})
    send(broker, topic, {"default/x": {"text": "never"}, "default/0": None}, commit=False)
    send(broker, topic, {"default/a/b": {"text": "committed", "weight": 2}}, commit=True)
    send(broker, topic, {"default/3": None, "default/4": b"\xffnot json", "nobody/1": {"text": "y"}})
    log = Lines()
    first = opened(broker, topic, log)
    reader = first.reader("default")
    wanted = [(str(i), f"{i} of 29") for i in (0, 1, 2, 5, 6, 7, 8, 9)] + [("a/b", "committed")]
    assert [(one.id, one.text) for one in reader.read()] == wanted
    assert sum(reader.positions.values()) > 300
    ((_, fields),) = log.warnings
    assert (fields["topic"], fields["id"]) == (topic, "4")

    def compacted() -> bool:
        send(broker, topic, {f"nobody/{i}": {"text": "rolls the segment"} for i in range(9)})
        return left(broker, topic) < 100

    eventually(compacted)
    second = opened(broker, topic, Lines())
    assert [(one.id, one.text) for one in second.reader("default").read()] == wanted
    assert not reader.changed()

    broker.add_partitions(topic, 6)
    send(broker, topic, {f"other/{i}": {"text": "in any partition"} for i in range(30)})
    assert first.wait_for_examples(["other"], threading.Event().is_set)
    eventually(lambda: len(first.reader("other").read()) == 30)
    first.close()
    second.close()


def test_a_new_example_is_in_force_within_a_second(broker: Topics, fresh: Callable[[str], str]) -> None:
    topic = broker.create_topic(fresh("targets"), 1, {"cleanup.policy": "compact"})
    targets = opened(broker, topic, Lines())
    reader = targets.reader("default")
    assert reader.read() == []
    times = []
    for number in range(10):  # the machine may be busy: the fastest of them counts
        began = time.monotonic()
        send(broker, topic, {"default/a": {"text": f"a {number}"}})
        eventually(reader.changed)
        times.append(time.monotonic() - began)
        if times[-1] < 1.0:
            break
        assert reader.read()
    assert min(times) < 1.0
    targets.close()
