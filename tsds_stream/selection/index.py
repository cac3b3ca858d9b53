"""Neighbour search over indexed points: the protocol, and the exact implementation.

An index holds *points*, each once: copies of a document only raise a multiplicity that the index does not know.
Distances that it returns are always exact; an approximate index may only miss neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from tsds_stream.selection.arithmetic import Float32, Float64, Int64, UInt64, pair_products, squared_norms
from tsds_stream.selection.blas import one_blas_thread
from tsds_stream.selection.close_pairs import Points, iter_close_pairs
from tsds_stream.selection.fold import Fold
from tsds_stream.selection.index_files import read_manifest, read_store, write_manifest, write_store
from tsds_stream.selection.neighbours import FoundRows, Neighbours, joined
from tsds_stream.selection.vectors import VectorStore

__all__ = ["ExactIndex", "IndexStatistics", "NeighbourIndex", "Neighbours", "nearest_in"]

_QUERY_BLOCK: Final = 512
_SAMPLE: Final = 8192
_PRODUCTS: Final = 1 << 24  # float32 products held at a time by `nearest_in`


@dataclass(frozen=True)
class IndexStatistics:
    """Counts since the index was made or loaded.

    Attributes:
        vectors: points held now.
        tombstones: removed points that still take room in a graph, now.
        rebuilds: graphs built anew because of tombstones.
        saturated: rows of `within` that reached their limit.
        fallback_rows: query rows answered by full products because the graph could not.
    """

    vectors: int
    tombstones: int = 0
    rebuilds: int = 0
    saturated: int = 0
    fallback_rows: int = 0


class NeighbourIndex(Protocol):
    """Points under int64 labels, each with a canonical vector (d,) and its key words (2,) uint64.

    One thread at a time may call `add`, `remove` and `save`. Whether queries may run beside them, each class says.
    """

    @property
    def dimension(self) -> int:
        """d of all vectors."""

    @property
    def statistics(self) -> IndexStatistics:
        """What there is and what has happened."""

    def __len__(self) -> int:
        """Points held."""

    def add(self, labels: Int64, vectors: Float32, words: UInt64) -> None:
        """Index points.

        Args:
            labels: (n,) int64, none of them held.
            vectors: (n, d) float32 canonical, no two points alike.
            words: (n, 2) uint64 of `arithmetic.key_words`; they order equal distances.

        Raises:
            ValueError: a held or repeated label, a wrong shape or a non-finite number. Nothing is added then.
        """

    def remove(self, labels: Int64) -> None:
        """Forget points. KeyError for a label that is not held; nothing is removed then."""

    def within(self, vectors: Float32, radius: float, limit: int | None = None) -> Neighbours:
        """Points at an exact squared distance below radius², the nearest `limit` of them at most."""

    def nearest(self, vectors: Float32, k: int) -> tuple[Int64, Float64]:
        """The nearest min(k, len) points: (n, ·) labels and exact squared distances, by (squared distance, key)."""

    def save(self, directory: Path) -> None:
        """Write the index into a directory, which must hold no other one."""

    @classmethod
    def load(cls, directory: Path, dimension: int) -> NeighbourIndex:
        """Read a saved index; `DamagedIndexError` when a byte, a size or the dimension is not what was saved."""


class ExactIndex:
    """Every neighbour, by products with all points: folded for `within`, full for `nearest`. One thread at a time."""

    def __init__(self, dimension: int) -> None:
        self._store = VectorStore(dimension)
        self._fold: Fold | None = None
        self._folded = np.empty((0, 0), np.float32)
        self._fitted_count = 0
        self._fitted_radius = 0.0
        self._saturated = 0

    @property
    def dimension(self) -> int:
        """d of all vectors."""
        return self._store.dimension

    @property
    def statistics(self) -> IndexStatistics:
        """What there is and what has happened."""
        return IndexStatistics(vectors=len(self._store), saturated=self._saturated)

    def __len__(self) -> int:
        return len(self._store)

    def add(self, labels: Int64, vectors: Float32, words: UInt64) -> None:
        """Index points; see `NeighbourIndex.add`."""
        slots = self._store.add(labels, vectors, words)
        if self._fold is not None and self._fold.basis is not None:
            if len(self._folded) < self._store.capacity:
                self._folded.resize((self._store.capacity, self._fold.width), refcheck=False)
            part = slice(slots.start, slots.stop)
            self._folded[part] = self._fold.project(self._store.vectors[part], self._store.norms[part])

    def remove(self, labels: Int64) -> None:
        """Forget points; see `NeighbourIndex.remove`."""
        moves = self._store.remove(labels)
        if self._fold is not None and self._fold.basis is not None:
            for source, hole in moves:
                self._folded[hole] = self._folded[source]

    def within(self, vectors: Float32, radius: float, limit: int | None = None) -> Neighbours:
        """All points within the radius; a row is saturated iff it had more than `limit`. Never misses any."""
        vectors = self._store.checked(vectors)
        fold = self._fitted(radius)
        held = self._held(fold)
        parts = []
        for start in range(0, len(vectors), _QUERY_BLOCK):
            block = vectors[start : start + _QUERY_BLOCK]
            found = FoundRows(len(block), self._store, limit)
            queries = Points.of(fold, block, squared_norms(block))
            for i, j, squared in iter_close_pairs(fold, queries, held, radius):
                found.add(i, j, squared)
            parts.append(found.neighbours())
        result = joined(parts)
        self._saturated += int(result.saturated.sum())
        return result

    def nearest(self, vectors: Float32, k: int) -> tuple[Int64, Float64]:
        """The nearest points by full float32 products with an exact recheck; see `NeighbourIndex.nearest`."""
        return nearest_in(self._store, self._store.checked(vectors), k)

    def save(self, directory: Path) -> None:
        """Write the vectors; the fold is chosen anew after loading."""
        directory.mkdir(parents=True, exist_ok=True)
        write_store(directory, self._store)
        write_manifest(directory, "exact", self._store, ["labels.bin", "words.bin", "vectors.bin"])

    @classmethod
    def load(cls, directory: Path, dimension: int) -> ExactIndex:
        """Read a saved index; see `NeighbourIndex.load`."""
        index = cls(dimension)
        index._store = read_store(directory, read_manifest(directory, "exact", dimension))
        return index

    def _fitted(self, radius: float) -> Fold:
        """The fold, fitted anew when the points have doubled, the radius is another, or it lets too much through."""
        count, fold = len(self._store), self._fold
        similar = 0.7 * self._fitted_radius <= radius <= 1.4 * self._fitted_radius
        if fold is None or not similar or count > 2 * self._fitted_count or fold.worn:
            sample = self._store.vectors[:count][:: max(1, -(-count // _SAMPLE))]
            fold = self._fold = Fold.fit(sample, radius)
            self._fitted_count, self._fitted_radius = max(count, 64), radius
            self._folded = np.empty((0, 0), np.float32)
            if fold.basis is not None:
                self._folded = np.empty((self._store.capacity, fold.width), np.float32)
                self._folded[:count] = fold.project(self._store.vectors[:count], self._store.norms[:count])
        return fold

    def _held(self, fold: Fold) -> Points:
        vectors, norms = self._store.vectors[: len(self)], self._store.norms[: len(self)]
        return Points(vectors, norms, vectors if fold.basis is None else self._folded[: len(self)])


def nearest_in(store: VectorStore, queries: Float32, k: int) -> tuple[Int64, Float64]:
    """The exact nearest min(k, len) points of a store by blocked float32 products, ties by key.

    Points rank by x.y - |y|²/2. In float32 this errs by at most e = ((d + 4) 1.02 + 4) 2^-24 |x||y| (see `Fold.bound`;
    the further 4 are for halving, rounding and subtracting the norm). At least k points truly reach the k-th largest
    computed value minus e, so whatever is computed below that value minus 2 e is not among the nearest k.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    count, d = len(store), store.dimension
    k = min(k, count)
    labels, squared = np.empty((len(queries), k), np.int64), np.empty((len(queries), k))
    if not k or not len(queries):
        return labels, squared
    query_norms = squared_norms(queries)
    half = (0.5 * store.norms[:count]).astype(np.float32)
    longest = float(np.sqrt(query_norms.max() * max(1.0, float(store.norms[:count].max()))))
    margin = np.float32(2.0 * ((d + 4) * 1.02 + 4) * 2.0**-24 * max(1.0, longest))
    block = max(1, min(_QUERY_BLOCK, _PRODUCTS // count))
    scores = np.empty((min(block, len(queries)), count), np.float32)
    for start in range(0, len(queries), block):
        part = queries[start : start + block]
        with one_blas_thread():
            found = np.dot(part, store.vectors[:count].T, out=scores[: len(part)])
        found -= half
        for i, row in enumerate(found):
            least = np.partition(row, count - k)[count - k] if k < count else row.min()
            slots = np.flatnonzero(row >= np.nextafter(least - margin, np.float32(-np.inf)))
            exact = -2.0 * pair_products(part, np.full(len(slots), i), store.vectors, slots)
            exact += query_norms[start + i]
            exact += store.norms[slots]
            order = np.lexsort((store.words[slots, 1], store.words[slots, 0], exact))[:k]
            labels[start + i], squared[start + i] = store.labels[slots[order]], exact[order]
    return labels, squared
