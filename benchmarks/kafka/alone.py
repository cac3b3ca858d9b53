"""What the daemon is compared with, each in a process of its own: `python -m benchmarks.kafka.alone`.

`poll BOOTSTRAP TOPIC COUNT OFFSET…`: nothing but kafka-python's poll, with the settings that are best for it, from one
offset per partition on. `embed FROM COUNT [--quick]`: nothing but the static embedder, on texts that are in memory.
Both print one line of JSON: count, wall and cpu seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BATCH = 1024


def run(*arguments: object) -> dict[str, Any]:
    """One of the two in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.kafka.alone", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).resolve().parent.parent.parent)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def poll(bootstrap: str, topic: str, count: int, offsets: list[int]) -> dict[str, float]:
    """Time starts with the first record."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        max_poll_records=2000,
        fetch_max_wait_ms=100,
        receive_buffer_bytes=1024 * 1024,
        metrics_enabled=False,
    )
    partitions = [TopicPartition(topic, number) for number in range(len(offsets))]
    consumer.assign(partitions)
    for partition, offset in zip(partitions, offsets, strict=True):
        consumer.seek(partition, offset)

    def read() -> int:
        return sum(map(len, consumer.poll(timeout_ms=1000).values()))

    while not read():
        pass
    return _timed(iter(read, None), count)


def embed(first: int, count: int, quick: bool) -> dict[str, float]:
    """The embedder as the daemon uses it, in batches of the same size."""
    from benchmarks.corpus import CACHE
    from tsds_stream.embedding import create
    from tsds_stream.embedding.settings import StaticSettings

    path = CACHE / ("corpus-small" if quick else "corpus") / "passages.txt"
    texts = path.read_text(encoding="utf-8").split("\n")[first : first + count]
    embedder = create(StaticSettings())
    embedder.embed_all(texts[:_BATCH])

    def embedded() -> Iterator[int]:
        for start in range(0, len(texts), _BATCH):
            yield len(embedder.embed_all(texts[start : start + _BATCH]).vectors)

    return _timed(embedded(), len(texts))


def _timed(steps: Iterator[int], count: int) -> dict[str, float]:
    done = 0
    began, cpu = time.perf_counter(), time.process_time()
    while done < count:
        done += next(steps)
    return {"count": done, "wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "poll":
        figures = poll(rest[0], rest[1], int(rest[2]), [int(offset) for offset in rest[3:]])
    else:
        figures = embed(int(rest[0]), int(rest[1]), "--quick" in rest)
    print(json.dumps(figures))
