"""Late targets and drained rows: queries that wait until the past of the stream has been read again for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tsds_stream.selection.arithmetic import Float32, Float64, Int64, squared_distances
from tsds_stream.selection.pool import Offered, Pool
from tsds_stream.selection.shortlists import Shortlists


class Late:
    """A pool beside the active one, fed from the beginning of the stream.

    It takes the live documents as of its adoption from `backfill`, in the order of the stream, and everything that
    arrives later at once. An id that changed since the adoption is left alone by the backfill: what is read again is
    its past.

    Args:
        keys: of the queries that wait, new ones and short rows to be refilled alike.
        max_changed: ids remembered as changed; beyond that the result may be wrong, and `overflowed` says so.
    """

    def __init__(self, keys: list[bytes], pool: Pool, max_changed: int) -> None:
        self.keys = keys
        self.pool = pool
        self.overflowed = False
        self.changed: set[str] = set()
        self._max_changed = max_changed

    def arrive(self, ids: Sequence[str], vectors: Float32, is_canonical: bool) -> Offered:
        """Live documents."""
        self._remember(ids)
        return self.pool.offer(ids, vectors, is_canonical)

    def leave(self, ids: Sequence[str]) -> None:
        """Live retractions."""
        self._remember(ids)
        self.pool.retract(ids)

    def backfill(self, ids: Sequence[str], vectors: Float32, is_canonical: bool) -> Offered:
        """Documents of the past, distinct ids."""
        chosen = [k for k, name in enumerate(ids) if name not in self.changed]
        if len(chosen) < len(ids):
            vectors = vectors[chosen]
        offered = self.pool.offer([ids[k] for k in chosen], vectors, is_canonical)
        offered.held = [chosen[k] for k in offered.held]
        return offered

    def backfill_leave(self, ids: Sequence[str]) -> None:
        """Retractions of the past."""
        self.pool.retract([name for name in ids if name not in self.changed])

    def tidy(self) -> None:
        """Forget points that were retracted or that no row holds; no density counts any of them."""
        self.pool.purge()
        self.pool.sweep(np.zeros(0, np.int64))

    def _remember(self, ids: Iterable[str]) -> None:
        if len(self.changed) < self._max_changed:
            self.changed.update(ids)
        else:
            self.overflowed = True


def absorb(pool: Pool, rows: Int64, late: Pool, late_rows: Int64) -> None:
    """Put rows of a late pool in place of rows of the active one, with their points and ids.

    Both pools must have been purged and swept: every point they know by key is live, and counts all its live ids.
    """
    late.lists.sort_all(late.store)
    slots = np.flatnonzero(late.lists.mark(late.store.size, rows=late_rows))
    keys = late.store.keys(slots)
    known = [pool.store.slot_of_key(key) for key in keys]
    fresh = [k for k, slot in enumerate(known) if slot is None]
    target = np.zeros(max(late.store.size, 1), np.int64)  # padding of rows names slot 0 of an empty store, too
    target[slots] = [-1 if slot is None else slot for slot in known]
    if fresh:
        moved = slots[fresh]
        target[moved] = pool.store.insert(late.store.vectors[moved], [keys[k] for k in fresh])
        for slot in moved.tolist():  # ids have no array form
            for name in late.store.names_at(slot):
                pool.store.detach(name)
                pool.store.attach(name, int(target[slot]))
        pool.store.adopt_unnamed(target[moved], late.store.multiplicity[moved])
    mine, its = pool.lists, late.lists
    mine.squared[rows] = its.squared[late_rows]
    mine.slots[rows] = target[its.slots[late_rows]]
    for name in ("counts", "ordered", "frontier", "frontier_words"):
        getattr(mine, name)[rows] = getattr(its, name)[late_rows]


def provable_frontiers(lists: Shortlists, queries: Float32, active: Float32) -> Float64:
    """(n,) squared distance up to which every live point is known to be held by the active rows.

    A point nearer to a new query than f_l - d(q_l, q_new) lies below the frontier f_l of row l, hence is held there.
    """
    frontier = np.sqrt(lists.frontier)
    between = np.sqrt(squared_distances(active, queries))
    reach: Float64 = np.maximum((frontier[:, None] - between).max(0, initial=0.0) - 1e-12, 0.0)
    squared: Float64 = reach * reach
    return squared


def seed_rows(pool: Pool, rows: Int64, frontiers: Float64) -> None:
    """Fill rows from the points that are held, below given frontiers (squared distances)."""
    pool.rescan(rows)
    lists = pool.lists
    lists.sort(rows, pool.store)
    for row, frontier in zip(rows.tolist(), frontiers.tolist(), strict=True):
        if frontier < lists.frontier[row]:
            count = int(np.searchsorted(lists.squared[row, : lists.counts[row]], frontier, side="left"))
            lists.squared[row, count:] = np.inf
            lists.counts[row] = lists.ordered[row] = count
            lists.frontier[row], lists.frontier_words[row] = frontier, 0
