"""Twenty thousand records of which most are broken: every one becomes a document or a dead letter, and nothing ends."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message, Producer

from tests.kafka.fuzzing import Fuzz
from tests.kafka.topics import Topics
from tests.patience import PATIENCE
from tsds_stream import Selector, SelectorConfig
from tsds_stream.codecs import Decoder
from tsds_stream.embedding.hashing import HashingEmbedder
from tsds_stream.embedding.settings import HashingSettings
from tsds_stream.engine.clock import SystemClock
from tsds_stream.engine.intake import Intake
from tsds_stream.engine.preparation import Preparer
from tsds_stream.engine.statistics import SetStatistics, Statistics
from tsds_stream.engine.stop import Stop
from tsds_stream.logs import LineLog
from tsds_stream.records import DeadLetter, Document
from tsds_stream.streams.clocks import wall_clock
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.dead_letters import decode_letter, encode_letter
from tsds_stream.streams.kafka.source import KafkaSource

# The client library leaves the sockets of refused connections to the collector.
pytestmark = pytest.mark.kafka

COUNT = 20_000
DIMENSION = 64
PARTITIONS = 4
LONGEST = 30_000
EXPECTED = {"decode", "encoding", "not_an_object", "nesting", "embedding", "no_text", "id", "tokens", "timestamp"}
Place = tuple[int, int]
Pair = tuple[bytes | None, bytes | None]


class Keeper:
    """Keeps nothing, and sees whether bodies could be published."""

    def put(self, documents: Any, keys: Any) -> None:
        assert all(len(key) == 16 for key in keys)
        assert all(document.id for document in documents)


def sent(bootstrap: str, topic: str) -> dict[Place, Pair]:
    """Send the records; where the server has put each of them."""
    places: dict[Place, Pair] = {}

    def note(pair: Pair) -> Callable[[KafkaError | None, Message], None]:
        def delivered(error: KafkaError | None, message: Message) -> None:
            assert error is None
            places[int(message.partition() or 0), int(message.offset() or 0)] = pair

        return delivered

    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "log_level": 0})
    for key, value in Fuzz(7, DIMENSION).records(COUNT):
        producer.produce(topic, value, key, on_delivery=note((key, value)))
        producer.poll(0)
    assert producer.flush(60) == 0
    assert len(places) == COUNT
    return places


def place_of(record: Document | DeadLetter) -> Place:
    return record.source["partition"], record.source["offset"]


def test_every_record_becomes_a_document_or_a_dead_letter(broker: Topics, fresh: Callable[[str], str]):
    topic = broker.create_topic(fresh("documents"), PARTITIONS)
    places = sent(broker.bootstrap, topic)
    embedder = HashingEmbedder(HashingSettings(dimension=DIMENSION))
    clock, statistics, log = SystemClock(), Statistics(sets={"default": SetStatistics()}), LineLog("error")
    preparer = Preparer(embedder, clock, statistics, log, Stop())
    config = SelectorConfig(budget=50)
    selector = Selector(embedder.embed(["red sea", "green stone"]), config)
    one: Any = SimpleNamespace(name="default", config=config, selector=selector)
    intake = Intake([one], Keeper(), clock, statistics)
    decoder = Decoder(dimension=DIMENSION, clock=wall_clock)
    source = KafkaSource(Connection(broker.bootstrap), topic, decoder, max_document_bytes=LONGEST)
    accepted: list[Place] = []
    letters: list[DeadLetter] = []
    deadline = time.monotonic() + PATIENCE
    while len(accepted) + len(letters) < COUNT:
        assert time.monotonic() < deadline, f"{len(accepted)} documents and {len(letters)} dead letters of {COUNT}"
        batch = source.poll(1024, 0.5)
        prepared = preparer.prepare(batch)
        refused = intake.apply(prepared)
        out = {place_of(letter) for letter in refused}
        accepted += [place for document in prepared.documents if (place := place_of(document)) not in out]
        letters += [*prepared.dead_letters, *refused]
    source.close()
    revision = selector.refresh()
    assert revision is not None
    assert len(revision.ids) > 0
    assert Counter([*accepted, *map(place_of, letters)]) == Counter(places.keys())
    for letter in letters:
        assert (letter.key, letter.value) == places[place_of(letter)]
        assert letter.detail
        wire = encode_letter(letter)
        assert wire.key is not None or wire.value is not None
        assert decode_letter(wire.key, wire.value, wire.headers) == letter
    reasons = Counter(letter.reason for letter in letters)
    assert reasons.keys() >= EXPECTED
    assert len(accepted) > COUNT / 10
