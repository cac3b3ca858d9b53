"""Who may still be taken when selected points must keep a distance from each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tsds_stream.selection.arithmetic import GRID, Bool, Float32, Float64, Int64, pair_squared_distances

_CHUNK: Final = 512  # taken points per product: half a megabyte of float32 at d 256, so a chunk stays in the cache


@dataclass(frozen=True)
class Spacing:
    """Two points of a selection may not be nearer than `radius`: d² < radius · radius, exactly, excludes.

    Attributes:
        vectors: (P, d) float32 canonical embeddings of all points.
        norms: (P,) float64, their `squared_norms`.
        radius: a distance of unit vectors, above 0.
    """

    vectors: Float32
    norms: Float64
    radius: float


class Exclusions:
    """Points that can no longer be taken: barred from the start, taken, or too near to a taken one.

    Exclusion is final, so comparisons are made late and once: `update` compares chosen points with whatever was taken
    since they were last compared; `watch` keeps a small set of points up to date from then on.

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
        self._compared = np.zeros(len(barred), np.int64)  # how many of the taken each point was compared with
        self._taken_vectors = np.empty((_CHUNK, d), np.float32)
        self._watched = np.empty(0, np.int64)
        self._watched_vectors = np.empty((0, d), np.float32)

    def take(self, point: int) -> None:
        """Take a point, and exclude the watched points that are too near to it."""
        self.out[point] = True
        self.taken.append(point)
        if self._spacing is None:
            return
        count = len(self.taken)
        if count > len(self._taken_vectors):
            grown = np.empty((2 * (count - 1), self._taken_vectors.shape[1]), np.float32)
            grown[: count - 1] = self._taken_vectors
            self._taken_vectors = grown
        vector = self._spacing.vectors[point]
        self._taken_vectors[count - 1] = vector
        products = self._watched_vectors @ vector
        maybe = np.flatnonzero(products >= self._possible)
        if len(maybe):
            others = self._watched[maybe]
            near = self._near(products[maybe], others, np.full(len(maybe), point))
            self.out[others[near]] = True

    def update(self, points: Int64) -> None:
        """Compare points, each given once, with everything taken so far."""
        if self._spacing is None:
            return
        points = points[~self.out[points]]
        if len(points) == 0:
            return
        compared = self._compared[points]
        for start in range(int(compared.min()), len(self.taken), _CHUNK):
            stop = min(start + _CHUNK, len(self.taken))
            pending = points[(compared < stop) & ~self.out[points]]
            products = self._spacing.vectors[pending] @ self._taken_vectors[start:stop].T
            largest = products.max(1, initial=-2.0)
            self.out[pending[largest > self._certain]] = True
            doubtful = np.flatnonzero((largest >= self._possible) & (largest <= self._certain))
            if len(doubtful):
                i, j = np.nonzero(products[doubtful] >= self._possible)
                others = pending[doubtful[i]]
                near = self._exactly_near(others, np.asarray(self.taken[start:stop])[j])
                self.out[others[near]] = True
        self._compared[points] = len(self.taken)

    def watch(self, points: Int64) -> None:
        """Bring points, each given once, up to date and keep them so until the next call of `watch`."""
        if self._spacing is None:
            return
        self._compared[self._watched] = len(self.taken)
        self.update(points)
        self._watched = points[~self.out[points]]
        self._watched_vectors = self._spacing.vectors[self._watched]

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
