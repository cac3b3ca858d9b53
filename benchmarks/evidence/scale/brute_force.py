"""Shortlists and densities by float64 products with everything: no screen, no fold, no state."""

from __future__ import annotations

from typing import Final

import numpy as np

from tsds_stream import Selector
from tsds_stream.selection.arithmetic import Float32, Float64, Int64, UInt64, key_words, keys_of

_COLUMNS: Final = 8192
_MANY: Final = 4  # of so many lengths of a row, the nearest are cut out before keys are made


def squared_to(queries: Float32, vectors: Float32) -> Float64:
    """(M, n) float64 squared distances, exact for canonical vectors."""
    left, right = queries.astype(np.float64), vectors.astype(np.float64)
    products = left @ right.T
    products *= -2.0
    products += np.einsum("ij,ij->i", left, left)[:, None]
    products += np.einsum("ij,ij->i", right, right)
    return products


class NearestRows:
    """The nearest `length` points of each of some queries, among all vectors that were shown; copies count once.

    Attributes:
        squared: (M, length) float64, ascending, infinite where there are fewer; words: (M, length, 2) uint64 keys.
    """

    def __init__(self, queries: int, length: int) -> None:
        self.squared: Float64 = np.full((queries, length), np.inf)
        self.words: UInt64 = np.zeros((queries, length, 2), np.uint64)

    def show(self, vectors: Float32, squared: Float64) -> None:
        """More vectors: (n, d) float32 canonical, and their (M, n) squared distances."""
        length = self.squared.shape[1]
        hits = [_nearest(row, bound, length) for row, bound in zip(squared, self.squared[:, -1], strict=True)]
        wanted = np.unique(np.concatenate(hits))
        if not len(wanted):
            return
        words = key_words(keys_of(np.ascontiguousarray(vectors[wanted])))
        for query, found in enumerate(hits):
            if len(found):
                keys = np.concatenate([self.words[query], words[np.searchsorted(wanted, found)]])
                distances = np.concatenate([self.squared[query], squared[query, found]])
                order = np.lexsort((keys[:, 1], keys[:, 0], distances))
                again = (keys[order[1:]] == keys[order[:-1]]).all(1) & np.isfinite(distances[order[1:]])
                order = order[np.concatenate([[True], ~again])][:length]
                self.squared[query], self.words[query] = distances[order], keys[order]


def _nearest(row: Float64, bound: float, length: int) -> Int64:
    """Positions at or below the bound; of very many only the nearest."""
    found = np.flatnonzero(row <= bound)
    if len(found) > 2 * _MANY * length:
        found = found[row[found] <= np.partition(row[found], _MANY * length)[_MANY * length]]
    return found


def rows_of(selector: Selector) -> tuple[Float64, UInt64]:
    """(M, max_k) squared distances and (M, max_k, 2) keys of the shortlists of a selector that was just refreshed."""
    pool = selector._core.pool
    rows = pool.lists.rows(np.arange(len(selector.target_ids)))
    points = rows.points[:, : selector.max_k]
    return rows.squared[:, : selector.max_k].copy(), pool.store.words[points]


def equal_densities(selector: Selector, names: list[str]) -> float:
    """The share of these documents whose density is, to the bit, the sum of its kernel over all candidates."""
    pool, sigma = selector._core.pool, selector.sigma
    assert sigma is not None
    listed = np.flatnonzero(pool.lists.mark(pool.store.size, selector.max_k))
    chosen = selector.vectors(names)
    sums = np.zeros(len(names), np.int64)
    for start in range(0, len(listed), _COLUMNS):
        part = listed[start : start + _COLUMNS]
        squared = squared_to(chosen, pool.store.vectors[part])
        terms = np.rint(np.maximum(1.0 - squared / (sigma * sigma), 0.0) * 2.0**32).astype(np.int64)
        sums += terms @ pool.store.multiplicity[part]
    return float((sums / 2.0**32 == selector.densities(names)).mean())
