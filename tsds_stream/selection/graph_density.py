"""Densities from an approximate neighbour graph, for indexes too large for products.

The graph may miss a neighbour, now or later. So what has been counted is kept pair by pair: a point that was missed
when it came is not subtracted when it leaves. Distances are exact; the only error is a missed pair. Arrivals are
counted by exact products with the settled points, which are few; only settling asks the graph.
"""

from __future__ import annotations

import numpy as np

from tsds_stream.selection.arithmetic import KERNEL_UNIT, Bool, Float64, Int64, kernel_terms
from tsds_stream.selection.close_pairs import Points, iter_close_pairs
from tsds_stream.selection.fold import Fold
from tsds_stream.selection.hnsw import HnswIndex, HnswParameters
from tsds_stream.selection.index import IndexStatistics, Neighbours
from tsds_stream.selection.points import PointStore

_QUERY_BLOCK = 4096
_FEW_PAIRS = 1 << 20  # below this nobody minds that a crowded point has more than kde_k
_PRODUCT_BLOCK = 32_768
_FIT_SAMPLE = 8192


class GraphDensity:
    """Densities over an HNSW graph; the same use as `ExactDensity`.

    Args:
        store: the points; only read.
        sigma: kernel width, > 0.
        kde_k: the most neighbours of one point; one that has more is counted as saturated.
    """

    def __init__(self, store: PointStore, sigma: float, kde_k: int, parameters: HnswParameters | None = None) -> None:
        self.sigma = sigma
        self.counted: Int64 = np.zeros(0, np.int64)
        self.settled: Bool = np.zeros(0, np.bool_)
        self.graph = HnswIndex(store.dimension, parameters)
        self._store = store
        self._kde_k = kde_k
        self._sums: Int64 = np.zeros(0, np.int64)
        self._saturated: Bool = np.zeros(0, np.bool_)
        self._pairs = _Pairs()

    @property
    def saturated(self) -> int:
        return int(np.count_nonzero(self._saturated))

    @property
    def statistics(self) -> IndexStatistics:
        """Of the graph."""
        return self.graph.statistics

    def index(self, multiplicity: Int64) -> None:
        self._grow(len(multiplicity))
        counted = self.counted[: len(multiplicity)]
        changed = counted != multiplicity
        if not changed.any():
            return
        entering = np.flatnonzero((counted == 0) & (multiplicity != 0))
        leaving = np.flatnonzero((counted != 0) & (multiplicity == 0))
        if len(leaving):
            self.graph.remove(leaving)
            self.settled[leaving] = self._saturated[leaving] = False
        if len(entering):
            self.graph.add(entering, self._store.vectors[entering], self._store.words[entering])
        counted[changed] = multiplicity[changed]
        if not self.settled.any():
            self._pairs = _Pairs()
            self._saturated[:] = False
            return
        self._pairs.keep(self.settled, self.counted)
        self._count_arrivals(np.flatnonzero(self.settled), entering)
        self._sums = self._pairs.sums(self.counted)

    def _count_arrivals(self, settled: Int64, entering: Int64) -> None:
        """Pairs of settled points with new ones: by a product, which finds all and costs far less than searches."""
        if not len(settled) or not len(entering):
            return
        store = self._store
        fold = Fold.fit(store.vectors[settled[:: max(1, len(settled) // _FIT_SAMPLE)]], self.sigma)
        mine = Points.of(fold, store.vectors[settled], store.norms[settled])
        for start in range(0, len(entering), _PRODUCT_BLOCK):
            part = entering[start : start + _PRODUCT_BLOCK]
            its = Points.of(fold, store.vectors[part], store.norms[part])
            for i, j, squared in iter_close_pairs(fold, mine, its, self.sigma):
                self._pairs.append(settled[i], part[j], kernel_terms(squared, self.sigma))
                if len(self._pairs) > max(len(settled) * self._kde_k, _FEW_PAIRS):
                    self._saturated[self._pairs.cut(self._kde_k)] = True
        self._saturated[self._pairs.cut(self._kde_k)] = True

    def settle(self, slots: Int64) -> None:
        for start in range(0, len(slots), _QUERY_BLOCK):
            part = slots[start : start + _QUERY_BLOCK]
            found = self._neighbours(part)
            self._saturated[part] = found.saturated
            owners, terms = _repeated(part, found), kernel_terms(found.squared, self.sigma)
            # A point is its own neighbour, whether the graph finds it or not.
            others = found.labels != owners
            self._pairs.append(owners[others], found.labels[others], terms[others])
            self._pairs.append(part, part, np.full(len(part), int(KERNEL_UNIT), np.int64))
        self.settled[slots] = True
        self._sums = self._pairs.sums(self.counted)

    def unsettle(self, slots: Int64) -> None:
        if len(slots):
            self.settled[slots] = self._saturated[slots] = False
            self._pairs.keep(self.settled, self.counted)

    def drop(self, slots: Int64) -> None:
        within = slots[slots < len(self.counted)]
        self.settled[within] = self._saturated[within] = False

    def values(self, slots: Int64) -> Float64:
        return self._sums[slots] / KERNEL_UNIT

    def _neighbours(self, slots: Int64) -> Neighbours:
        return self.graph.within(self._store.vectors[slots], self.sigma, self._kde_k)

    def _grow(self, size: int) -> None:
        room = len(self.counted)
        if size > room:
            room = max(size, room + room // 2, 1024)
            for array in (self.counted, self.settled, self._saturated):
                array.resize(room, refcheck=False)
            self._sums = np.concatenate([self._sums, np.zeros(room - len(self._sums), np.int64)])


class _Pairs:
    """Which neighbour was counted for which settled point, with its kernel term."""

    def __init__(self) -> None:
        self._owner: Int64 = np.empty(0, np.int64)
        self._neighbour: Int64 = np.empty(0, np.int64)
        self._term: Int64 = np.empty(0, np.int64)

    def append(self, owner: Int64, neighbour: Int64, term: Int64) -> None:
        self._owner = np.concatenate([self._owner, owner])
        self._neighbour = np.concatenate([self._neighbour, neighbour])
        self._term = np.concatenate([self._term, term])

    def __len__(self) -> int:
        return len(self._owner)

    def cut(self, most: int) -> Int64:
        """Keep the `most` nearest neighbours of each owner; the owners that had more."""
        crowded = np.flatnonzero(np.bincount(self._owner) > most) if len(self._owner) > most else self._owner[:0]
        if len(crowded):
            order = np.lexsort((-self._term, self._owner))
            owners = self._owner[order]
            rank = np.arange(len(owners)) - np.searchsorted(owners, owners, side="left")
            kept = np.sort(order[rank < most])
            self._owner, self._neighbour, self._term = self._owner[kept], self._neighbour[kept], self._term[kept]
        return crowded

    def keep(self, settled: Bool, counted: Int64) -> None:
        """Only pairs of settled points with points that are still indexed."""
        kept = settled[self._owner] & (counted[self._neighbour] > 0)
        self._owner, self._neighbour, self._term = self._owner[kept], self._neighbour[kept], self._term[kept]

    def sums(self, counted: Int64) -> Int64:
        """(room,) int64 density sums."""
        out = np.zeros(len(counted), np.int64)
        np.add.at(out, self._owner, self._term * counted[self._neighbour])
        return out


def _repeated(slots: Int64, found: Neighbours) -> Int64:
    return np.repeat(slots, np.diff(found.offsets))
