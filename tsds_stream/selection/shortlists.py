"""Shortlists with frontiers: every query's nearest points, exact under arrivals and retractions in any order.

Row i holds every live point below its frontier f_i, ordered by (squared distance, key), up to `max_k + slack`; whatever
is left out lowers f_i to the nearest point ever left out. A row with at least max_k points is therefore exactly the
nearest max_k, whatever the history.
"""

from __future__ import annotations

import numpy as np

from tsds_stream.selection.arithmetic import Bool, Float64, Int32, Int64, UInt64
from tsds_stream.selection.points import PointStore
from tsds_stream.selection.rows import Rows

_TAIL = 256  # unsorted arrivals a row takes before it is sorted: shorter tails admit less, longer ones sort less often


class Shortlists:
    """The rows of M queries over the points of one store.

    Attributes:
        squared: (M, room) float64 squared distances, inf beyond `counts`.
        slots: (M, room) int32 slots of the store.
        counts: (M,) int64 entries.
        frontier: (M,) float64 squared distance; frontier_words: (M, 2) uint64 key words of the nearest point left out.
    """

    def __init__(self, queries: int, max_k: int, slack: int) -> None:
        self.max_k = max_k
        self.length = max_k + slack
        room = self.length + _TAIL
        self.squared: Float64 = np.full((queries, room), np.inf)
        self.slots: Int32 = np.zeros((queries, room), np.int32)
        self.counts: Int64 = np.zeros(queries, np.int64)
        self.ordered: Int64 = np.zeros(queries, np.int64)  # leading entries known to be in order
        self.frontier: Float64 = np.full(queries, np.inf)
        self.frontier_words: UInt64 = np.zeros((queries, 2), np.uint64)

    def __len__(self) -> int:
        return len(self.counts)

    def below_frontier(self, queries: Int64, squared: Float64, words: UInt64, points: Int64) -> Bool:
        """Which (query, point) pairs lie below the query's frontier, ties decided by key.

        Args:
            words: (n, 2) uint64 keys of some points; points: (pairs,) int64 positions in it.
        """
        frontier = self.frontier[queries]
        below = squared < frontier
        ties = np.flatnonzero(squared == frontier)
        if len(ties):
            mine, its = words[points[ties]], self.frontier_words[queries[ties]]
            below[ties] = (mine[:, 0] < its[:, 0]) | ((mine[:, 0] == its[:, 0]) & (mine[:, 1] < its[:, 1]))
        return below

    def insert(self, queries: Int64, squared: Float64, slots: Int64, store: PointStore) -> None:
        """Take in (query, point) pairs below their frontiers; no pair may stand in its row already."""
        order = np.argsort(
            queries.astype(np.uint16) if len(self) <= 1 << 16 else queries, kind="stable"
        )  # 16 bits: radix
        queries, squared, slots = queries[order], squared[order], slots[order]
        while len(queries):
            arriving = np.bincount(queries, minlength=len(self))
            offset = np.arange(len(queries)) - (np.cumsum(arriving) - arriving)[queries]
            column = self.counts[queries] + offset
            fits = column < self.squared.shape[1]
            q, c = queries[fits], column[fits]
            self.squared[q, c] = squared[fits]
            self.slots[q, c] = slots[fits]
            self.counts += np.bincount(q, minlength=len(self))
            if len(q) == len(queries):
                return
            queries, squared, slots = queries[~fits], squared[~fits], slots[~fits]
            self.sort(np.flatnonzero(np.bincount(queries, minlength=len(self))), store)
            still = self.below_frontier(queries, squared, store.words, slots)
            queries, squared, slots = queries[still], squared[still], slots[still]

    def sort(self, rows: Int64, store: PointStore) -> None:
        """Order rows, cut them to `length`, and lower their frontiers to what was cut."""
        width = int(self.counts[rows].max(initial=0))
        squared = self.squared[rows, :width]
        slots = self.slots[rows, :width]
        order = np.argsort(squared, axis=1, kind="stable")  # timsort: the ordered prefix costs one pass
        squared = np.take_along_axis(squared, order, 1)
        slots = np.take_along_axis(slots, order, 1)
        self._order_ties(squared, slots, store)
        if width > self.length:
            cut = np.flatnonzero(self.counts[rows] > self.length)
            at = rows[cut]
            self.frontier[at] = squared[cut, self.length]
            self.frontier_words[at] = store.words[slots[cut, self.length]]
            squared[:, self.length :] = np.inf
            self.counts[at] = self.length
        self.squared[rows, :width] = squared
        self.slots[rows, :width] = slots
        self.ordered[rows] = self.counts[rows]

    def sort_all(self, store: PointStore) -> None:
        """Order every row that took something in since it was last ordered."""
        rows = np.flatnonzero(self.ordered < self.counts)
        if len(rows):
            self.sort(rows, store)

    @staticmethod
    def _order_ties(squared: Float64, slots: Int32, store: PointStore) -> None:
        """Order points at equal distances by key, in place."""
        equal = (squared[:, 1:] == squared[:, :-1]) & np.isfinite(squared[:, 1:])
        rows = np.flatnonzero(equal.any(1))
        if not len(rows):
            return
        words = store.words[slots[rows]]
        order = np.lexsort((words[:, :, 1], words[:, :, 0], squared[rows]), axis=1)
        slots[rows] = np.take_along_axis(slots[rows], order, 1)

    def purge(self, gone: Bool) -> None:
        """Take retracted points out of every row; gone: (store.size,) bool."""
        hit = gone[self.slots] & (np.arange(self.slots.shape[1]) < self.counts[:, None])
        rows = np.flatnonzero(hit.any(1))
        if not len(rows):
            return
        squared, slots, hit = self.squared[rows], self.slots[rows], hit[rows]
        order = np.argsort(hit, axis=1, kind="stable")  # what stays keeps its order
        squared[hit] = np.inf
        self.squared[rows] = np.take_along_axis(squared, order, 1)
        self.slots[rows] = np.take_along_axis(slots, order, 1)
        # Entries that leave the ordered prefix shorten it; those of the tail do not.
        prefix = np.arange(hit.shape[1]) < self.ordered[rows, None]
        self.ordered[rows] -= (hit & prefix).sum(1)
        self.counts[rows] -= hit.sum(1)

    def mark(self, size: int, length: int | None = None, rows: Int64 | None = None) -> Bool:
        """(size,) bool: points that stand in some row (within its first `length` entries)."""
        width = self.slots.shape[1] if length is None else min(length, self.slots.shape[1])
        width = min(width, int(self.counts.max(initial=0)))
        slots, counts = self.slots[:, :width], self.counts
        if rows is not None:
            slots, counts = slots[rows], counts[rows]
        marked = np.zeros(size, np.bool_)
        if len(slots) and width:
            if int(counts.min()) >= width:
                marked[slots] = True
            else:
                marked[slots[np.arange(width) < counts[:, None]]] = True
        return marked

    def rows(self, chosen: Int64) -> Rows:
        """The first max_k entries of some ordered rows, as the plan reads them."""
        full = (len(chosen) == len(self)) and bool((chosen == np.arange(len(self))).all())
        squared = self.squared if full else self.squared[chosen]
        slots = self.slots if full else self.slots[chosen]
        counts, frontier = self.counts[chosen], self.frontier[chosen].copy()
        reserve = np.isinf(frontier) & (counts > self.max_k)
        frontier[reserve] = squared[reserve, self.max_k]
        return Rows(
            squared[:, : self.max_k], slots[:, : self.max_k], np.minimum(counts, self.max_k), frontier, self.max_k
        )

    def reorder(self, rows: Int64) -> None:
        """Keep these rows, in this order."""
        for name in ("squared", "slots", "counts", "ordered", "frontier", "frontier_words"):
            setattr(self, name, getattr(self, name)[rows])

    def append(self, queries: int) -> None:
        """Add empty rows with infinite frontiers."""
        fresh = Shortlists(queries, self.max_k, self.length - self.max_k)
        for name in ("squared", "slots", "counts", "ordered", "frontier", "frontier_words"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(fresh, name)]))
