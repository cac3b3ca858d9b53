"""Pairs of vectors within a distance, and the density sums over them: exact, through the fold.

Tiles of the float32 product of folded vectors are screened. A tile with few survivors has these recomputed one by one;
a tile with many is recomputed as a whole in float64. Both are exact, so the choice is one of time alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tsds_stream.selection.arithmetic import (
    KERNEL_UNIT,
    Bool,
    Float32,
    Float64,
    Int64,
    kernel_terms,
    pair_products,
)
from tsds_stream.selection.blas import one_blas_thread
from tsds_stream.selection.fold import Fold, Survival, dense_cost, survivor_cost

_STRIP = 4096  # rows of one side gathered at a time
_CHUNK = 1 << 16  # survivors recomputed in one go
_THREADED = 1 << 25  # products of fewer pairs are not worth a second thread
_EXACT_FLOAT = 2.0**21  # weights below this sum with kernel terms up to 2^32 exactly in float64


@dataclass(frozen=True)
class Points:
    """One side of a product, as slots of preallocated arrays.

    Attributes:
        vectors: (slots, d) float32 canonical.
        norms: (slots,) float64 exact squared norms.
        folded: (slots, fold.width) float32, `Fold.project` of the vectors (the vectors themselves without a basis).
        rows: (n,) integer slots that take part, in this order; None: all.
    """

    vectors: Float32
    norms: Float64
    folded: Float32
    rows: NDArray[np.integer] | None = None

    def __len__(self) -> int:
        return len(self.norms) if self.rows is None else len(self.rows)

    @classmethod
    def of(cls, fold: Fold, vectors: Float32, norms: Float64) -> Points:
        """All rows of an array, folded now."""
        return cls(vectors, norms, fold.project(vectors, norms))

    def slots(self, positions: NDArray[np.integer]) -> NDArray[np.integer]:
        """Slots of the points at these positions (0 .. len - 1)."""
        return positions if self.rows is None else self.rows[positions]

    def chosen_norms(self) -> Float64:
        """(n,) squared norms of the points that take part."""
        return self.norms if self.rows is None else self.norms[self.rows]

    def take(self, array: Float32, start: int, stop: int, out: Float32) -> Float32:
        """Rows of `array` for positions start .. stop - 1: a view, or gathered into `out`."""
        if self.rows is None:
            return array[start:stop]
        return np.take(array, self.rows[start:stop], axis=0, out=out[: stop - start], mode="clip")


def iter_close_pairs(fold: Fold, a: Points, b: Points, sigma: float) -> Iterator[tuple[Int64, Int64, Float64]]:
    """Every pair with exact squared distance below sigma², in chunks of at most about 2^20 pairs.

    Each chunk is (i, j, squared): positions in `a` and `b` (0 .. len - 1, not slots) and exact squared distances.
    Chunks come in no particular order; a pair comes once. Memory does not grow with the number of pairs.
    """
    limit = sigma * sigma
    tiles = _Tiles(fold, a, b, sigma)
    for i, j, tile in tiles:
        if tile is None:
            squared = tiles.pairs(i, j)
            keep = squared < limit
            i, j, squared = i[keep], j[keep], squared[keep]
        else:
            flat = np.flatnonzero(tile < limit)
            squared = tile.ravel()[flat]
            i, j = i[0] + flat // tile.shape[1], j[0] + flat % tile.shape[1]
        fold.survival.within += len(i)
        if len(i):
            yield i, j, squared


def close_pairs(fold: Fold, a: Points, b: Points, sigma: float) -> tuple[Int64, Int64, Float64]:
    """All pairs of `iter_close_pairs` at once, unordered; for callers that know there are few."""
    chunks = list(iter_close_pairs(fold, a, b, sigma))
    if not chunks:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    i, j, squared = zip(*chunks, strict=True)
    return np.concatenate(i), np.concatenate(j), np.concatenate(squared)


def accumulate_density(fold: Fold, a: Points, b: Points, sigma: float, b_weights: Int64, *, threads: int = 1) -> Int64:
    """Exact density sums: out[i] = Σ_j b_weights[j] · rint(max(0, 1 - d²(a_i, b_j)/sigma²) · 2^32).

    Args:
        b_weights: (len(b),) int64, of either sign: multiplicities to settle, their changes to maintain. The sum of
            their absolute values must stay below 2^31, or int64 could overflow.
        threads: share the points of `a` between so many threads when the product is large.

    Returns:
        (len(a),) int64 in units of 2^-32, the same bits in any order of the points.
    """
    # Held throughout: switching the number of BLAS threads at every tile would stall the other thread.
    with one_blas_thread():
        if threads <= 1 or len(a) * len(b) < _THREADED:
            return _accumulated(fold, a, b, sigma, b_weights)

        def part(positions: Int64) -> tuple[Int64, Survival]:
            own = replace(fold, survival=Survival())
            return _accumulated(own, replace(a, rows=a.slots(positions)), b, sigma, b_weights), own.survival

        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(part, np.array_split(np.arange(len(a)), threads)))
    for _, survival in parts:
        fold.survival.add(survival)
    return np.concatenate([sums for sums, _ in parts])


def _accumulated(fold: Fold, a: Points, b: Points, sigma: float, b_weights: Int64) -> Int64:
    out = np.zeros(len(a), np.int64)
    limit = sigma * sigma
    tiles = _Tiles(fold, a, b, sigma)
    for i, j, tile in tiles:
        if tile is None:
            squared = tiles.pairs(i, j)
            fold.survival.within += int(np.count_nonzero(squared < limit))
            np.add.at(out, i, kernel_terms(squared, sigma) * b_weights[j])
        else:
            fold.survival.within += int(np.count_nonzero(tile < limit))
            # The operations of `kernel_terms`, in place.
            np.divide(tile, limit, out=tile)
            np.subtract(1.0, tile, out=tile)
            np.maximum(tile, 0.0, out=tile)
            np.multiply(tile, KERNEL_UNIT, out=tile)
            np.rint(tile, out=tile)
            weights = b_weights[j[0] : j[0] + tile.shape[1]]
            if float(np.abs(weights).sum()) < _EXACT_FLOAT:
                sums = (tile @ weights.astype(np.float64)).astype(np.int64)
            else:
                sums = tile.astype(np.int64) @ weights
            out[i[0] : i[0] + tile.shape[0]] += sums
    return out


class _Tiles:
    """Walks the product of two sides in tiles that fit the cache; all buffers are allocated once.

    Yields (i, j, None): positions of pairs that survived the screen and are yet to be recomputed (`pairs`); or
    ([first row], [first column], tile): exact squared distances of a whole tile, valid until the next step.
    """

    def __init__(self, fold: Fold, a: Points, b: Points, sigma: float) -> None:
        self.fold, self.a, self.b = fold, a, b
        d = fold.dimension
        rows, columns = (512, 1024) if d <= 2048 else (128, 256)
        self.rows, self.columns = min(rows, max(len(a), 1)), min(columns, max(len(b), 1))
        self.sigma = sigma
        self.dense_share = dense_cost(d) / survivor_cost(d)
        self._exact: tuple[Float32, Float64, Float64, Float64] | None = None
        self._right_start = -1

    def __iter__(self) -> Iterator[tuple[Int64, Int64, Float64 | None]]:
        a, b, fold = self.a, self.b, self.fold
        if not len(a) or not len(b) or self.sigma <= 0:
            return
        bound = fold.bound(a.chosen_norms(), b.chosen_norms(), self.sigma)
        strip = min(_STRIP, len(a))
        a_buffer = np.empty((strip if a.rows is not None else 0, fold.width), np.float32)
        b_buffer = np.empty((self.columns if b.rows is not None else 0, fold.width), np.float32)
        products = np.empty(self.rows * self.columns, np.float32)
        hits = np.empty(self.rows * self.columns, np.bool_)
        words = np.empty(len(hits) // 8, np.bool_)
        waiting: list[tuple[Int64, Int64]] = []
        count = 0
        for strip_start in range(0, len(a), strip):
            strip_stop = min(strip_start + strip, len(a))
            left = a.take(a.folded, strip_start, strip_stop, a_buffer)
            for column in range(0, len(b), self.columns):
                width = min(self.columns, len(b) - column)
                right = b.take(b.folded, column, column + width, b_buffer).T
                for row in range(strip_start, strip_stop, self.rows):
                    height = min(self.rows, strip_stop - row)
                    size = height * width
                    if fold.dense:
                        fold.survival.entries += size
                        yield np.array([row]), np.array([column]), self.tile(row, height, column, width)
                        continue
                    block = left[row - strip_start : row - strip_start + height]
                    with one_blas_thread():
                        np.dot(block, right, out=products[:size].reshape(height, width))
                    np.greater_equal(products[:size], bound, out=hits[:size])
                    flat = _true_positions(hits[:size], words)
                    found = len(flat)
                    fold.survival.entries += size
                    fold.survival.survivors += found
                    if found > self.dense_share * size and found > 256:
                        yield np.array([row]), np.array([column]), self.tile(row, height, column, width)
                    elif found:
                        waiting.append((flat // width + row, flat % width + column))
                        count += found
                        if count >= _CHUNK:
                            yield *_joined(waiting), None
                            waiting, count = [], 0
        if waiting:
            yield *_joined(waiting), None

    def pairs(self, i: Int64, j: Int64) -> Float64:
        """Exact squared distances of pairs of positions."""
        i_slots, j_slots = self.a.slots(i), self.b.slots(j)
        squared = pair_products(self.a.vectors, i_slots, self.b.vectors, j_slots)
        squared *= -2.0
        squared += self.a.norms[i_slots]
        squared += self.b.norms[j_slots]
        return squared

    def tile(self, row: int, height: int, column: int, width: int) -> Float64:
        """(height, width) exact squared distances in a buffer that the next call overwrites."""
        a, b = self.a, self.b
        d = self.fold.dimension
        if self._exact is None:
            self._exact = (
                np.empty((max(self.rows, self.columns), d), np.float32),
                np.empty((self.rows, d)),
                np.empty((self.columns, d)),
                np.empty(self.rows * self.columns),
            )
        gathered, left, right, flat = self._exact
        left[:height] = a.take(a.vectors, row, row + height, gathered)
        if self._right_start != column:
            right[:width] = b.take(b.vectors, column, column + width, gathered)
            self._right_start = column
        out = flat[: height * width].reshape(height, width)
        with one_blas_thread():
            np.dot(left[:height], right[:width].T, out=out)
        out *= -2.0
        out += (a.norms[row : row + height] if a.rows is None else a.norms[a.rows[row : row + height]])[:, None]
        out += b.norms[column : column + width] if b.rows is None else b.norms[b.rows[column : column + width]]
        return out


def _true_positions(hits: Bool, words: Bool) -> Int64:
    """`np.flatnonzero(hits)`, twice as fast where few are true: eight at a time are looked at.

    Args:
        words: scratch of at least len(hits) // 8 entries.
    """
    if len(hits) % 8:
        return np.flatnonzero(hits)
    some = np.not_equal(hits.view(np.uint64), 0, out=words[: len(hits) // 8])
    eights = np.flatnonzero(some)
    if len(eights) * 8 > len(some):
        return np.flatnonzero(hits)
    i, j = np.nonzero(hits.reshape(-1, 8)[eights])
    return eights[i] * 8 + j


def _joined(pieces: list[tuple[Int64, Int64]]) -> tuple[Int64, Int64]:
    return np.concatenate([i for i, _ in pieces]), np.concatenate([j for _, j in pieces])
