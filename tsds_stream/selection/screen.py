"""The screen: one float32 product of a block of documents with the queries decides which documents go on.

Screening never loses a document: the threshold of a query is its frontier, lowered by a margin that covers the rounding
of the product, of the normalisation and of the canonical grid. Survivors are decided exactly elsewhere.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tsds_stream.selection.arithmetic import GRID, Float32, Float64, Int64, squared_norms
from tsds_stream.selection.blas import blas_threads, one_blas_thread

_BLOCK = 1024  # rows per product: smaller blocks collapse under contention, larger ones leave the cache
_SMALLEST_BLOCK = 256
_THREADED = 1 << 19  # products of fewer entries are not worth a second thread
_MOST_THREADS = 8
_UNIT_TOLERANCE = 2.0**-12  # rows whose squared norm is this near to 1 are scored as they are
_SAFE_SQUARES = (1e-20, 1e30)  # sums of squares that float32 gets right in spite of under- and overflow


@dataclass(frozen=True)
class Survivors:
    """What passed the screen.

    Attributes:
        rows: (k,) int64 positions of the surviving documents, ascending.
        pair_rows: (pairs,) int64 index into `rows`; pair_queries: (pairs,) int64 the queries they may be near to.
    """

    rows: Int64
    pair_rows: Int64
    pair_queries: Int64


class Screen:
    """Queries and the scratch memory to score documents against them.

    Args:
        queries: (M, d) float32 canonical.
    """

    def __init__(self, queries: Float32) -> None:
        self.queries = queries
        self.norms = squared_norms(queries)
        self._transposed = np.ascontiguousarray(queries.T)
        d = queries.shape[1]
        # 1.01·d: the product; 3·sqrt(d): integer scaling, grid and norm of the canonical vector; 8: the rest.
        self._margin = (1.01 * d + 3.0 * np.sqrt(d) + 8.0) * GRID
        # Half of the error of a float32 sum of d squares, and the root, the division and the multiplication.
        self._normalising = (0.51 * d + 4.0) * GRID
        self._scratch: list[_Scratch] = []

    def pass_(self, documents: Float32, frontiers: Float64) -> Survivors:
        """Score documents against the queries.

        Args:
            documents: (n, d) float32, finite and non-zero, of any length.
            frontiers: (M,) float64 squared distances; a document that may be at or below one survives.
        """
        bound = (self.norms + 1.0 - frontiers) / 2.0 - self._margin
        if not len(self.queries):
            return _joined([])
        threads = min(blas_threads(), _MOST_THREADS) if len(documents) * len(self.queries) >= _THREADED else 1
        block = min(_BLOCK, max(_SMALLEST_BLOCK, -(-len(documents) // threads)))
        starts = range(0, len(documents), block)
        threads = min(threads, len(starts))
        if threads < 2:
            return _joined(self._blocks(documents, starts, bound, self._buffers(1)[0]))
        # Own threads instead of those of BLAS: the passes over the scores are shared out as well.
        shares = [starts[k * len(starts) // threads : (k + 1) * len(starts) // threads] for k in range(threads)]
        with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
            parts = pool.map(
                lambda share, scratch: self._blocks(documents, share, bound, scratch), shares, self._buffers(threads)
            )
            return _joined([survivors for part in parts for survivors in part])

    def _buffers(self, threads: int) -> list[_Scratch]:
        while len(self._scratch) < threads:
            self._scratch.append(_Scratch(*self.queries.shape))
        return self._scratch[:threads]

    def _blocks(self, documents: Float32, starts: range, bound: Float64, scratch: _Scratch) -> list[Survivors]:
        found = []
        for start in starts:
            block, loosened = self._unit(documents[start : start + starts.step], scratch)
            thresholds = np.nextafter((bound - loosened).astype(np.float32), np.float32(-np.inf))
            scores = scratch.scores[: len(block)]
            np.dot(block, self._transposed, out=scores)
            scores -= thresholds
            survivors = np.flatnonzero(scores.max(1) >= 0)
            if len(survivors):
                passed = scores if len(survivors) == len(scores) else scores[survivors]
                i, q = np.nonzero(passed >= 0)
                found.append(Survivors(survivors + start, i, q))
        return found

    def _unit(self, block: Float32, scratch: _Scratch) -> tuple[Float32, float]:
        """Rows of length near 1, and by how much an inner product with a unit vector may be off."""
        squares = np.einsum("ij,ij->i", block, block)
        least, most = float(squares.min(initial=1.0)), float(squares.max(initial=1.0))
        off = max(1.0 - least, most - 1.0)
        if off <= _UNIT_TOLERANCE:
            return block, off
        if _SAFE_SQUARES[0] < least and most < _SAFE_SQUARES[1]:
            inverse = 1.0 / np.sqrt(squares)
            return np.multiply(block, inverse[:, None], out=scratch.unit[: len(block)]), self._normalising
        wide = block.astype(np.float64)
        lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
        return (wide / lengths[:, None]).astype(np.float32), 0.0


class _Scratch:
    """Memory of one thread: fresh pages would cost more than the arithmetic."""

    def __init__(self, queries: int, dimension: int) -> None:
        self.scores = np.empty((_BLOCK, queries), np.float32)
        self.unit = np.empty((_BLOCK, dimension), np.float32)


def _joined(parts: list[Survivors]) -> Survivors:
    """Survivors of consecutive blocks as one."""
    if not parts:
        empty = np.empty(0, np.int64)
        return Survivors(empty, empty, empty)
    before = np.cumsum([0] + [len(part.rows) for part in parts[:-1]])
    return Survivors(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.pair_rows + k for part, k in zip(parts, before.tolist(), strict=True)]),
        np.concatenate([part.pair_queries for part in parts]),
    )


def unusable(documents: Float32) -> dict[int, str]:
    """Rows that cannot be an embedding: {position: "non_finite" | "zero"}."""
    squares = np.einsum("ij,ij->i", documents, documents)
    suspect = np.flatnonzero(~((squares > 1e-30) & (squares < 1e30)))  # also catches NaN, and over- and underflow
    problems = {}
    for i in suspect.tolist():
        if not np.isfinite(documents[i]).all():
            problems[i] = "non_finite"
        elif not documents[i].any():
            problems[i] = "zero"
    return problems
