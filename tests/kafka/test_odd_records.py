"""Records that the client library cannot read as they are: nothing behind them may wait for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch

from tests.kafka.topics import Topics
from tests.patience import PATIENCE
from tsds_stream.codecs import Decoder
from tsds_stream.records import DeadLetter, Document
from tsds_stream.streams.kafka.client import Consumer
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import Partition, Unreachable
from tsds_stream.streams.kafka.source import KafkaSource

pytestmark = pytest.mark.kafka


class Bytes(str):
    """A name that some producers may write."""

    def encode(self, *_: Any) -> bytes:
        return b"\xff\xfename"


def write(bootstrap: str, topic: str, values: list[bytes], headers: Any = ()) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=50)
    for value in values:
        producer.send(topic, value, headers=list(headers))
    producer.flush(10)
    producer.close()


def test_a_header_whose_name_is_not_utf_8_stops_nothing(broker: Topics, fresh: Callable[[str], str]) -> None:
    topic = broker.create_topic(fresh("documents"))
    write(broker.bootstrap, topic, [b'{"id": "a", "text": "one"}'])
    odd = [b'{"id": "b", "text": "two"}', b"no document"]
    write(broker.bootstrap, topic, odd, [("before", b"1"), (Bytes("name"), b"2")])
    write(broker.bootstrap, topic, [b'{"id": "c", "text": "three"}'])
    reader = KafkaSource(Connection(broker.bootstrap), topic, Decoder(), max_document_bytes=1000)
    documents: list[Document] = []
    letters: list[DeadLetter] = []
    deadline = time.monotonic() + PATIENCE
    while len(documents) + len(letters) < 4 and time.monotonic() < deadline:
        batch = reader.poll(100, 0.2)
        documents += batch.documents
        letters += batch.dead_letters
    reader.close()
    assert [document.id for document in documents] == ["a", "b", "c"]
    assert [letter.headers for letter in letters] == [(("before", b"1"), ("\\xff\\xfename", b"2"))]


def test_records_that_cannot_be_read_are_told_of_at_every_poll(
    broker: Topics, fresh: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would tell once, and then never come back from a poll."""
    topic = broker.create_topic(fresh("documents"))
    write(broker.bootstrap, topic, [b"1", b"2", b"3"])
    consumer = Consumer(Connection(broker.bootstrap))
    consumer.assign({Partition(topic, 0): 0})
    original, damaged = DefaultRecordBatch.__next__, [True]

    def read(self: Any) -> Any:
        record = original(self)
        if record.offset == 1 and damaged[0]:
            raise CorruptRecordError("damaged")
        return record

    monkeypatch.setattr(DefaultRecordBatch, "__next__", read)
    found: list[bytes | None] = []
    told: list[str] = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < 3 and time.monotonic() < deadline:
        try:
            found += [record.value for records in consumer.poll(0.2, 100).values() for record in records]
        except Unreachable as error:
            told.append(str(error))
            damaged[0] = len(told) < 3
    consumer.close()
    assert found == [b"1", b"2", b"3"]
    assert len([sentence for sentence in told if "damaged" in sentence]) == 3
