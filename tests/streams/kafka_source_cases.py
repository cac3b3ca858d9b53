"""A source over a topic in memory, and short ways to fill and read it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.engine_fakes import ManualClock
from tests.streams.kafka_in_memory import FakeKafka
from tsds_stream.codecs import Decoder
from tsds_stream.records import Document
from tsds_stream.streams.base import Positions
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.source import KafkaSource


def source(kafka: FakeKafka, clock: ManualClock | None = None, **options: Any) -> KafkaSource:
    clock = clock or ManualClock()
    options = {"max_document_bytes": 1000, "decoder": Decoder()} | options
    return KafkaSource(
        Connection("memory:9092"),
        kafka.name,
        clock=clock.monotonic,
        sleep=clock.move,
        now=clock.now,
        clients=kafka.clients(),
        **options,
    )


def value(name: str, text: str = "some text") -> bytes:
    return json.dumps({"id": name, "text": text}).encode()


def fill(kafka: FakeKafka, count: int, partition: int = 0, prefix: str = "") -> None:
    for number in range(count):
        kafka.put(value(f"{prefix}{partition}-{number}"), partition=partition)


def drain(reader: KafkaSource, until: Positions | None = None, limit: int = 100) -> list[Document]:
    """All there is (up to `until`)."""
    documents: list[Document] = []
    while True:
        batch = reader.poll(limit, 0.0, until)
        documents += batch.documents
        if not batch.documents and (until is None or reader.exhausted):
            return documents


def offsets(positions: Positions) -> dict[str, int]:
    return positions["documents"]


def names(documents: Sequence[Document]) -> list[str]:
    return [document.id for document in documents]


def source_positions(
    kafka: FakeKafka,
    documents: dict[str, int],
    began: dict[str, int] | None = None,
    topic_id: str | None = None,
    gaps: list[dict[str, Any]] | None = None,
) -> Positions:
    positions: Positions = {
        "documents": documents,
        "topic": kafka.name,
        "topic_id": topic_id or kafka.id,
        "began": began or dict.fromkeys(documents, 0),
    }
    return {**positions, "gaps": gaps} if gaps else positions
