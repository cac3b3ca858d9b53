"""Saving and loading a selector with a million list entries, and how long another thread has to wait meanwhile."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.corpus import Corpus
from benchmarks.documents import Documents
from benchmarks.measuring import timed, watched_stalls
from benchmarks.report import Part
from tsds_stream import Selector, SelectorConfig


def measure(corpus: Corpus, quick: bool) -> Part:
    """M = 1000 rows of max_k 750 and a reserve of 250."""
    part = Part()
    targets, max_k, documents = (100, 100, 5000) if quick else (1000, 750, 200_000)
    stream = Documents(corpus.documents)
    selector = Selector(stream.mixtures(targets), SelectorConfig(max_k=max_k, sigma=0.4))
    while stream.count < documents:
        selector.add(stream.names(8192), stream.next(8192))
    selector.refresh()
    entries = int(selector._core.pool.lists.counts.sum())
    with watched_stalls() as idle:
        time.sleep(0.5)
    with tempfile.TemporaryDirectory() as folder:
        with watched_stalls() as copying:
            copied, snapshot = timed(selector.snapshot)
        with watched_stalls() as writing:
            written, _ = timed(lambda: snapshot.write(Path(folder) / "state"))
        size = sum(path.stat().st_size for path in (Path(folder) / "state").iterdir())
        with watched_stalls() as reading:
            loaded, again = timed(lambda: Selector.load(Path(folder) / "state"))
        one, other = selector.refresh(), again.refresh()
        assert one is not None
        assert other is not None
        assert one.digest == other.digest
    part.details = {
        "entries": entries,
        "megabytes": round(size / 1e6),
        "copy": copied.as_dict(),
        "write": written.as_dict(),
        "load": loaded.as_dict(),
        "longest stall, ms": {
            "idle": round(idle.longest * 1e3, 1),
            "copy": round(copying.longest * 1e3, 1),
            "write": round(writing.longest * 1e3, 1),
            "load": round(reading.longest * 1e3, 1),
        },
    }
    save = copied.wall + written.wall
    stall = max(copying.longest, writing.longest, reading.longest)
    part.add(
        f"save / load of a selector with {entries:,} list entries ({size / 1e6:.0f} MB)",
        "< 2 s / < 2 s",
        f"{save:.2f} s (of it {copied.wall:.2f} s to copy, the rest may run in another thread) / {loaded.wall:.2f} s",
        save < 2 and loaded.wall < 2,
    )
    part.add(
        "the longest that another thread is stalled by it",
        "≤ 100 ms",
        f"{stall * 1e3:.0f} ms ({idle.longest * 1e3:.0f} ms with nothing to do)",
        stall <= 0.1,
    )
    return part
