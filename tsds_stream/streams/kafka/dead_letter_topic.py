"""Reading the dead letters of a topic."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from tsds_stream.records import DeadLetter
from tsds_stream.streams.kafka.client import Consumer
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.dead_letters import decode_letter
from tsds_stream.streams.kafka.errors import Partition
from tsds_stream.streams.kafka.following import partitions_of
from tsds_stream.streams.kafka.readback import batches_to

log = logging.getLogger(__name__)


def read_dead_letters(
    connection: Connection, topic: str, make_consumer: Callable[..., Consumer] = Consumer
) -> Iterator[DeadLetter]:
    """Those that are there now, the oldest of each partition first. What is none is left out, with a warning.

    Raises:
        KafkaFailure: there is no such topic, or no broker answers.
    """
    consumer = make_consumer(connection)
    try:
        ends = consumer.ends(partitions_of(consumer, topic))
        for records in batches_to(consumer, ends):
            for record in records:
                try:
                    yield decode_letter(record.key, record.value, record.headers)
                except ValueError as error:
                    log.warning("offset %d of %s: %s", record.offset, Partition(topic, record.partition), error)
    finally:
        consumer.close()
