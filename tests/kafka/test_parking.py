"""Pauses of single partitions: the library keeps what it had fetched of them, and must give it back."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable

import pytest

from tests.kafka.feeder import Feeder
from tests.kafka.topics import Topics
from tests.patience import PATIENCE
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
    deadline = time.monotonic() + PATIENCE
    while not past.exhausted:
        batch = past.poll(1024, 0.1, until)
        assert time.monotonic() < deadline, f"no more comes after {batch.positions}"
    past.close()


def test_a_source_that_is_closed_keeps_nothing_of_what_it_had_fetched_ahead(
    broker: Topics, fresh: Callable[[str], str]
) -> None:
    topic = broker.create_topic(fresh("documents"), 4)
    feeder = Feeder(broker.bootstrap, topic, partitions=4)
    feeder.send_some(12_000)
    feeder.flush()

    def read_a_little() -> None:
        source = KafkaSource(Connection(broker.bootstrap), topic, Decoder(dimension=64), max_document_bytes=25_000)
        deadline = time.monotonic() + PATIENCE
        while not source.poll(1, 0.1).documents:
            assert time.monotonic() < deadline
        held = tracemalloc.get_traced_memory()[0]
        source.close()
        fetched.append(held)

    fetched: list[int] = []
    gc.collect()
    gc.disable()  # it would be found in the end: a stream is not to wait for that
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        read_a_little()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()
    assert fetched[0] - before > 2_000_000, "there was something to let go of"
    assert kept < 400_000
