"""Scope `corpus`: ingest with density, exact and through HNSW, beside bare hnswlib."""

from __future__ import annotations

from typing import Any

import hnswlib
import numpy as np

from benchmarks.corpus import Corpus
from benchmarks.documents import Documents
from benchmarks.measuring import Stopwatch, Timing
from benchmarks.report import Part
from tsds_stream import Selector, SelectorConfig
from tsds_stream.selection.arithmetic import Float32
from tsds_stream.selection.hnsw import HnswParameters

_BLOCK, _REFRESH_EVERY = 8192, 5  # blocks between refreshes
_RECALL_SAMPLE = 1000


def measure(corpus: Corpus, quick: bool, full: bool) -> Part:
    """100,000 and, exact only unless `full`, 1,000,000 documents."""
    part = Part()
    sizes = (5000,) if quick else (100_000, 1_000_000)
    for size in sizes:
        with_graph = quick or full or size <= 100_000
        bare = _bare(corpus, size) if with_graph else None
        exact_time, exact = _ingest(corpus, size, "exact")
        found: dict[str, Any] = {"exact": exact_time.as_dict(), "exact us per document": exact_time.wall / size * 1e6}
        part.details[f"{size:,}"] = found
        if bare is None:
            part.add(
                f"scope `corpus`, ingest with density, exact, {size:,} documents",
                "published",
                f"{size / exact_time.wall:,.0f} documents/s ({exact_time.wall:.0f} s)",
            )
            continue
        graph_time, graph = _ingest(corpus, size, "hnsw")
        recall = _recall(exact, graph)
        found |= {"hnsw": graph_time.as_dict(), "bare add_items": bare.as_dict(), "density recall": recall}
        exact_ratio, graph_ratio = bare / exact_time, bare / graph_time
        part.add(
            f"scope `corpus`, ingest with density, exact, {size:,} documents",
            "≥ 5 × raw hnswlib `add_items` at 100k",
            f"{exact_ratio:.1f} × ({size / exact_time.wall:,.0f} documents/s against {size / bare.wall:,.0f}; "
            f"processor time {bare.cpu / exact_time.cpu:.1f} ×)",
            exact_ratio >= 5 if size <= 100_000 else None,
        )
        part.add(
            f"the same through HNSW, {size:,} documents",
            "≥ 0.7 × raw `add_items`; recall published",
            f"{graph_ratio:.2f} × ({size / graph_time.wall:,.0f} documents/s; processor time "
            f"{bare.cpu / graph_time.cpu:.2f} ×), density recall {recall:.4f}",
            graph_ratio >= 0.7,
        )
    return part


def _bare(corpus: Corpus, size: int) -> Timing:
    """hnswlib alone, with the parameters that our index gives it."""
    parameters, watch, stream = HnswParameters(), Stopwatch(), Documents(corpus.documents)
    index = hnswlib.Index(space="l2", dim=256)
    index.init_index(size, M=parameters.m, ef_construction=parameters.ef_construction, random_seed=parameters.seed)
    while stream.count < size:
        rows = _unit(stream.next(min(_BLOCK, size - stream.count)))
        labels = np.arange(stream.count, stream.count + len(rows))
        stream.names(len(rows))
        with watch:
            index.add_items(rows, labels, num_threads=parameters.threads)
    return watch.timing


def _ingest(corpus: Corpus, size: int, index: str) -> tuple[Timing, Selector]:
    """A selector that keeps everything, refreshed now and then so that densities are settled and maintained."""
    config = SelectorConfig(sigma=0.4, scope="corpus", capacity=2 * size, index=index, exact_limit=2 * size)
    selector, watch, stream = Selector(corpus.targets, config), Stopwatch(), Documents(corpus.documents)
    blocks = 0
    while stream.count < size:
        rows = stream.next(min(_BLOCK, size - stream.count))
        names = stream.names(len(rows))
        blocks += 1
        with watch:
            selector.add(names, rows)
            if blocks % _REFRESH_EVERY == 0 or stream.count == size:
                selector.refresh()
    return watch.timing, selector


def _recall(exact: Selector, graph: Selector) -> float:
    """What share of the true density, beyond the point's own, the graph found: over documents with mass."""
    names = exact.probabilities()[0][:_RECALL_SAMPLE]
    own = exact._core.pool.store.multiplicity[exact._core.slots_of(names)]
    truth, found = exact.densities(names) - own, graph.densities(names) - own
    return float(found.sum() / truth.sum()) if truth.sum() else 1.0


def _unit(rows: Float32) -> Float32:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
