"""What the served log costs: bytes per document, and time per batch."""

from __future__ import annotations

import random
import tempfile
import time
import uuid
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.loader.contestants import BATCH
from tsds_stream.loader.served_writer import ServedWriter

_WORDS: Final = ("data", "notes", "report", "archive", "article", "release", "index", "page", "topic", "item")


def served_log(count: int) -> dict[str, tuple[float, float]]:
    """By kind of id: bytes per document in the end, and the median time of a batch in µs."""
    some = random.Random(7)
    kinds = {
        "numbers (document-00001234)": [f"document-{k:08}" for k in range(count)],
        "URLs of 60 characters": [_url(some) for _ in range(count)],
        "UUIDs": [str(uuid.UUID(int=some.getrandbits(128), version=4)) for _ in range(count)],
    }
    return {kind: _written(some.sample(ids, len(ids))) for kind, ids in kinds.items()}


def _url(some: random.Random) -> str:
    """Some 60 characters."""
    words = "/".join(some.choices(_WORDS, k=4))
    return f"https://site-{some.randrange(500):03}.example/{words}/{some.randrange(10**9):09}"


def _written(ids: list[str]) -> tuple[float, float]:
    """Served once, in this order."""
    with tempfile.TemporaryDirectory() as folder:
        log, times = ServedWriter(folder), []
        log.begin(0)
        for step in range(len(ids) // BATCH):
            batch = ids[step * BATCH : (step + 1) * BATCH]
            began = time.perf_counter()
            log.write(step, 1_760_000_000_000 + 50 * step, "default", 1, 0, batch)
            times.append(time.perf_counter() - began)
        log.close()
        ServedWriter(folder).close()  # the next start compresses the last file
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        return size / len(ids), 1e6 * median(times)
