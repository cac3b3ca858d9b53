"""`add` beside the bare product: with full lists, by admitted pairs per document, and with nothing admitted."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.corpus import Corpus
from benchmarks.documents import Documents
from benchmarks.measuring import Timing, best, timed
from benchmarks.report import Part
from tsds_stream import Selector, SelectorConfig
from tsds_stream.selection.arithmetic import Float32, Float64, Int64
from tsds_stream.selection.points import PointStore
from tsds_stream.selection.screen import Screen

_RATES = (0.01, 0.1, 1.0, 10.0)


@dataclass(frozen=True)
class Window:
    """One measured stretch of the stream. Ratios are documents per second, relative to the bare product."""

    pairs: float
    ratio: float
    cpu_ratio: float


class _Ingest:
    def __init__(self, corpus: Corpus, targets: int, dimension: int, size: int) -> None:
        self.stream = Documents(corpus.documents, dimension)
        vectors = self.stream.mixtures(targets)
        self.targets = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        self.selector = Selector(self.targets, SelectorConfig(max_k=256, sigma=0.4))
        self.size = size
        self.pairs = 0
        lists = self.selector._core.pool.lists
        insert = lists.insert

        def counted(queries: Int64, squared: Float64, slots: Int64, store: PointStore) -> None:
            self.pairs += len(queries)
            insert(queries, squared, slots, store)

        lists.insert = counted  # type: ignore[method-assign]

    def product(self, rows: Float32) -> Timing:
        out = np.empty((len(rows), len(self.targets)), np.float32)
        transposed = self.targets.T
        return best(lambda: np.dot(rows, transposed, out=out), 3)

    def window(self) -> Window:
        rows = self.stream.next(self.size)
        names = self.stream.names(self.size)
        bare = self.product(rows)
        before = self.pairs
        ours, _ = timed(lambda: self.selector.add(names, rows))
        return Window((self.pairs - before) / self.size, bare.wall / ours.wall, bare.cpu / ours.cpu)

    def tighten(self, count: int, share: float) -> None:
        """Fill the lists with rows near to the targets, as millions of documents would."""
        rows = self.stream.mixtures(count)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        near = self.targets[np.arange(count) % len(self.targets)] + share * rows
        self.selector.add(self.stream.names(count), near)

    def screening(self) -> tuple[float, float]:
        """Ratios of the screen alone, with frontiers that nothing passes."""
        rows = self.stream.mixtures(self.size)
        screen = Screen(self.selector._core.pool.queries)
        nothing = np.full(len(self.targets), 0.01)
        ours, bare = best(lambda: screen.pass_(rows, nothing)), self.product(rows)
        return bare.wall / ours.wall, bare.cpu / ours.cpu


def measure(corpus: Corpus, quick: bool) -> Part:
    """M = 1000, d = 384 (the columns beyond 256 are those of a second real row)."""
    part = Part()
    targets, dimension, size = (200, 384, 4096) if quick else (1000, 384, 32_768)
    ingest = _Ingest(corpus, targets, dimension, size)
    windows = [ingest.window() for _ in range(4 if quick else 14)]
    for share in () if quick else (2.0, 1.5, 1.2, 1.0, 0.9):
        for _ in range(3):
            ingest.tighten(65_536, share)
        windows += [ingest.window(), ingest.window()]
    screening, screening_cpu = ingest.screening()
    part.details["windows"] = [asdict(window) for window in windows]
    part.details["screening"] = {"wall ratio": screening, "cpu ratio": screening_cpu}
    for rate in _RATES:
        usable = [window for window in windows if window.pairs > 0]
        nearest = min(usable, key=lambda window: abs(np.log(window.pairs / rate)))
        part.add(
            f"`add` with full lists, M = {targets}, d = {dimension}, {rate:g} admitted pairs per document",
            "≥ 0.5 of the product's documents per second up to 1 pair",
            f"{nearest.ratio:.2f} at {nearest.pairs:.3g} pairs (processor time {nearest.cpu_ratio:.2f})",
            nearest.ratio >= 0.5 if rate <= 1 else None,
        )
    part.add(
        "screening alone",
        "≥ 0.85",
        f"{screening:.2f} (processor time {screening_cpu:.2f})",
        screening >= 0.85,
    )
    return part
