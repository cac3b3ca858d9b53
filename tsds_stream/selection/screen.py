"""The screen: one float32 product of a block of documents with the queries decides which documents go on.

Screening never loses a document: the threshold of a query is its frontier, lowered by a margin that covers the rounding
of the product, of the normalisation and of the canonical grid. Survivors are decided exactly elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsds_stream.selection.arithmetic import GRID, Float32, Float64, Int64, squared_norms

_BLOCK = 1024  # rows per product: smaller blocks collapse under contention, larger ones leave the cache
_UNIT_TOLERANCE = 2.0**-12  # rows whose squared norm is this near to 1 are scored as they are


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
        self._scores = np.empty((_BLOCK, len(queries)), np.float32)

    def pass_(self, documents: Float32, frontiers: Float64) -> Survivors:
        """Score documents against the queries.

        Args:
            documents: (n, d) float32, finite and non-zero, of any length.
            frontiers: (M,) float64 squared distances; a document that may be at or below one survives.
        """
        bound = (self.norms + 1.0 - frontiers) / 2.0 - self._margin
        rows, pair_rows, pair_queries, found = [], [], [], 0
        for start in range(0, len(documents) if len(bound) else 0, _BLOCK):
            block, loosened = _unit(documents[start : start + _BLOCK])
            thresholds = np.nextafter((bound - loosened).astype(np.float32), np.float32(-np.inf))
            scores = self._scores[: len(block)]
            np.dot(block, self._transposed, out=scores)
            scores -= thresholds
            survivors = np.flatnonzero(scores.max(1) >= 0)
            if len(survivors):
                i, q = np.nonzero(scores[survivors] >= 0)
                rows.append(survivors + start)
                pair_rows.append(i + found)
                pair_queries.append(q)
                found += len(survivors)
        if not found:
            empty = np.empty(0, np.int64)
            return Survivors(empty, empty, empty)
        return Survivors(np.concatenate(rows), np.concatenate(pair_rows), np.concatenate(pair_queries))


def _unit(block: Float32) -> tuple[Float32, float]:
    """Rows of length near 1, and by how much an inner product with a unit vector may be off."""
    squares = np.einsum("ij,ij->i", block, block)
    off = np.abs(squares - 1.0).max(initial=0.0)
    if off <= _UNIT_TOLERANCE:
        return block, float(off)
    wide = block.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    return (wide / lengths[:, None]).astype(np.float32), 0.0


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
