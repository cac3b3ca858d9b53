"""A pool: queries, the points near to them, and the exact effect of each arrival and retraction.

The selector keeps one pool of active queries and, while late targets wait for the past of the stream, a second one that
is fed from the start and then absorbed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tsds_stream.selection.arithmetic import (
    Float32,
    Float64,
    Int64,
    canonical,
    key_words,
    keys_of,
    pair_products,
    squared_norms,
)
from tsds_stream.selection.arrivals import Arriving, settle
from tsds_stream.selection.blas import blas_threads, one_blas_thread
from tsds_stream.selection.points import PointStore
from tsds_stream.selection.ragged import distinct_ascending
from tsds_stream.selection.screen import Screen, Survivors
from tsds_stream.selection.shortlists import Shortlists

_BLOCK = 8192  # documents per pass: bounds the scratch memory
_PAIRS_WHILE_FILLING = 1 << 19
_DENSE_PAIRS = 32  # one product for all survivors is cheaper than pair by pair from 1/32 of all pairs


@dataclass
class Offered:
    """What became of the documents of one call.

    Attributes:
        held: (k,) int64 positions whose id is held now; keys: their point keys.
        admitted: new points; duplicates: redeliveries, and copies of points that were held.
    """

    held: list[int]
    keys: list[bytes]
    admitted: int = 0
    duplicates: int = 0


@dataclass(frozen=True)
class _Screened:
    """What the screen passed, and the canonical points of all documents where all are kept."""

    passed: Survivors
    points: Float32 | None


class Pool:
    """Queries and the points that stand on their shortlists (or, with `keep_all`, every point).

    Args:
        queries: (M, d) float32 canonical, in the order of the rows.
        salt: of the fixed uniforms.
    """

    def __init__(self, queries: Float32, max_k: int, slack: int, salt: np.uint64, max_ids: int, keep_all: bool) -> None:
        self.screen = Screen(queries)
        self.lists = Shortlists(len(queries), max_k, slack)
        self.store = PointStore(queries.shape[1], salt, max_ids)
        self.keep_all = keep_all
        self.superseded = 0  # ids that moved to another point, or whose record came again

    @property
    def queries(self) -> Float32:
        return self.screen.queries

    # -- arrivals -----------------------------------------------------------------------------------------------

    def offer(self, ids: Sequence[str], vectors: Float32, is_canonical: bool) -> Offered:
        """Offer documents: distinct ids, (n, d) float32 finite and non-zero vectors."""
        with one_blas_thread():  # throughout: threads of BLAS that spin would slow down our own
            return self._offer(ids, vectors, is_canonical)

    def _offer(self, ids: Sequence[str], vectors: Float32, is_canonical: bool) -> Offered:
        result = Offered([], [])
        start = 0
        while start < len(ids) and np.isinf(self.lists.frontier).any():  # nearly every pair is admitted
            block = max(_PAIRS_WHILE_FILLING // max(len(self.lists), 1), 64)
            part = slice(start, start + min(block, _BLOCK))
            screened = self._screened(vectors[part], is_canonical, self.lists.frontier)
            self._take_in(ids[part], vectors[part], is_canonical, screened, start, result)
            start = part.stop
        parts = [slice(begin, begin + _BLOCK) for begin in range(start, len(ids), _BLOCK)]
        for part, screened in zip(parts, self._screened_ahead(vectors, parts, is_canonical), strict=True):
            self._take_in(ids[part], vectors[part], is_canonical, screened, part.start, result)
        return result

    def _screened_ahead(self, vectors: Float32, parts: list[slice], is_canonical: bool) -> Iterator[_Screened]:
        """Screen each part while the one before is taken in: frontiers only fall, so an older one is only generous."""
        if len(parts) < 2 or blas_threads() < 2:
            for part in parts:
                yield self._screened(vectors[part], is_canonical, self.lists.frontier)
            return
        with ThreadPoolExecutor(1) as ahead:

            def submit(part: slice) -> Future[_Screened]:
                return ahead.submit(self._screened, vectors[part], is_canonical, self.lists.frontier.copy())

            waiting = submit(parts[0])
            for following in parts[1:]:
                screened = waiting.result()
                waiting = submit(following)
                yield screened
            yield waiting.result()

    def _screened(self, vectors: Float32, is_canonical: bool, frontier: Float64) -> _Screened:
        if not self.keep_all:
            return _Screened(self.screen.pass_(vectors, frontier), None)
        points = vectors if is_canonical else canonical(vectors)
        return _Screened(self.screen.pass_(points, frontier), points)

    def _take_in(
        self,
        ids: Sequence[str],
        vectors: Float32,
        is_canonical: bool,
        screened: _Screened,
        offset: int,
        result: Offered,
    ) -> None:
        passed = screened.passed
        if screened.points is not None:
            chosen, points = np.arange(len(ids)), screened.points
            document, query = passed.rows[passed.pair_rows], passed.pair_queries
        else:
            chosen = passed.rows
            points = vectors[chosen] if is_canonical else canonical(vectors[chosen])
            document, query = passed.pair_rows, passed.pair_queries
        if not len(points):
            self._drop_older(ids, [])
            return
        keys = keys_of(points)
        norms, words = squared_norms(points), key_words(keys)
        squared = self._squared(points, norms, document, query)
        below = self.lists.below_frontier(query, squared, words, document)
        document, query, squared = document[below], query[below], squared[below]
        wanted = np.arange(len(chosen)) if self.keep_all else distinct_ascending(document)
        arriving = Arriving(
            [ids[k] for k in chosen[wanted].tolist()],
            [keys[k] for k in wanted.tolist()],
            points[wanted],
            norms[wanted],
            words[wanted],
        )
        if not self.keep_all:
            self._drop_older(ids, arriving.names)
        fresh, slots, known = settle(arriving, self.store)
        self.superseded += known
        result.admitted += len(fresh)
        result.duplicates += len(wanted) - len(fresh)
        positions, its_keys = (chosen[wanted] + offset).tolist(), arriving.keys
        if self.store.unnamed:  # copies beyond `max_ids` are only counted
            named = self.store.known(arriving.names)
            kept = [k for k, name in enumerate(arriving.names) if name in named]
            positions, its_keys = [positions[k] for k in kept], [its_keys[k] for k in kept]
        result.held += positions
        result.keys += its_keys
        slot_of = np.full(len(chosen), -1, np.int64)
        slot_of[wanted[fresh]] = slots
        pair_slots = slot_of[document]
        new = pair_slots >= 0
        self.lists.insert(query[new], squared[new], pair_slots[new], self.store)

    def _drop_older(self, ids: Sequence[str], wanted: list[str]) -> None:
        """Retract held documents whose newer version lies too far away."""
        if self.store.knows_none(ids):
            return
        dropped = self.store.known(ids).difference(wanted)
        self.superseded += len(dropped)
        for name in dropped:
            self.store.detach(name)

    def _squared(self, points: Float32, norms: Float64, document: Int64, query: Int64) -> Float64:
        """Exact squared distances of (document, query) pairs."""
        if len(document) * _DENSE_PAIRS > len(points) * len(self.queries):
            wide = self.queries.astype(np.float64)
            squared = np.empty(len(document))
            for start in range(0, len(points), 1024):
                stop = min(start + 1024, len(points))
                mine = slice(*np.searchsorted(document, [start, stop]).tolist())
                products = points[start:stop].astype(np.float64) @ wide.T
                squared[mine] = products[document[mine] - start, query[mine]]
        else:
            squared = pair_products(points, document, self.queries, query)
        squared *= -2.0
        squared += norms[document]
        squared += self.screen.norms[query]
        return squared

    # -- departures ---------------------------------------------------------------------------------------------

    def retract(self, names: Sequence[str]) -> int:
        """Retract ids; how many of them were held."""
        return sum(self.store.detach(name) is not None for name in names)

    def purge(self) -> None:
        """Take points without ids out of the rows and forget them."""
        store = self.store
        gone = store.held & (store.multiplicity == 0)
        if gone.any():
            self.lists.purge(gone)
            store.forget(np.flatnonzero(gone))

    def sweep(self, indexed: Int64) -> Int64:
        """Forget points on no shortlist and free the slots that the density does not count any more.

        Args:
            indexed: (at most store.size,) int64 multiplicity with which the density counts each slot.

        Returns:
            The freed slots.
        """
        store = self.store
        stays = store.multiplicity > 0 if self.keep_all else self.lists.mark(store.size)
        dead = np.flatnonzero(store.held & ~stays)
        store.forget(dead)
        counted = dead[dead < len(indexed)]
        waiting = counted[indexed[counted] != 0]
        free = np.setdiff1d(dead, waiting, assume_unique=True) if len(waiting) else dead
        store.release(free)
        return free

    # -- queries ------------------------------------------------------------------------------------------------

    def rescan(self, rows: Int64) -> None:
        """Fill rows afresh from all points of the store (scope corpus)."""
        lists, store = self.lists, self.store
        lists.counts[rows] = lists.ordered[rows] = 0
        lists.squared[rows] = np.inf
        lists.frontier[rows] = np.inf
        lists.frontier_words[rows] = 0
        screen = Screen(self.queries[rows])
        slots = store.live()
        for start in range(0, len(slots), _BLOCK):
            part = slots[start : start + _BLOCK]
            passed = screen.pass_(store.vectors[part], lists.frontier[rows])
            slot, query = part[passed.rows[passed.pair_rows]], rows[passed.pair_queries]
            squared = pair_products(store.vectors, slot, self.queries, query)
            squared *= -2.0
            squared += store.norms[slot]
            squared += self.screen.norms[query]
            below = lists.below_frontier(query, squared, store.words, slot)
            lists.insert(query[below], squared[below], slot[below], store)

    def set_queries(self, queries: Float32, source: Int64) -> None:
        """Replace the queries: new row i is old row source[i], or empty where source[i] < 0."""
        self.screen = Screen(queries)
        old = len(self.lists)
        missing = np.flatnonzero(source < 0)
        self.lists.append(len(missing))
        source = source.copy()
        source[missing] = old + np.arange(len(missing))
        self.lists.reorder(source)
