"""A million records of which most are broken, through the daemon: every one becomes a document or a dead letter."""

from __future__ import annotations

import time
from collections.abc import Iterator

from confluent_kafka import Consumer, TopicPartition

from benchmarks.corpus import Corpus
from benchmarks.kafka.filling import fill
from benchmarks.kafka.resources import Resources
from benchmarks.kafka.world import World
from benchmarks.report import Part
from tests.kafka.fuzzing import Fuzz, Pair

_DIMENSION = 64
_MOST_GROWTH = 32.0  # megabytes over the second half
_OVERSIZED = 1000  # of so many, one is larger than the daemon accepts


def measure(world: World, corpus: Corpus, quick: bool) -> Part:
    """Read by the real daemon with the hashing embedder."""
    part = Part()
    count = 20_000 if quick else 1_000_000
    documents = world.topic("documents")
    written, size = fill(world.bootstrap, documents, _records(count))
    targets = world.folder / "targets.jsonl"
    targets.write_text('{"id": "a", "text": "red sea"}\n{"id": "b", "text": "green stone"}\n')
    stand = world.stand(
        documents,
        targets,
        {
            "source": {"max_document_bytes": 30_000},
            "embedder": {"kind": "hashing", "dimension": _DIMENSION},
            "target_sets": {"budget": 100},
            "state": {"checkpoint_interval": 5.0},
        },
    )
    daemon = stand.start()
    began = time.monotonic()
    with Resources(daemon, stand.state) as resources:
        deadline = began + 900
        while sum(stand.committed().values()) < written:
            daemon.must_run()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{sum(stand.committed().values())} of {written} records are done")
            time.sleep(0.3)
        seconds = time.monotonic() - began
    daemon.stop()
    last = daemon.statistics()[-1]
    letters = _count(world.bootstrap, stand.topics["dead_letters"])
    accounted = last["documents_applied"] + letters
    # The first half brings every kind of record, all ids and full lists; after it there is nothing left to grow for.
    growth = resources.growth("resident MB")
    flat = growth < _MOST_GROWTH
    part.details = {
        "records": written,
        "bytes": size,
        "seconds": round(seconds, 1),
        "applied": last["documents_applied"],
        "retractions": last["retractions"],
        "dead letters": letters,
        "resources": resources.summary(),
        "log": daemon.said().splitlines()[:40],
    }
    part.add(
        f"fuzz: {written:,} records, mutated, nested, cut, claiming 50 MB, not finite, not UTF-8, through the daemon",
        "no crash; accepted + dead letters = read; memory flat",
        f"{last['documents_applied']:,} accepted + {letters:,} dead letters = {accounted:,} of {written:,} read in "
        f"{seconds:.0f} s; resident memory {growth:+.0f} MB over the second half, {resources.most('resident MB'):.0f} "
        "MB at most",
        accounted == written and last["dead_letters"] == letters and flat,
    )
    return part


def _records(count: int) -> Iterator[Pair]:
    for number, (key, value) in enumerate(Fuzz(0, _DIMENSION).records(count)):
        yield (key, b'{"text": "' + b"x" * 100_000 + b'"}') if number % _OVERSIZED == 0 else (key, value)


def _count(bootstrap: str, topic: str) -> int:
    """Records that a read_committed consumer gets."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "counter",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    count = 0
    while True:
        for message in consumer.consume(5000, 1.0):
            if message.error():
                consumer.close()
                return count
            count += 1
