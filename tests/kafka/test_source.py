"""The source against a real server: what other producers, retention and operators do to a topic."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import NewPartitions

from tests.kafka.broker import Broker
from tests.kafka.topics import Topics
from tests.patience import PATIENCE
from tsds_stream.codecs import Decoder
from tsds_stream.records import Document
from tsds_stream.streams.base import Batch, Positions, SourceError
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.source import KafkaSource

# The client library leaves the sockets of refused connections to the collector.
pytestmark = pytest.mark.kafka


Open = Callable[..., KafkaSource]


@pytest.fixture
def source(caplog: pytest.LogCaptureFixture) -> Iterator[Open]:
    """`source(bootstrap, topic, **options)`; all are closed in the end."""
    opened: list[KafkaSource] = []

    def open_source(bootstrap: str, topic: str, **options: Any) -> KafkaSource:
        connection = Connection(bootstrap, request_timeout=10.0, startup_timeout=60.0)
        opened.append(KafkaSource(connection, topic, Decoder(), **{"max_document_bytes": 1 << 20, **options}))
        return opened[-1]

    yield open_source
    for one in opened:
        one.close()
    caplog.get_records("call").clear()  # lines of the library hold errors, and these the sockets they came from


def write(
    bootstrap: str,
    topic: str,
    records: Sequence[tuple[bytes | None, bytes | None]],
    partition: int = 0,
    commit: bool | None = None,
    headers: Any = None,
) -> None:
    """Send (key, value) pairs; `commit` makes or breaks a transaction of them."""
    settings = {"bootstrap.servers": bootstrap, "linger.ms": 1, "log_level": 0, "message.max.bytes": 8 << 20}
    if commit is not None:
        settings["transactional.id"] = f"other-{time.monotonic_ns()}"
    producer = Producer(settings)
    if commit is not None:
        producer.init_transactions(PATIENCE)
        producer.begin_transaction()
    for key, value in records:
        producer.produce(topic, value, key, partition, headers=headers)
    assert producer.flush(PATIENCE) == 0
    if commit is not None:
        (producer.commit_transaction if commit else producer.abort_transaction)(PATIENCE)


def named(names: str) -> list[tuple[bytes | None, bytes | None]]:
    return [(name.encode(), json.dumps({"text": f"text {name}"}).encode()) for name in names]


def ids(documents: Sequence[Document]) -> str:
    return "".join(document.id for document in documents)


def read(reader: KafkaSource, enough: Callable[[Batch, list[Document]], bool], until: Positions | None = None) -> Any:
    """Poll until it is enough; the last batch and all documents."""
    documents: list[Document] = []
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        batch = reader.poll(500, 0.1, until)
        documents += batch.documents
        if enough(batch, documents):
            return batch, documents
    raise AssertionError(f"not enough: {ids(documents)[-200:]} at {batch.positions}")


def until_error(reader: KafkaSource) -> str:
    """What polling ends with."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            reader.poll(500, 0.1)
        except SourceError as error:
            return str(error)
    raise AssertionError("nothing happened")


def test_records_come_as_they_were_written(broker: Topics, source: Open, fresh: Callable[[str], str]):
    topic = broker.create_topic(fresh("documents"), config={"max.message.bytes": 8 << 20})
    headers = [("twice", b"1"), ("twice", b"2"), ("empty", b""), ("none", None)]
    large = json.dumps({"text": "x" * 5_000_000}).encode()
    write(broker.bootstrap, topic, [(b"a", b'{"text": "one"}')], headers=headers)
    write(broker.bootstrap, topic, [(b"a", None), (None, None), (None, b'{"text": "nameless"}'), (b"L", large)])
    reader = source(broker.bootstrap, topic)
    batches: list[Batch] = []
    read(reader, lambda batch, _: (batches.append(batch), batch.positions["documents"] == {"0": 5})[1])
    first, second, third = [document for batch in batches for document in batch.documents]
    letters = [letter for batch in batches for letter in batch.dead_letters]
    assert first.raw is not None
    assert first.raw.headers == (("twice", b"1"), ("twice", b"2"), ("empty", b""))
    assert abs(time.time() * 1000 - (first.timestamp or 0)) < 60_000
    assert (second.id, second.deleted) == ("a", True)
    assert (third.text, len(third.id)) == ("nameless", 32)
    assert [(letter.reason, letter.source["offset"]) for letter in letters] == [("id", 2), ("too_large", 4)]
    assert letters[1].value == large
    reader = source(broker.bootstrap, topic, max_document_bytes=6_000_000)
    assert read(reader, lambda _, documents: len(documents) == 4)[1][3].text == "x" * 5_000_000


def test_aborted_transactions_are_passed_over_and_positions_still_arrive(
    broker: Topics, source: Open, fresh: Callable[[str], str]
):
    topic = broker.create_topic(fresh("documents"))
    write(broker.bootstrap, topic, named("ab"), commit=True)
    write(broker.bootstrap, topic, named("XYZ"), commit=False)
    write(broker.bootstrap, topic, named("c"), commit=True)
    write(broker.bootstrap, topic, named("QQ"), commit=False)
    reader = source(broker.bootstrap, topic)
    batch, documents = read(reader, lambda batch, _: batch.positions["documents"] == {"0": 12})
    assert ids(documents) == "abc"
    for bound in range(13):
        until = {**batch.positions, "documents": {"0": bound}, "began": {"0": 0}}
        reader.seek(None)
        last, before = read(reader, lambda batch, _: batch.positions == until, until)  # noqa: B023
        _, after = read(reader, lambda batch, _: batch.positions["documents"] == {"0": 12})
        assert reader.lag()["records"] == 0
        assert ids(before) + ids(after) == "abc"
        assert last.positions == until


def test_holes_of_compaction_are_passed_over(broker: Topics, source: Open, fresh: Callable[[str], str]):
    config = {
        "cleanup.policy": "compact",
        "segment.ms": 100,
        "min.cleanable.dirty.ratio": 0.001,
        "delete.retention.ms": 100,
    }
    topic = broker.create_topic(fresh("documents"), config=config)
    for name in "aaaabaaa":
        write(broker.bootstrap, topic, named(name))
    write(broker.bootstrap, topic, [(b"b", None)])
    reader = source(broker.bootstrap, topic)
    end = 9
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        write(broker.bootstrap, topic, named("z"))
        end += 1
        reader.seek(None)
        batch, documents = read(reader, lambda batch, _: batch.positions["documents"] == {"0": end})  # noqa: B023
        if len(documents) < 8:
            break
    assert len(documents) < 8, "the log was compacted"
    for bound in range(0, end + 1, 2):
        until = {**batch.positions, "documents": {"0": bound}}
        reader.seek(None)
        _, before = read(reader, lambda batch, _: batch.positions == until, until)  # noqa: B023
        assert all(document.source["offset"] < bound for document in before)


def test_retention_under_the_reader_is_an_error_or_an_accepted_gap(
    broker: Topics, source: Open, fresh: Callable[[str], str]
):
    topic = broker.create_topic(fresh("documents"))
    write(broker.bootstrap, topic, named("abcdef"))
    careful, content = source(broker.bootstrap, topic), source(broker.bootstrap, topic, accept_gap=True)
    for reader in (careful, content):
        assert len(reader.poll(2, PATIENCE).documents) == 2
        reader.seek(reader.poll(1, 0.0).positions)  # drops what is fetched already
    at = careful.poll(1, 0.1).positions["documents"]["0"]
    state = {**careful.poll(1, 0.1).positions, "documents": {"0": 1}}
    for reader in (careful, content):
        reader.seek(state)
    admin = broker.admin()  # to be kept: without it the answer never comes
    admin.delete_records([TopicPartition(topic, 0, 5)])[TopicPartition(topic, 0, 5)].result(PATIENCE)
    assert at > 1
    message = f"{topic}/0 has to be read from offset 1 on, and its log begins at 5: up to 4 records were deleted"
    assert message in until_error(careful)
    batch, documents = read(content, lambda batch, _: batch.positions["documents"] == {"0": 6})
    assert ids(documents) == "f"
    assert batch.positions["gaps"] == [{"partition": 0, "from": 1, "to": 5, "reason": "retention"}]
    committed = {**state, "documents": {"0": 6}}
    assert message in str(careful.unreachable(state, committed))
    assert not careful.reaches_back(committed)
    assert careful.reaches_back({**committed, "began": {"0": 5}})


@pytest.mark.parametrize("names", ["x", "abcdefgh"], ids=["shorter", "longer"])
def test_a_topic_made_again_under_the_reader_is_noticed(
    broker: Topics, source: Open, fresh: Callable[[str], str], names: str
):
    topic = broker.create_topic(fresh("documents"))
    write(broker.bootstrap, topic, named("abcd"))
    careful, content = source(broker.bootstrap, topic), source(broker.bootstrap, topic, accept_gap=True)
    for reader in (careful, content):
        read(reader, lambda batch, _: batch.positions["documents"] == {"0": 4})
    broker.delete_topic(topic)
    for reader in (careful, content):
        reader.poll(1, 0.3)
    broker.create_topic(topic, partitions=2)
    write(broker.bootstrap, topic, named(names))
    error = until_error(careful)
    assert f"{topic}/0 was read up to offset 4 in a topic that was deleted" in error
    assert "--accept-gap" in error
    batch, documents = read(content, lambda batch, _: batch.positions["documents"] == {"0": len(names), "1": 0})
    assert ids(documents) == names
    assert batch.positions["gaps"] == [{"partition": 0, "from": 4, "to": 0, "reason": "recreated"}]


def test_a_deleted_topic_ends_the_run(broker: Topics, source: Open, fresh: Callable[[str], str]):
    topic = broker.create_topic(fresh("documents"))
    write(broker.bootstrap, topic, named("abcd"))
    reader = source(broker.bootstrap, topic)
    read(reader, lambda batch, _: batch.positions["documents"] == {"0": 4})
    broker.delete_topic(topic)
    assert f"The topic '{topic}'" in (error := until_error(reader))
    assert "has been deleted; it was read up to 0 at 4" in error
    with pytest.raises(SourceError, match="There is no topic"):
        reader.seek(None)


def test_new_partitions_are_taken_up_within_seconds(broker: Topics, source: Open, fresh: Callable[[str], str]):
    topic = broker.create_topic(fresh("documents"))
    write(broker.bootstrap, topic, named("ab"))
    reader = source(broker.bootstrap, topic)
    read(reader, lambda _, documents: len(documents) == 2)
    admin = broker.admin()
    admin.create_partitions([NewPartitions(topic, 3)])[topic].result(PATIENCE)
    write(broker.bootstrap, topic, named("cd"), partition=2)
    write(broker.bootstrap, topic, named("e"), partition=0)
    batch, documents = read(reader, lambda _, documents: len(documents) == 3)
    assert sorted(ids(documents)) == ["c", "d", "e"]
    assert batch.positions["documents"] == {"0": 3, "1": 0, "2": 2}


def test_reading_rests_and_goes_on_in_another_thread(broker: Topics, source: Open, fresh: Callable[[str], str]):
    topic = broker.create_topic(fresh("documents"), partitions=3)
    for partition in range(3):
        write(
            broker.bootstrap,
            topic,
            [(None, json.dumps({"text": f"{partition} {n}"}).encode()) for n in range(400)],
            partition,
        )
    reader = source(broker.bootstrap, topic)
    reader.seek(None)
    seen: set[tuple[int, int]] = set()

    def poll() -> None:
        while len(seen) < 1200:
            batch = reader.poll(70, 0.1)
            places = [(document.source["partition"], document.source["offset"]) for document in batch.documents]
            assert not seen.intersection(places)
            seen.update(places)
            for _ in range(len(seen) % 3):
                reader.rest()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(poll).result(PATIENCE)
    assert seen == {(partition, offset) for partition in range(3) for offset in range(400)}


def test_a_broker_that_dies_under_the_reader_is_waited_for(own_broker: Broker, source: Open):
    topic = own_broker.create_topic("documents", partitions=2)
    write(own_broker.bootstrap, topic, named("abc"))
    reader = source(own_broker.bootstrap, topic, topic_check_interval=0.5)
    before, _ = read(reader, lambda _, documents: len(documents) == 3)
    own_broker.kill()
    restarted = threading.Thread(target=own_broker.start)
    longest, away = 0.0, time.monotonic()
    while restarted.ident is None or restarted.is_alive():
        started = time.monotonic()
        batch = reader.poll(100, 0.1)
        longest = max(longest, time.monotonic() - started)
        assert (batch.documents, batch.positions) == ([], before.positions)
        if restarted.ident is None and time.monotonic() > away + 1.5:  # the topic was to be looked at meanwhile
            restarted.start()
    write(own_broker.bootstrap, topic, named("de"), partition=1)
    batch, documents = read(reader, lambda _, documents: len(documents) == 2)
    assert ids(documents) == "de"
    assert batch.positions["documents"] == {"0": 3, "1": 2}
    assert longest < 30.0, "the end of the run can interrupt it; two cores may be busy with other things"
    own_broker.delete_topic(topic)
    assert "has been deleted" in until_error(reader), "it has gone on looking"
