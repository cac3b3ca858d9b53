"""The Kafka sink on a real server: whole revisions or nothing, whatever dies and wherever."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from subprocess import PIPE
from threading import Timer
from typing import Any

import pytest
from confluent_kafka import Consumer as ForeignConsumer
from confluent_kafka import Producer as ForeignProducer
from confluent_kafka import TopicPartition

from tests.kafka.broker import Broker
from tests.kafka.sink_child import ROOT, Child
from tests.kafka.topics import Topics
from tests.patience import PATIENCE
from tests.streams.kafka_publications import Story, positions
from tsds_stream.records import DeadLetter
from tsds_stream.streams.base import Committed, Fenced, SinkError, SinkUnavailable
from tsds_stream.streams.kafka.client import Admin, Consumer, Producer
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.dead_letter_topic import read_dead_letters
from tsds_stream.streams.kafka.errors import Partition
from tsds_stream.streams.kafka.following import partitions_of
from tsds_stream.streams.kafka.sink import KafkaSink
from tsds_stream.streams.kafka.startup import Clients

pytestmark = pytest.mark.kafka

COMPACTED = {"cleanup.policy": "compact"}
Names = dict[str, str]


def made(topics: Topics, fresh: Callable[[str], str], **config: Any) -> Names:
    """Topics of one publisher, and its names."""
    return {
        "selection": topics.create_topic(fresh("selection"), 3, COMPACTED | config),
        "revisions": topics.create_topic(fresh("revisions"), 1, config),
        "dead_letters": topics.create_topic(fresh("dead-letters"), 1, config),
        "documents": topics.create_topic(fresh("documents"), 2),
        "transactional_id": fresh("tsds"),
        "group_id": fresh("group"),
    }


@pytest.fixture
def names(broker: Topics, fresh: Callable[[str], str]) -> Names:
    return made(broker, fresh)


def connection(topics: Topics) -> Connection:
    return Connection(topics.bootstrap, request_timeout=30, startup_timeout=60)


def open_sink(topics: Topics, names: Names, **told: Any) -> KafkaSink:
    return KafkaSink(connection(topics), **names, transaction_timeout=told.pop("transaction_timeout", 60), **told)


def recovered(topics: Topics, names: Names, **told: Any) -> Committed:
    sink = open_sink(topics, names, **told)
    try:
        return sink.recover()
    finally:
        sink.close()


def follow(topics: Topics, topic: str) -> Iterator[Any]:
    """All that a plain consumer of committed records sees, partition by partition."""
    settings = {"bootstrap.servers": topics.bootstrap, "group.id": "witness", "isolation.level": "read_committed"}
    consumer = ForeignConsumer(settings | {"log_level": 0, "enable.partition.eof": True, "enable.auto.commit": False})
    partitions = topics.leaders(topic)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    ended: set[int] = set()
    deadline = time.monotonic() + PATIENCE
    while ended != set(partitions):
        assert time.monotonic() < deadline, f"{topic} did not end"
        for message in consumer.consume(500, 0.1):
            if message.error():
                ended.add(message.partition())
            else:
                yield message
    consumer.close()


def check_revisions(topics: Topics, names: Names, story: Story, count: int) -> None:
    """A consumer that stops at each boundary holds each revision, computed without any of our code."""
    changes = [message for message in follow(topics, names["selection"]) if not message.key().startswith(b":")]
    revisions = [json.loads(message.value()) for message in follow(topics, names["revisions"])]
    assert [one["revision"] for one in revisions] == list(range(1, count + 1))
    for revision in revisions:
        held: dict[str, Any] = {}
        for message in changes:
            if message.offset() < revision["selection_end"][str(message.partition())]:
                name = message.key().decode().partition("/")[2]
                held[name] = None if message.value() is None else json.loads(message.value())
        digest = hashlib.blake2b(digest_size=16)
        for name, value in sorted(held.items(), key=lambda item: item[0].encode()):
            if value is not None:
                digest.update(struct.pack("<I", len(name.encode())) + name.encode())
                digest.update(struct.pack("<dd", value["probability"], value["weight"]))
        assert digest.hexdigest() == revision["published_digest"], revision["revision"]


def free(topics: Topics, names: Names) -> bool:
    """Whether no transaction is open in any of the topics."""
    ends = []
    for committed_only in (True, False):
        consumer = Consumer(connection(topics), committed_only=committed_only)
        ends.append(
            [
                consumer.ends(partitions_of(consumer, names[topic]))
                for topic in ("selection", "revisions", "dead_letters")
            ]
        )
        consumer.close()
    return ends[0] == ends[1]


def test_a_restart_finds_what_was_published(broker: Topics, names: Names):
    sink, news, code = open_sink(broker, names), Story("news"), Story("code")
    assert sink.recover() == Committed(None, {}, {})
    at = [positions(n, n + 1, topic=names["documents"]) for n in range(3)]
    sink.commit([news.publication({"a": 0.5, "ä/ö\x00🦆": 0.1}), code.publication({"x": 0.3})], [], at[0])
    last = news.publication({"c": 1e-300}, ("a",))
    sink.commit([last], [], at[1])
    sink.heartbeat(at[2], 0)
    sink.close()
    found = recovered(broker, names)
    assert found.positions == at[2]
    assert found.members == {"news": news.members, "code": code.members}
    assert found.revisions["news"] == last.revision
    check_revisions_of_news = [json.loads(message.value()) for message in follow(broker, names["revisions"])]
    assert [one["revision"] for one in check_revisions_of_news if one["set"] == "news"] == [1, 2]


POINTS = [
    ("send", 3, "after"),
    ("flush", 1, "after"),
    ("flush", 2, "after"),
    ("flush", 3, "after"),
    ("send_offsets", 1, "after"),
    ("commit", 1, "after"),
]


def test_a_kill_between_any_two_steps_leaves_a_whole_revision_and_no_open_transaction(broker: Topics, names: Names):
    story, published = Story(), 0
    for call, nth, when in POINTS:
        Child(broker.bootstrap, names, call, nth, when).kill()
        began = time.monotonic()
        sink = open_sink(broker, names)
        found = sink.recover()
        assert time.monotonic() - began < 40, "it does not wait for the time-out of the transaction"
        assert free(broker, names)
        published += call == "commit"
        story.follow(found)
        assert story.number == published, (call, nth)
        assert found.positions == (positions(published, topic=names["documents"]) if published else None)
        published += 1
        sink.commit([story.publication({f"p{published}": 0.5})], [], positions(published, topic=names["documents"]))
        sink.close()
    check_revisions(broker, names, story, published)
    assert [letter.detail for letter in read_dead_letters(connection(broker), names["dead_letters"])] == ["of 6"]


@pytest.mark.parametrize(("call", "nth"), [("flush", 1), ("commit", 1)])
def test_a_zombie_is_fenced_off_and_says_by_whom(broker: Topics, names: Names, call: str, nth: int):
    zombie = Child(broker.bootstrap, names, call, nth, "before")
    sink, story = open_sink(broker, names), Story()
    story.follow(sink.recover())
    sink.commit([story.publication({"live": 0.5})], [], positions(5, topic=names["documents"]))
    zombie.go_on()
    _, said, errors = zombie.ended()
    assert said["error"] == "Fenced", (said, errors)
    assert f"process {os.getpid()} on" in said["message"]
    sink.commit([story.publication({"goes on": 0.5})], [], positions(6, topic=names["documents"]))
    sink.close()
    assert recovered(broker, names).members == {"news": story.members}
    check_revisions(broker, names, story, 2)


def test_the_last_of_two_publishers_lives(broker: Topics, names: Names):
    story = Story()
    first, second = open_sink(broker, names), open_sink(broker, names, version="2.0")
    first.recover()
    first.commit([story.publication({"a": 0.5})], [], positions(1, topic=names["documents"]))
    second.recover()
    began = time.monotonic()
    with pytest.raises(Fenced, match=rf"process {os.getpid()} on .* must not be started again"):
        first.heartbeat(positions(2, topic=names["documents"]), 0)
    assert time.monotonic() - began < 40, "nothing waits for the time-out of the transaction"
    second.commit([story.publication({"b": 0.5})], [], positions(3, topic=names["documents"]))
    for sink in (first, second):
        sink.close()
    assert recovered(broker, names).members == {"news": story.members}


def test_a_zombie_that_wakes_within_our_transaction_costs_at_most_one_new_start(broker: Topics, names: Names):
    """The brokers may end the producers of both. Only the zombie must stay down."""
    zombie = Child(broker.bootstrap, names, "flush", 3, "before")
    said: list[dict[str, Any]] = []

    class Disturbed(Producer):
        def send_offsets(self, *given: Any) -> None:
            zombie.go_on()
            said.append(zombie.ended()[1])
            super().send_offsets(*given)

    sink, story = open_sink(broker, names, clients=Clients(producer=Disturbed)), Story()
    story.follow(sink.recover())
    with suppress(SinkUnavailable):  # and never `Fenced`
        sink.commit([story.publication({"a": 0.5})], [], positions(1, topic=names["documents"]))
    sink.close()
    assert [one["error"] for one in said] == ["Fenced"]
    sink = open_sink(broker, names)
    story.follow(sink.recover())
    sink.commit([story.publication({"b": 0.5})], [], positions(2, topic=names["documents"]))
    sink.close()
    assert story.number in (1, 2)
    check_revisions(broker, names, story, story.number)


def test_a_broker_that_dies_before_the_commit_ends_the_process_and_the_next_start_settles_it(
    own_broker: Broker, fresh: Callable[[str], str]
):
    names = made(own_broker, fresh)
    child = Child(own_broker.bootstrap, names, "commit", 1, "before", timeout=4)
    own_broker.kill()
    child.go_on()
    status, said, errors = child.ended()
    if status == 1:
        assert "while trying to publish: this process ends with code 1" in errors
        assert "Timeout (0:00:04)!" in errors
    else:
        assert said["error"] == "SinkUnavailable"
    own_broker.start()
    sink, story = open_sink(own_broker, names), Story()
    found = sink.recover()
    story.follow(found)
    assert found.positions == (positions(1, topic=names["documents"]) if story.number else None)
    sink.commit([story.publication({"after": 0.5})], [], positions(2, topic=names["documents"]))
    sink.close()
    assert free(own_broker, names)
    check_revisions(own_broker, names, story, story.number)


def test_compaction_does_not_change_what_is_found(broker: Topics, fresh: Callable[[str], str]):
    quick = {"segment.ms": 100, "min.cleanable.dirty.ratio": 0.001, "delete.retention.ms": 100}
    names = made(broker, fresh)
    names["selection"] = broker.create_topic(fresh("compacted"), 2, COMPACTED | quick)
    sink, story = open_sink(broker, names), Story()
    sink.recover()
    deadline = time.monotonic() + PATIENCE
    sent = 0
    while True:
        gone = (f"n{sent - 20}",) if sent >= 20 else ()
        add = {f"n{sent}": 0.5, "a": 0.1 + sent / 1000}
        sink.commit([story.publication(add, gone)], [], positions(sent, topic=names["documents"]))
        sent += 1
        if sent % 40 == 0:
            kept = sum(1 for _ in follow(broker, names["selection"]))
            if kept < 2 * sent:  # of three records and more in each
                break
            assert time.monotonic() < deadline, "compaction did not run"
    sink.close()
    assert recovered(broker, names).members == {"news": story.members}


def test_dead_letters_arrive_as_they_were(broker: Topics, names: Names):
    source = {"topic": "documents", "partition": 0, "offset": 1}
    letters = [
        DeadLetter("id", "neither", source, None, None, 1),
        DeadLetter("decode", "bytes", source, b"\xff", b"\x00\xfe", 2, (("h", b"1"), ("h", b""))),
        DeadLetter("id", "a tombstone", source, b"k", None, 3),
        DeadLetter("empty", "nothing in it", source, b"", b"", 4),
    ]
    sink = open_sink(broker, names)
    sink.recover()
    sink.commit([], letters, positions(1, topic=names["documents"]))
    sink.close()
    assert list(read_dead_letters(connection(broker), names["dead_letters"])) == letters


def test_records_that_do_not_fit_are_sent_as_references(broker: Topics, fresh: Callable[[str], str]):
    names = made(broker, fresh, **{"max.message.bytes": 20_000})
    sink, story = open_sink(broker, names), Story()
    sink.recover()
    texts = {size: story.publication({f"of {size}": 0.5}, text="x" * size) for size in (19_000, 19_800, 25_000)}
    letter = DeadLetter("decode", "large", {"offset": 1}, b"k", b"v" * 30_000, 1)
    for number, publication in enumerate(texts.values(), 1):
        sink.commit([publication], [letter], positions(number, topic=names["documents"]))
    assert sink.oversized == 5
    many = story.publication({f"m{n}": 0.5 for n in range(50)}, text="y" * 9_000)  # together more than a batch may have
    sink.commit([many], [], positions(9, topic=names["documents"]))
    sink.close()
    assert recovered(broker, names).members == {"news": story.members}
    values = [json.loads(m.value()) for m in follow(broker, names["selection"]) if not m.key().startswith(b":")]
    assert {value["id"] for value in values if "text" not in value} == {"of 19800", "of 25000"}
    found = list(read_dead_letters(connection(broker), names["dead_letters"]))
    assert [(one.key, one.value) for one in found] == [(b"k", None)] * 3


def test_two_hundred_partitions_fit_beside_the_offsets(broker: Topics, names: Names, fresh: Callable[[str], str]):
    names["documents"] = broker.create_topic(fresh("wide"), 200)
    at = positions(*range(10**12, 10**12 + 200), topic=names["documents"], topic_id="A" * 22)
    sink = open_sink(broker, names)
    sink.recover()
    sink.heartbeat(at, 0)
    sink.close()
    assert recovered(broker, names).positions == at
    consumer = Consumer(connection(broker), group_id=names["group_id"])
    marks = consumer.committed([Partition(names["documents"], 0), Partition(names["documents"], 199)])
    consumer.close()
    assert [mark.offset for mark in marks.values()] == [10**12, 10**12 + 199]
    assert json.loads(marks[Partition(names["documents"], 0)].metadata)["topic_id"] == "A" * 22


def test_offsets_that_were_never_ours_are_honoured(broker: Topics, names: Names):
    consumer = ForeignConsumer({"bootstrap.servers": broker.bootstrap, "group.id": names["group_id"], "log_level": 0})
    consumer.commit(offsets=[TopicPartition(names["documents"], 1, 0)], asynchronous=False)
    consumer.close()
    admin = Admin(connection(broker))
    topic_id = admin.topics([names["documents"]])[names["documents"]].id
    admin.close()
    assert recovered(broker, names).positions == positions(0, 0, topic=names["documents"], topic_id=topic_id)


def test_the_transaction_of_a_stranger_is_waited_for(broker: Topics, names: Names, fresh: Callable[[str], str]):
    stranger = ForeignProducer(
        {"bootstrap.servers": broker.bootstrap, "transactional.id": fresh("stranger"), "log_level": 0}
    )
    stranger.init_transactions(PATIENCE)
    stranger.begin_transaction()
    stranger.produce(names["selection"], b"x", b"other/x", partition=1)
    stranger.flush(PATIENCE)
    sink = open_sink(broker, names)
    began = time.monotonic()
    timer = Timer(1.5, lambda: stranger.abort_transaction(PATIENCE))
    timer.start()
    sink.recover()
    assert time.monotonic() - began > 1.0
    sink.heartbeat(positions(1, topic=names["documents"]), 0)
    sink.close()
    timer.join()


def test_a_missing_topic_is_named_with_its_remedy(broker: Topics, names: Names, fresh: Callable[[str], str]):
    names["dead_letters"] = fresh("nowhere")
    with pytest.raises(SinkError, match=rf"no topic '{names['dead_letters']}'; `tsds-stream topics --create`"):
        recovered(broker, names)


BEATS = """
import json, sys
from tests.streams.kafka_publications import positions
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.sink import KafkaSink

bootstrap, names = json.loads(sys.argv[1])
sink = KafkaSink(Connection(bootstrap), **names, transaction_timeout=60)
sink.recover()
for offset in (1, 2):
    sink.heartbeat(positions(offset, topic=names["documents"]), 0)
    print(offset, flush=True)
    sys.stdin.readline()
"""


def test_a_transaction_goes_on_when_its_coordinator_is_back(own_broker: Broker, fresh: Callable[[str], str]):
    """A broker that is started anew costs as long as it is away, and not the process."""
    names = made(own_broker, fresh)
    command = [sys.executable, "-W", "ignore", "-c", BEATS, json.dumps([own_broker.bootstrap, names])]
    process = subprocess.Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n", process.communicate()[1]
    own_broker.stop()
    back = Timer(4.0, own_broker.start)  # by then the client has noticed, and has pauses between its attempts
    back.start()
    time.sleep(1.0)
    try:
        said, errors = process.communicate("\n\n", timeout=PATIENCE)
    finally:
        process.kill()
        back.join()
    assert said == "2\n", errors
    assert recovered(own_broker, names).positions == positions(2, topic=names["documents"])
