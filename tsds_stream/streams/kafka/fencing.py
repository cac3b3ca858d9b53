"""Who took over: asked by an instance whose transaction the brokers refuse."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Final

from tsds_stream.records import Json
from tsds_stream.streams.kafka.client import Consumer
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import KafkaFailure, Partition
from tsds_stream.streams.kafka.marks import PARTITION, publisher_of

_PATIENCE: Final = 3.0  # seconds; whoever takes over says so at once
_POLL: Final = 0.1
_TAIL: Final = 5_000  # records, among which a claim of the last few seconds is


def successor(
    connection: Connection,
    selection: str,
    transactional_id: str,
    publisher: Json,
    last: int | None,
    make_consumer: Callable[..., Consumer] = Consumer,
) -> Json | None:
    """The publisher that wrote a claim or a mark after our last one; None: nobody has, or no broker says so.

    Args:
        publisher: ourselves.
        last: offset of our last claim or mark; None: there is none yet, and who started after us is looked for.
    """
    partition = Partition(selection, PARTITION)
    brief = replace(connection, startup_timeout=min(5.0, connection.startup_timeout))
    found = None
    try:
        consumer = make_consumer(brief)
        try:
            start = max(0, consumer.ends([partition])[partition] - _TAIL) if last is None else last + 1
            consumer.assign({partition: max(start, consumer.beginnings([partition])[partition])})
            began = time.monotonic()
            while found is None and time.monotonic() - began < _PATIENCE:
                for records in consumer.poll(_POLL, 2000).values():
                    for record in records:
                        told = publisher_of(transactional_id, record.key, record.value)
                        if told is None or told == publisher:
                            continue
                        if last is not None or told.get("started", 0) > publisher["started"]:
                            found = told
        finally:
            consumer.close()
    except KafkaFailure:
        return None  # best effort: the caller says what it knows anyway
    return found


def described(publisher: Json) -> str:
    """A publisher in words."""
    try:
        started = datetime.fromtimestamp(publisher["started"] / 1000, timezone.utc).isoformat(" ", "seconds")
        return f"process {publisher['pid']} on {publisher['host']}, started {started}"
    except (KeyError, TypeError, ValueError, OverflowError):
        return "an unknown process"
