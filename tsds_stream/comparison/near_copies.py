"""Near-copies: documents nearer to each other than a radius, as `min_distance` understands it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import numpy as np

from tsds_stream.comparison.neighbours import AllNeighbours
from tsds_stream.comparison.pool import Pool, Targets
from tsds_stream.selection.arithmetic import Bool, Int64
from tsds_stream.selection.blas import blas_threads, one_blas_thread
from tsds_stream.selection.calibration import SHARE
from tsds_stream.selection.close_pairs import Points, close_pairs, iter_close_pairs
from tsds_stream.selection.fold import Fold, Survival
from tsds_stream.selection.settings import MAX_SIGMA, MIN_SIGMA

_BLOCK: Final = 2048  # documents decided together; changes the speed, never the result
_MOST_THREADS: Final = 8
_SAMPLE: Final = 8192  # documents that a fold is fitted to


def distinct(pool: Pool, radius: float) -> Int64:
    """Rows that a greedy removal of near-copies keeps, ascending.

    Documents are walked in key order; one is dropped when its squared distance to a kept one is below radius². With a
    radius of 0 nothing is dropped.
    """
    if radius <= 0 or not len(pool):
        return np.arange(len(pool))
    fold = Fold.fit(pool.vectors[:: max(1, len(pool) // _SAMPLE)], radius)
    images = fold.project(pool.vectors, pool.norms)

    def side(rows: Int64) -> Points:
        return Points(pool.vectors, pool.norms, images, rows)

    def near(block: Int64, others: Int64) -> Bool:
        found = np.zeros(len(block), np.bool_)
        # What is kept lies apart, so a document is near to few of them and the pairs stay few.
        for i, _, _ in iter_close_pairs(replace(fold, survival=Survival()), side(block), side(others), radius):
            found[i] = True
        return found

    kept, threads = np.empty(0, np.int64), min(blas_threads(), _MOST_THREADS)
    with one_blas_thread(), ThreadPoolExecutor(threads) as workers:
        for start in range(0, len(pool), _BLOCK):
            block = pool.by_key[start : start + _BLOCK]
            parts = np.array_split(kept, threads)
            block = block[~np.any(list(workers.map(near, [block] * threads, parts)), axis=0)]
            kept = np.concatenate([kept, block[_first_of_each(fold, side(block), radius)]])
    return np.sort(kept)


def _first_of_each(fold: Fold, block: Points, radius: float) -> Bool:
    """(n,) bool: points of a block with no earlier one that stays within the radius."""
    stays = np.ones(len(block), np.bool_)
    i, j, _ = close_pairs(fold, block, block, radius)
    later = j > i
    i, j = i[later], j[later]
    order = np.argsort(i, kind="stable")
    i, j = i[order], j[order]
    starts = np.flatnonzero(np.diff(i, prepend=-1))
    for first, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(i)], strict=False):
        if stays[i[first]]:
            stays[j[first:stop]] = False
    return stays


def copies_of(pool: Pool, targets: Targets, radius: float) -> tuple[Int64, Int64]:
    """(target, document) rows of all pairs with a squared distance below radius², or equal embeddings."""
    fold = Fold(pool.vectors.shape[1])  # no image: one product decides
    examples, documents = (Points(part.vectors, part.norms, part.vectors) for part in (targets, pool))
    target, document, _ = close_pairs(fold, examples, documents, max(radius, MIN_SIGMA))
    return target, document


def near_copy_distance(pool: Pool, targets: Targets, calibration: int) -> float:
    """What `sigma = "auto"` would be for all targets: documents with the embedding of a target have no say for it.

    Args:
        calibration: documents, from the first one, after which the rule is frozen.
    """
    first = pool.part(np.arange(min(calibration, len(pool))))
    neighbours, depth = AllNeighbours(first, targets), 1
    while True:
        lists = neighbours.lists(depth)
        other = lists.squared > 0
        if lists.complete or bool(other.any(1).all()):
            break
        depth = 2 * lists.points.shape[1]
    nearest = np.where(other, lists.squared, np.inf).min(1, initial=np.inf)
    nearest = nearest[np.isfinite(nearest)]
    if not len(nearest):
        return MIN_SIGMA
    return min(max(SHARE * float(np.median(np.sqrt(nearest))), MIN_SIGMA), MAX_SIGMA)
