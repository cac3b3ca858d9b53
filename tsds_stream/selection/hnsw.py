"""Neighbour search in an incremental HNSW graph, for more points than products with all of them can serve.

Every distance returned is recomputed exactly from our own copy of the vectors, so the only error is a missed neighbour.
One writer or many readers at a time; tombstones are cleared by building a new graph in the background; a row that the
graph cannot answer is computed in full and counted; saved files are checked by our own sha256.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from tsds_stream.selection.arithmetic import (
    Float32,
    Float64,
    Int64,
    UInt64,
    pair_squared_distances,
    squared_norms,
)
from tsds_stream.selection.close_pairs import Points, iter_close_pairs
from tsds_stream.selection.fold import Fold
from tsds_stream.selection.graph import Graph, HnswParameters
from tsds_stream.selection.index import IndexStatistics, nearest_in
from tsds_stream.selection.index_files import (
    DamagedIndexError,
    read_array,
    read_manifest,
    read_store,
    verify,
    write_array,
    write_manifest,
    write_store,
)
from tsds_stream.selection.locks import ReadersWriterLock
from tsds_stream.selection.neighbours import FoundRows, Neighbours
from tsds_stream.selection.vectors import VectorStore

__all__ = ["HnswIndex", "HnswParameters"]

_FIRST_K: Final = 32
_SPARE: Final = 8  # asked for beyond k, so that near-ties at the cut are settled exactly
_BLOCK: Final = 4096  # vectors copied at a time for a rebuild
_CATCH_UP: Final = 1024  # points left to the writer's turn when a new graph takes over


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="hnsw-rebuild", daemon=True).start()


class HnswIndex:
    """Approximate neighbours of many points. Queries may come from any threads beside one writer: a lock parts them.

    Args:
        dimension: d of all vectors.
        parameters: of the graph.
        background: runs the rebuild that it is given; by default a thread.
    """

    def __init__(
        self,
        dimension: int,
        parameters: HnswParameters | None = None,
        *,
        background: Callable[[Callable[[], None]], None] = _in_background,
    ) -> None:
        self._parameters = parameters or HnswParameters()
        self._background = background
        self._store = VectorStore(dimension)
        self._graph = Graph(dimension, self._parameters, self._store.capacity)
        self._node_of = np.empty(0, np.int64)  # of each slot
        self._slot_of = np.empty(0, np.int64)  # of each node; -1: a tombstone
        self._lock = ReadersWriterLock()
        self._counting = threading.Lock()
        self._saturated = self._fallback_rows = self._rebuilds = 0
        self._idle = threading.Event()
        self._idle.set()
        self._failure: Exception | None = None

    @property
    def dimension(self) -> int:
        """d of all vectors."""
        return self._store.dimension

    @property
    def statistics(self) -> IndexStatistics:
        """What there is and what has happened."""
        with self._lock.read():
            held, nodes = len(self._store), self._graph.nodes
        return IndexStatistics(held, nodes - held, self._rebuilds, self._saturated, self._fallback_rows)

    def __len__(self) -> int:
        return len(self._store)

    def add(self, labels: Int64, vectors: Float32, words: UInt64) -> None:
        """Index points; see `NeighbourIndex.add`. Copies of a vector would ruin the recall of all others."""
        self._raise_failure()
        with self._lock.write():
            slots = self._store.add(labels, vectors, words)
            part = slice(slots.start, slots.stop)
            self._node_of = _grown(self._node_of, self._store.capacity)
            self._slot_of = _grown(self._slot_of, self._graph.nodes + len(slots))
            self._node_of[part] = np.arange(self._graph.nodes, self._graph.nodes + len(slots))
            self._slot_of[self._graph.nodes : self._graph.nodes + len(slots)] = np.arange(slots.start, slots.stop)
            if len(slots):
                self._graph.add(self._store.vectors[part])

    def remove(self, labels: Int64) -> None:
        """Forget points; see `NeighbourIndex.remove`. Their nodes stay as tombstones until the next rebuild."""
        self._raise_failure()
        labels = np.asarray(labels, dtype=np.int64)
        with self._lock.write():
            nodes = self._node_of[self._store.slots_of(labels)]
            moves = self._store.remove(labels)
            self._graph.delete(nodes)
            self._slot_of[nodes] = -1
            for source, hole in moves:
                self._node_of[hole] = self._node_of[source]
            live = np.array([hole for _, hole in moves if hole < len(self._store)], np.int64)
            self._slot_of[self._node_of[live]] = live
            tombstones = self._graph.nodes - len(self._store)
            due = tombstones >= self._parameters.rebuild_minimum
            due &= tombstones > self._parameters.rebuild_share * self._graph.nodes
        if due and self._idle.is_set():
            self._idle.clear()
            self._background(self._rebuild)

    def within(self, vectors: Float32, radius: float, limit: int | None = None) -> Neighbours:
        """Points found within the radius: k nearest, k doubling until the farthest lies outside or k = `limit`.

        A row that reaches `limit` first is saturated. A row that the graph cannot answer is computed in full.
        """
        vectors = self._store.checked(vectors)
        with self._lock.read():
            norms = squared_norms(vectors)
            found = FoundRows(len(vectors), self._store, limit)
            count = len(self._store)
            most = count if limit is None else min(limit, count)
            # The graph's own distances err by at most this factor, so what it calls outside is outside.
            outside = radius * radius * (1.0 + (self.dimension + 4) * 1.02 * 2.0**-24)
            todo, k = np.arange(len(vectors) if most else 0), min(_FIRST_K, most)
            while len(todo):
                nodes, approximate = self._graph.search(vectors[todo], k)
                answered = nodes[:, 0] >= 0
                self._scan(found, vectors, norms, todo[~answered], radius)
                open_ended = answered & (approximate[:, -1] <= outside)
                done = answered & ~open_ended if k < most else answered
                if k == most < count:
                    found.saturate(todo[open_ended])
                rows, slots = np.repeat(todo[done], k), self._slot_of[nodes[done].ravel()]
                squared = self._squared(vectors, norms, rows, slots)
                inside = squared < radius * radius
                found.add(rows[inside], slots[inside], squared[inside])
                todo, k = todo[answered & ~done], min(2 * k, most)
            result = found.neighbours()
        with self._counting:
            self._saturated += int(result.saturated.sum())
        return result

    def nearest(self, vectors: Float32, k: int) -> tuple[Int64, Float64]:
        """The nearest min(k, len) points found; see `NeighbourIndex.nearest`."""
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        vectors = self._store.checked(vectors)
        with self._lock.read():
            k = min(k, len(self._store))
            labels, squared = np.empty((len(vectors), k), np.int64), np.empty((len(vectors), k))
            if not k or not len(vectors):
                return labels, squared
            asked = min(k + _SPARE, len(self._store))
            nodes, _ = self._graph.search(vectors, asked)
            answered = nodes[:, 0] >= 0
            rows, slots = np.flatnonzero(answered), self._slot_of[nodes[answered]]
            exact = self._squared(vectors, squared_norms(vectors), np.repeat(rows, asked), slots.ravel())
            exact, words = exact.reshape(-1, asked), self._store.words[slots]
            order = np.lexsort((words[:, :, 1], words[:, :, 0], exact))[:, :k]
            labels[rows] = np.take_along_axis(self._store.labels[slots], order, 1)
            squared[rows] = np.take_along_axis(exact, order, 1)
            if not answered.all():
                self._count_fallback(int((~answered).sum()))
                labels[~answered], squared[~answered] = nearest_in(self._store, vectors[~answered], k)
        return labels, squared

    def save(self, directory: Path) -> None:
        """Write vectors and graph, with checksums of our own. Queries go on; the writer waits."""
        directory.mkdir(parents=True, exist_ok=True)
        with self._lock.read():
            write_store(directory, self._store)
            write_array(directory / "nodes.bin", self._node_of[: len(self._store)])
            self._graph.save(directory / "graph.bin")
            files = ["labels.bin", "words.bin", "vectors.bin", "nodes.bin", "graph.bin"]
            write_manifest(directory, "hnsw", self._store, files, nodes=self._graph.nodes)

    @classmethod
    def load(
        cls,
        directory: Path,
        dimension: int,
        parameters: HnswParameters | None = None,
        *,
        repair: bool = False,
        background: Callable[[Callable[[], None]], None] = _in_background,
    ) -> HnswIndex:
        """Read a saved index.

        Args:
            parameters: as for a new index; `m` and `ef_construction` stay those of the saved graph until a rebuild.
            repair: build the graph anew from the vectors when only the graph is damaged.

        Raises:
            DamagedIndexError: a byte, a size or the dimension is not what was saved.
        """
        index = cls(dimension, parameters, background=background)
        manifest = read_manifest(directory, "hnsw", dimension)
        index._store = read_store(directory, manifest)
        count = len(index._store)
        try:
            nodes = read_array(directory, manifest, "nodes.bin", np.dtype("<i8"), (count,))
            verify(directory, manifest, "graph.bin")
            index._graph = Graph.load(directory / "graph.bin", dimension, index._parameters, manifest["nodes"])
        except DamagedIndexError:
            if not repair:
                raise
            nodes = np.arange(count)
            index._graph = Graph(dimension, index._parameters, index._store.capacity)
            if count:
                index._graph.add(index._store.vectors[:count])
            index._rebuilds = 1
        index._node_of = nodes.copy()
        index._slot_of = np.full(index._graph.nodes, -1, np.int64)
        index._slot_of[nodes] = np.arange(count)
        return index

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a rebuild that is under way; False when the seconds ran out."""
        return self._idle.wait(timeout)

    def _squared(self, vectors: Float32, norms: Float64, rows: Int64, slots: Int64) -> Float64:
        return pair_squared_distances(vectors, norms, rows, self._store.vectors, self._store.norms, slots)

    def _scan(self, found: FoundRows, vectors: Float32, norms: Float64, rows: Int64, radius: float) -> None:
        """Answer rows in full, without the graph."""
        if not len(rows):
            return
        self._count_fallback(len(rows))
        held = slice(0, len(self._store))
        everything = Points(self._store.vectors[held], self._store.norms[held], self._store.vectors[held])
        plain = Fold(self.dimension)
        for i, j, squared in iter_close_pairs(plain, Points(vectors, norms, vectors, rows), everything, radius):
            found.add(rows[i], j, squared)

    def _count_fallback(self, rows: int) -> None:
        with self._counting:
            self._fallback_rows += rows

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise RuntimeError("the last rebuild of the graph failed; the old graph is still in use") from failure

    def _rebuild(self) -> None:
        """Build a graph of the living points beside the old one, catch up with the writer, and swap."""
        try:
            with self._lock.read():
                old = np.sort(self._node_of[: len(self._store)])
                seen = self._graph.nodes
            graph = Graph(self.dimension, self._parameters, len(old) + len(old) // 4)
            origin: list[Int64] = []  # the old node of each new one
            while True:
                for start in range(0, len(old), _BLOCK):
                    with self._lock.read():
                        alive, vectors = self._living(old[start : start + _BLOCK])
                    self._link(graph, origin, alive, vectors)
                with self._lock.read():
                    old, seen = np.arange(seen, self._graph.nodes), self._graph.nodes
                if len(old) <= _CATCH_UP:
                    break
            with self._lock.write():
                for rest in (old, np.arange(seen, self._graph.nodes)):
                    self._link(graph, origin, *self._living(rest))
                slots = self._slot_of[np.concatenate(origin)] if origin else np.empty(0, np.int64)
                graph.delete(np.flatnonzero(slots < 0))
                self._node_of[slots[slots >= 0]] = np.flatnonzero(slots >= 0)
                self._slot_of, self._graph = slots, graph
                self._rebuilds += 1
        except (RuntimeError, MemoryError, ValueError) as failure:
            self._failure = failure
        finally:
            self._idle.set()

    def _living(self, nodes: Int64) -> tuple[Int64, Float32]:
        """Those of the nodes that are no tombstones, and a copy of their vectors."""
        slots = self._slot_of[nodes]
        return nodes[slots >= 0], self._store.vectors[slots[slots >= 0]]

    @staticmethod
    def _link(graph: Graph, origin: list[Int64], nodes: Int64, vectors: Float32) -> None:
        if len(nodes):
            graph.add(vectors)
            origin.append(nodes)


def _grown(array: Int64, length: int) -> Int64:
    """An array of at least this length with the same beginning."""
    if length > len(array):
        array.resize(length + length // 2, refcheck=False)
    return array
