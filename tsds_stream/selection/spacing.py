"""Who may still be taken when selected points must keep a distance from each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tsds_stream.selection.arithmetic import GRID, Bool, Float32, Float64, Int64, UInt64, pair_squared_distances

_CHUNK: Final = 512  # taken points per product: half a megabyte of float32 at d 256, so a chunk stays in the cache


@dataclass(frozen=True)
class Remembered:
    """What one draw has found out about distances, for the next one over mostly the same points.

    It saves comparisons and decides nothing: whatever is not remembered is compared.

    Attributes:
        radius: that of the draw.
        points: (n,) int64 points; words: (n, 2) uint64 key words by which they are known again.
        taken: (n,) bool, the selected ones.
        far: (n,) bool, those that keep their distance from every other selected one.
        witness: (n,) int64, the selected point that is too near to it; -1: none is known.
    """

    radius: float
    points: Int64
    words: UInt64
    taken: Bool
    far: Bool
    witness: Int64

    def of_those_left(self, radius: float, words: UInt64) -> Remembered | None:
        """What still holds where `words` are the key words of all points; none with another radius."""
        if radius != self.radius:
            return None
        same = self.points < len(words)
        same[same] = (words[self.points[same]] == self.words[same]).all(1)
        left = np.zeros(len(words), np.bool_)
        left[self.points[same]] = True
        witness = self.witness[same]
        seen = witness >= 0
        seen[seen] = witness[seen] < len(words)
        seen[seen] = left[witness[seen]]
        witness = np.where(seen, witness, -1)
        return Remembered(radius, self.points[same], self.words[same], self.taken[same], self.far[same], witness)


@dataclass(frozen=True)
class Spacing:
    """Two points of a selection may not be nearer than `radius`: d² < radius · radius, exactly, excludes.

    Attributes:
        vectors: (P, d) float32 canonical embeddings of all points.
        norms: (P,) float64, their `squared_norms`.
        radius: a distance of unit vectors, above 0.
        words: (P, 2) uint64 key words, where the draw is to be remembered.
        before: an earlier draw.
    """

    vectors: Float32
    norms: Float64
    radius: float
    words: UInt64 | None = None
    before: Remembered | None = None


class _Taken:
    """Taken points with their vectors side by side."""

    def __init__(self, dimension: int) -> None:
        self.points: list[int] = []
        self.vectors: Float32 = np.empty((_CHUNK, dimension), np.float32)

    def append(self, point: int, vector: Float32) -> None:
        count = len(self.points)
        if count == len(self.vectors):
            grown = np.empty((2 * count, self.vectors.shape[1]), np.float32)
            grown[:count] = self.vectors
            self.vectors = grown
        self.vectors[count] = vector
        self.points.append(point)


class Exclusions:
    """Points that can no longer be taken: barred from the start, taken, or too near to a taken one.

    Exclusion is final, so comparisons are made late and once: `update` compares chosen points with whatever was taken
    since they were last compared; `watch` keeps a small set of points up to date from then on. With an earlier draw,
    a point that kept its distance from all that was taken then is compared with newly taken ones only, and taking a
    point excludes at once what it excluded then.

    A float32 product decides what is clear. Its error is at most 1.01 · d · 2^-24 for canonical rows, and only pairs
    within that margin of the radius are recomputed exactly, so every decision is that of the exact squared distance.

    Attributes:
        out: (P,) bool, the points known to be excluded. Complete for points just updated or watched.
        taken: the points taken, in order.
    """

    def __init__(self, barred: Bool, spacing: Spacing | None) -> None:
        self.out: Bool = barred.copy()
        self.taken: list[int] = []
        self._spacing = spacing
        if spacing is None or len(barred) == 0:
            self._spacing = None
            return
        d = spacing.vectors.shape[1]
        margin = 1.01 * d * GRID + 2.0**-22  # the second term covers the thresholds' own rounding to float32
        reach = 0.5 * spacing.radius * spacing.radius
        self._possible = np.float32(spacing.norms.min() - reach - margin)
        self._certain = np.float32(spacing.norms.max() - reach + margin)
        self._all, self._new = _Taken(d), _Taken(d)  # taken in this draw; those of them not taken in the last one
        self._compared = np.zeros(len(barred), np.int64)  # how many of `_all` (of `_new`, if far) it was compared with
        self._witness = np.full(len(barred), -1, np.int64)
        self._far = np.zeros(len(barred), np.bool_)  # from all that was taken in the last draw
        self._old = np.zeros(len(barred), np.bool_)  # taken in the last draw
        self._victims: dict[int, Int64] = {}
        if spacing.before is not None:
            self._recall(spacing.before)
        self._watched = np.empty(0, np.int64)
        self._watched_vectors = np.empty((0, d), np.float32)
        self._unknown = np.empty(0, np.int64)  # those watched of which the last draw says nothing
        self._unknown_vectors = self._watched_vectors

    def take(self, point: int) -> None:
        """Take a point, and exclude the watched points that are too near to it."""
        self.out[point] = True
        self.taken.append(point)
        if self._spacing is None:
            return
        vector = self._spacing.vectors[point]
        self._all.append(point, vector)
        if self._old[point]:
            if (victims := self._victims.get(point)) is not None:
                self._exclude(victims, point)
            watched, vectors = self._unknown, self._unknown_vectors
        else:
            self._new.append(point, vector)
            watched, vectors = self._watched, self._watched_vectors
        if not len(watched):
            return
        products = vectors @ vector
        maybe = np.flatnonzero(products >= self._possible)
        if len(maybe):
            others = watched[maybe]
            self._exclude(others[self._near(products[maybe], others, np.full(len(maybe), point))], point)

    def update(self, points: Int64) -> None:
        """Compare points, each given once, with everything taken so far."""
        if self._spacing is None:
            return
        points = points[~self.out[points]]
        far = self._far[points]
        self._compare(points[far], self._new)
        self._compare(points[~far], self._all)

    def watch(self, points: Int64) -> None:
        """Bring points, each given once, up to date and keep them so until the next call of `watch`."""
        if self._spacing is None:
            return
        before = self._watched
        self._compared[before] = np.where(self._far[before], len(self._new.points), len(self._all.points))
        self.update(points)
        self._watched = points[~self.out[points]]
        self._watched_vectors = self._spacing.vectors[self._watched]
        unknown = ~self._far[self._watched]
        self._unknown, self._unknown_vectors = self._watched[unknown], self._watched_vectors[unknown]

    def remembered(self) -> Remembered | None:
        """What the next draw may know; None where key words are not given."""
        if self._spacing is None or self._spacing.words is None:
            return None
        self.watch(np.empty(0, np.int64))
        self.update(np.flatnonzero(~self.out & (self._far | (self._compared > 0))))
        goal = np.where(self._far, len(self._new.points), len(self._all.points))
        far = ~self.out & (self._compared == goal) & (self._far | (self._compared > 0))
        taken = np.zeros(len(self.out), np.bool_)
        taken[self.taken] = True
        far |= taken
        points = np.flatnonzero(far | (self._witness >= 0))
        words = self._spacing.words[points]
        return Remembered(self._spacing.radius, points, words, taken[points], far[points], self._witness[points])

    def _recall(self, before: Remembered) -> None:
        self._far[before.points[before.far]] = True
        self._old[before.points[before.taken]] = True
        hit = np.flatnonzero(before.witness >= 0)
        hit = hit[np.argsort(before.witness[hit], kind="stable")]
        witnesses, starts = np.unique(before.witness[hit], return_index=True)
        self._victims = dict(zip(witnesses.tolist(), np.split(before.points[hit], starts[1:]), strict=False))

    def _exclude(self, points: Int64, witness: int) -> None:
        points = points[~self.out[points]]
        self.out[points] = True
        self._witness[points] = witness

    def _compare(self, points: Int64, taken: _Taken) -> None:
        assert self._spacing is not None
        if len(points) == 0:
            return
        compared = self._compared[points]
        for start in range(int(compared.min()), len(taken.points), _CHUNK):
            stop = min(start + _CHUNK, len(taken.points))
            pending = points[(compared < stop) & ~self.out[points]]
            products = self._spacing.vectors[pending] @ taken.vectors[start:stop].T
            largest = products.max(1, initial=-2.0)
            if not (largest >= self._possible).any():
                continue
            some = np.asarray(taken.points[start:stop])
            certain = np.flatnonzero(largest > self._certain)
            self.out[pending[certain]] = True
            self._witness[pending[certain]] = some[products[certain].argmax(1)]
            doubtful = np.flatnonzero((largest >= self._possible) & (largest <= self._certain))
            if len(doubtful):
                i, j = np.nonzero(products[doubtful] >= self._possible)
                others = pending[doubtful[i]]
                near = self._exactly_near(others, some[j])
                self.out[others[near]] = True
                self._witness[others[near]] = some[j[near]]
        self._compared[points] = len(taken.points)

    def _near(self, products: Float32, i: Int64, j: Int64) -> Bool:
        near: Bool = products > self._certain
        doubtful = np.flatnonzero(~near)
        near[doubtful] = self._exactly_near(i[doubtful], j[doubtful])
        return near

    def _exactly_near(self, i: Int64, j: Int64) -> Bool:
        assert self._spacing is not None
        vectors, norms, radius = self._spacing.vectors, self._spacing.norms, self._spacing.radius
        near: Bool = pair_squared_distances(vectors, norms, i, vectors, norms, j) < radius * radius
        return near
