"""Documents of the corpus as records of topics, sent by librdkafka as fast as it can."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgpack
import numpy as np
from confluent_kafka import KafkaError, Message, Producer

from benchmarks.corpus import Corpus
from benchmarks.documents import Documents

Pair = tuple[bytes, bytes | None]
_BLOCK = 4096
_SOURCE = "https://example.org/a/collection/of/passages/of/documentation/and/dictionaries"


def embedded_documents(corpus: Corpus, count: int) -> Iterator[Pair]:
    """Keys and msgpack values of some 1.5 KB: id, 256 float32, the passage, where it is from, a licence."""
    stream = Documents(corpus.documents)
    texts = itertools.cycle(corpus.lines(min(count, len(corpus.documents))))
    while stream.count < count:
        names, rows = stream.names(min(_BLOCK, count - stream.count)), None
        rows = stream.next(len(names)).astype("<f4")
        for name, row, text in zip(names, rows, texts, strict=False):
            meta = {"url": f"{_SOURCE}/{name}.html", "licence": "GPL-3.0-or-later", "language": "en"}
            value = {"id": name, "embedding": row.tobytes(), "text": text, "meta": meta}
            yield name.encode(), msgpack.packb(value)


def text_documents(corpus: Corpus, count: int) -> Iterator[Pair]:
    """Keys and JSON values: id and passage."""
    for number, text in enumerate(corpus.lines(count)):
        yield str(number).encode(), json.dumps({"id": str(number), "text": text}).encode()


def fill(bootstrap: str, topic: str, records: Iterable[Pair]) -> tuple[int, int]:
    """Send records, and return how many they were and their bytes when the server has acknowledged them all."""
    producer = fast_producer(bootstrap)
    errors: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            errors.append(error)

    count = size = 0
    for key, value in records:
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.05)
        count += 1
        size += len(value or b"")
        if count % 1000 == 0:
            producer.poll(0)
    if producer.flush(120) or errors:
        raise RuntimeError(f"the server did not take the documents: {errors[:1]}")
    return count, size


def fast_producer(bootstrap: str, linger: int = 50) -> Producer:
    """Large batches, and acknowledged."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": linger,
            "batch.size": 512 * 1024,
            "queue.buffering.max.messages": 200_000,
            "enable.idempotence": True,
            "log_level": 0,
        }
    )


def write_targets(path: Path, corpus: Corpus, count: int = 256) -> Path:
    """The held-out examples with their vectors."""
    with open(path, "w") as file:
        for number, row in enumerate(np.asarray(corpus.targets[:count]).tolist()):
            file.write(json.dumps({"id": f"t{number}", "embedding": row}) + "\n")
    return path
