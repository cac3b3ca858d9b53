"""The nearest documents of every target: one exact product, as deep as somebody asks, shared by all who ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from tsds_stream.comparison.pool import Pool, Targets
from tsds_stream.selection.arithmetic import Bool, Float64, Int32, Int64

_ENTRIES: Final = 1 << 24  # distances held at a time: 128 MiB
_DOCUMENTS: Final = 8192  # converted to float64 at a time
_FIRST: Final = 64


@dataclass(frozen=True)
class Lists:
    """Row i holds the nearest documents of target i, ascending by (squared distance, place in key order).

    Attributes:
        points: (M, width) int32 rows of the pool; squared: (M, width) float64 exact, inf beyond `counts`.
        counts: (M,) int64 entries; complete: whether every row holds the whole pool.
    """

    points: Int32
    squared: Float64
    counts: Int64
    complete: bool

    @property
    def reach(self) -> Float64:
        """(M,) float64: every document nearer than this to target i stands in row i."""
        if self.complete or not len(self.counts):
            return np.full(len(self.counts), np.inf)
        reach: Float64 = self.squared[np.arange(len(self.counts)), self.counts - 1]
        return reach


class Neighbours(Protocol):
    """Somebody who knows the nearest documents of some targets."""

    def lists(self, depth: int) -> Lists:
        """At least `depth` documents for each target, or all there are."""

    def within(self, targets: Int64, documents: Int64) -> Neighbours:
        """Of some of these targets among some of these documents: rows that ascend."""


class AllNeighbours:
    """Of all documents and targets. Distances are exact, so they are the same whatever BLAS does."""

    def __init__(self, pool: Pool, targets: Targets) -> None:
        self._pool, self._targets = pool, targets
        self._lists: Lists | None = None

    def lists(self, depth: int) -> Lists:
        depth = min(max(depth, _FIRST), len(self._pool))
        if self._lists is None or self._lists.points.shape[1] < depth:
            self._lists = self._nearest(depth)
        return self._lists

    def within(self, targets: Int64, documents: Int64) -> Neighbours:
        """See `Neighbours.within`."""
        return _Part(self, targets, documents, len(self._pool))

    def _nearest(self, depth: int) -> Lists:
        pool, targets, rank = self._pool, self._targets, self._pool.rank
        points = np.empty((len(targets), depth), np.int32)
        squared = np.empty((len(targets), depth))
        step = max(1, _ENTRIES // max(len(pool), 1))
        for start in range(0, len(targets), step):
            distances = squared_distances_to(pool, targets.part(np.arange(start, min(start + step, len(targets)))))
            for row, values in enumerate(distances, start):
                # All that tie with the last one, so that the order among them decides and not the partition.
                last = np.partition(values, depth - 1)[depth - 1] if depth else 0.0
                near = np.flatnonzero(values <= last)
                near = near[np.lexsort((rank[near], values[near]))[:depth]]
                points[row], squared[row] = near, values[near]
        return Lists(points, squared, np.full(len(targets), depth), complete=depth == len(pool))


class _Part:
    """Rows of lists that are made once, without the documents that are left out."""

    def __init__(self, whole: AllNeighbours, targets: Int64, documents: Int64, size: int) -> None:
        self._whole, self._targets, self._documents = whole, targets, documents
        self._number = np.full(size, -1, np.int32)
        self._number[documents] = np.arange(len(documents))

    def lists(self, depth: int) -> Lists:
        wanted = min(max(depth, _FIRST), len(self._documents))
        asked = wanted
        while True:
            lists = self._whole.lists(asked)
            points = self._number[lists.points[self._targets]]
            there: Bool = points >= 0
            counts = there.sum(1)
            if lists.complete or not len(counts) or int(counts.min()) >= wanted:
                break
            asked *= 2
        width = int(counts.max(initial=0))
        order = np.argsort(~there, axis=1, kind="stable")[:, :width]
        squared = np.take_along_axis(lists.squared[self._targets], order, 1)
        squared[np.arange(width) >= counts[:, None]] = np.inf
        return Lists(np.take_along_axis(points, order, 1), squared, counts, lists.complete)

    def within(self, targets: Int64, documents: Int64) -> Neighbours:
        """See `Neighbours.within`."""
        return _Part(self._whole, self._targets[targets], self._documents[documents], len(self._number))


def squared_distances_to(pool: Pool, targets: Targets) -> Float64:
    """(M, n) float64 exact squared distances of targets and documents."""
    out = np.empty((len(targets), len(pool)))
    wide = targets.vectors.astype(np.float64)
    for start in range(0, len(pool), _DOCUMENTS):
        part = slice(start, start + _DOCUMENTS)
        out[:, part] = wide @ pool.vectors[part].astype(np.float64).T
    out *= -2.0
    out += targets.norms[:, None]
    out += pool.norms
    return out
