"""Pauses of single partitions: the library keeps what it had fetched of them, and must give it back."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.kafka.feeder import Feeder
from tests.kafka.topics import Topics
from tsds_stream.codecs import Decoder
from tsds_stream.engine.past import PastSource
from tsds_stream.streams.base import Positions
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.source import KafkaSource

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("shares", [(1.0, 1.0, 0.9, 0.0, 1.0), (0.5, 0.5, 0.9, 0.1, 1.0), (0.0, 0.0, 0.0, 0.0, 0.0)])
def test_a_second_reading_goes_on_in_the_partitions_that_the_first_one_had_paused(
    broker: Topics, fresh: Callable[[str], str], shares: tuple[float, ...]
) -> None:
    topic = broker.create_topic(fresh("documents"), 5)
    feeder = Feeder(broker.bootstrap, topic, partitions=5)
    feeder.send_some(4000)
    feeder.flush()

    def source() -> KafkaSource:
        return KafkaSource(Connection(broker.bootstrap), topic, Decoder(dimension=64), max_document_bytes=25_000)

    live = source()
    positions = live.poll(1, 1.0).positions
    live.close()
    middle = {number: end * 6 // 10 for number, end in feeder.ledger.ends.items()}  # more is fetched than is wanted
    until: Positions = {**positions, "documents": {str(number): offset for number, offset in middle.items()}}
    reached = {str(number): int(middle[number] * share) for number, share in enumerate(shares)}
    past = PastSource(source(), {**positions, "documents": reached})
    deadline = time.monotonic() + 15
    while not past.exhausted:
        batch = past.poll(1024, 0.1, until)
        assert time.monotonic() < deadline, f"no more comes after {batch.positions}"
    past.close()
