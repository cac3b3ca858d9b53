"""Kernel densities, computed where the plan looks and kept exact from then on.

The density of a point x is Σ_y m_y · max(0, 1 - d²(x, y)/sigma²) over the indexed points y, x itself included. A point
is *settled* once its sum has been computed; from then on every indexed point that enters, leaves or changes its
multiplicity is added or subtracted exactly (int64 kernel terms leave no residue). The kernel has compact support, so
the fold (`fold.py`) finds all pairs that matter with a narrow product.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tsds_stream.selection.arithmetic import KERNEL_UNIT, Bool, Float32, Float64, Int64
from tsds_stream.selection.blas import blas_threads
from tsds_stream.selection.close_pairs import Points, accumulate_density
from tsds_stream.selection.fold import Fold
from tsds_stream.selection.points import PointStore

_MOST_THREADS = 8
_FIT_SAMPLE = 8192  # points from which the fold is fitted: any sample does, it only filters


class Density(Protocol):
    """What the planner needs of densities, exact or approximate."""

    sigma: float
    counted: Int64  # (room,) int64 multiplicity with which each slot is in the index; 0: it is not
    settled: Bool  # (room,) bool

    def index(self, multiplicity: Int64) -> None:
        """Make the index hold exactly these points: (size,) int64 multiplicities, 0 where a slot is not indexed."""

    def settle(self, slots: Int64) -> None:
        """Compute the sums of indexed points."""

    def unsettle(self, slots: Int64) -> None:
        """Stop maintaining the sums of these points."""

    def drop(self, slots: Int64) -> None:
        """Forget slots that are about to be reused; they must not be indexed."""

    def values(self, slots: Int64) -> Float64:
        """Densities of settled points."""

    @property
    def saturated(self) -> int:
        """Settled points whose neighbourhood was cut at kde_k."""


class ExactDensity:
    """Densities by exact products, screened through the fold.

    Args:
        store: the points; only read.
        sigma: kernel width, > 0.
    """

    saturated = 0

    def __init__(self, store: PointStore, sigma: float) -> None:
        self.sigma = sigma
        self.counted: Int64 = np.zeros(0, np.int64)
        self.settled: Bool = np.zeros(0, np.bool_)
        self._store = store
        self._sums: Int64 = np.zeros(0, np.int64)
        self._fold: Fold | None = None
        self._images: Float32 = np.zeros((0, 0), np.float32)
        self._imaged: Bool = np.zeros(0, np.bool_)
        self._last_settled = 0

    def index(self, multiplicity: Int64) -> None:
        self._grow(len(multiplicity))
        counted = self.counted[: len(multiplicity)]
        changed = np.flatnonzero(counted != multiplicity)
        if not len(changed):
            return
        delta = multiplicity[changed] - counted[changed]
        self.settled[changed[multiplicity[changed] == 0]] = False
        rows = np.flatnonzero(self.settled)
        indexed = int(np.count_nonzero(multiplicity))
        # Maintaining costs a product of what changed with what is settled, settling afresh one of the index with what
        # the last plan needed. Both give the same bits.
        if len(rows) and len(changed) * len(rows) > indexed * max(self._last_settled, 1):
            self.settled[rows] = False
            rows = rows[:0]
        if len(rows):
            fold = self._ready(np.concatenate([rows, changed]))
            self._sums[rows] += self._sum(fold, rows, changed, delta)
        counted[changed] = multiplicity[changed]

    def settle(self, slots: Int64) -> None:
        indexed = np.flatnonzero(self.counted)
        fold = self._ready(indexed)
        self._sums[slots] = self._sum(fold, slots, indexed, self.counted[indexed])
        self.settled[slots] = True
        self._last_settled = int(np.count_nonzero(self.settled))

    def unsettle(self, slots: Int64) -> None:
        self.settled[slots] = False
        self._last_settled = int(np.count_nonzero(self.settled))

    def drop(self, slots: Int64) -> None:
        within = slots[slots < len(self.counted)]
        self.settled[within] = False
        self._imaged[within] = False

    def values(self, slots: Int64) -> Float64:
        return self._sums[slots] / KERNEL_UNIT

    def _grow(self, size: int) -> None:
        room = len(self.counted)
        if size <= room:
            return
        room = max(size, room + room // 2, 1024)
        for array in (self.counted, self.settled, self._sums, self._imaged):
            array.resize(room, refcheck=False)
        self._images.resize((room, self._images.shape[1]), refcheck=False)

    def _ready(self, slots: Int64) -> Fold:
        """The fold, with the images of these slots made."""
        store = self._store
        if self._fold is None or self._fold.worn:
            sample = slots[:: max(1, len(slots) // _FIT_SAMPLE)]
            self._fold = Fold.fit(store.vectors[sample], self.sigma)
            width = 0 if self._fold.basis is None else self._fold.width
            self._images = np.empty((len(self.counted), width), np.float32)
            self._imaged[:] = False
        if self._fold.basis is not None:
            missing = slots[~self._imaged[slots]]
            for start in range(0, len(missing), 8192):
                part = missing[start : start + 8192]
                self._images[part] = self._fold.project(store.vectors[part], store.norms[part])
            self._imaged[missing] = True
        return self._fold

    def _sum(self, fold: Fold, slots: Int64, others: Int64, weights: Int64) -> Int64:
        """What the others add to the sums of these slots."""
        return accumulate_density(
            fold, self._side(slots), self._side(others), self.sigma, weights, threads=min(blas_threads(), _MOST_THREADS)
        )

    def _side(self, slots: Int64) -> Points:
        store = self._store
        fold = self._fold
        images = store.vectors if fold is None or fold.basis is None else self._images
        return Points(store.vectors, store.norms, images, slots)
