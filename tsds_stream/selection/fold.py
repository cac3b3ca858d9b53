"""The fold: a short image of each vector that bounds inner products from above, so that few need exact products.

With P a fixed (d, r) matrix of spectral norm at most 1, I - PP' is positive semidefinite, and Cauchy's inequality in
its seminorm gives, for any x and y,

    x.y  <=  (P'x).(P'y) + sqrt(|x|² - |P'x|²) · sqrt(|y|² - |P'y|²)  =  fold(x).fold(y).

A float32 product of width r + 1, with a margin for its rounding, therefore never misses a pair within a given distance.
P only filters: it changes how long an answer takes and never the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tsds_stream.selection.arithmetic import Float32, Float64, squared_norms
from tsds_stream.selection.blas import one_blas_thread

CANDIDATES: Final = (23, 31, 47, 63, 95)
_SHRINK: Final = 1.0 - 2.0**-30  # makes the spectral norm of P at most 1 in spite of rounding
_MAX_EIGEN: Final = 1024  # the largest matrix that is decomposed
_PROBE_COLUMNS: Final = 8192
_BLOCK: Final = 1024
_TRIAL: Final = 1 << 20  # pairs seen before a fold is judged

# Nanoseconds per pair of vectors, one core. Only their ratios matter, and only for speed.
_COST_TEST: Final = 0.25
_COST_PER_WIDTH: Final = 0.017  # one float32 multiply-add
_COST_DENSE_PER_DIMENSION: Final = 0.038  # one float64 multiply-add, with its share of the kernel
_COST_SURVIVOR: Final = 100.0
_COST_SURVIVOR_PER_DIMENSION: Final = 0.6  # gather and multiply one coordinate of one pair


def screening_cost(width: int) -> float:
    """Nanoseconds per pair for a float32 product of this width and its test."""
    return _COST_TEST + _COST_PER_WIDTH * width


def survivor_cost(dimension: int) -> float:
    """Nanoseconds to recompute one surviving pair exactly."""
    return _COST_SURVIVOR + _COST_SURVIVOR_PER_DIMENSION * dimension


def dense_cost(dimension: int) -> float:
    """Nanoseconds per pair of a float64 product of whole tiles, which needs no recheck."""
    return 1.0 + _COST_DENSE_PER_DIMENSION * dimension


@dataclass
class Survival:
    """What the screen let through, so that the owner of a fold can tell when it no longer fits the data.

    Attributes:
        expected: share of pairs that survived on the sample although they were not within sigma.
        close: share of pairs of the sample that were within sigma.
        entries: pairs looked at since the fit.
        survivors: of these, pairs that the screen passed (0 for a dense fold, which has no screen).
        within: of these, pairs that really were within sigma (no fold could have spared them).
    """

    expected: float = 0.0
    close: float = 0.0
    entries: int = 0
    survivors: int = 0
    within: int = 0

    def add(self, other: Survival) -> None:
        """Count what another thread has seen."""
        self.entries += other.entries
        self.survivors += other.survivors
        self.within += other.within

    @property
    def wasted(self) -> float:
        """Share of screened pairs that were recomputed in vain."""
        return (self.survivors - self.within) / self.entries if self.entries else 0.0


@dataclass
class Fold:
    """A fixed projection, chosen by measurement.

    Attributes:
        dimension: d, of the vectors.
        basis: (d, r) float64 of spectral norm at most 1; None: the vectors themselves are screened, or nothing is.
        dense: float64 products of whole tiles are cheaper than any screen (too many pairs lie within sigma).
        survival: running statistics; see `worn`.
    """

    dimension: int
    basis: Float64 | None = None
    dense: bool = False
    survival: Survival = field(default_factory=Survival)

    @property
    def width(self) -> int:
        """Columns of `project`: r + 1, or d without a basis."""
        return self.dimension if self.basis is None else self.basis.shape[1] + 1

    @property
    def worn(self) -> bool:
        """Time to fit again: survivors in vain have doubled since the fit and cost more than the screen itself, or (for
        a dense fold) pairs within sigma have halved.
        """
        seen = self.survival
        if seen.entries < _TRIAL:
            return False
        if self.dense:
            return 2 * seen.within < seen.close * seen.entries
        return seen.wasted > max(2.0 * seen.expected, screening_cost(self.width) / survivor_cost(self.dimension))

    @classmethod
    def fit(
        cls, vectors: Float32, sigma: float, *, probe_rows: int = 64, candidates: Sequence[int] = CANDIDATES
    ) -> Fold:
        """Choose r, or no projection, by screening a few rows of a sample against the rest.

        Args:
            vectors: (n, d) canonical sample; n may be 0 (then nothing is known and the plain product is taken).
            sigma: distance within which pairs will be sought.
            probe_rows: rows that are screened to measure the survivors.
            candidates: values of r to try; those that are not below d are left out.
        """
        n, d = vectors.shape
        if n == 0:
            return cls(d)
        probe = vectors[_evenly(n, probe_rows)]
        columns = vectors[_evenly(n, _PROBE_COLUMNS)]
        probe_norms, column_norms = squared_norms(probe), squared_norms(columns)
        with one_blas_thread():
            products = probe.astype(np.float64) @ columns.astype(np.float64).T
            within = float((probe_norms[:, None] + column_norms - 2.0 * products < sigma * sigma).mean())
            choices = [cls(d), *(cls(d, basis) for basis in _bases(vectors, [r for r in candidates if r < d]))]
            costs = []
            for fold in choices:
                bound = fold.bound(probe_norms, column_norms, sigma)
                screened = fold.project(probe, probe_norms) @ fold.project(columns, column_norms).T
                share = float((screened >= bound).mean())
                fold.survival = Survival(expected=max(share - within, 0.0), close=within)
                costs.append(screening_cost(fold.width) + share * survivor_cost(d))
        best = int(np.argmin(costs))
        if costs[best] > dense_cost(d):
            return cls(d, dense=True, survival=Survival(close=within))
        return choices[best]

    def project(self, vectors: Float32, norms: Float64) -> Float32:
        """The image of canonical rows: (n, `width`) float32; the rows themselves, not a copy, without a basis.

        Args:
            vectors: (n, d) float32 canonical.
            norms: (n,) float64 their exact squared norms.
        """
        if self.basis is None:
            return vectors
        r = self.basis.shape[1]
        out = np.empty((len(vectors), r + 1), np.float32)
        # Coordinates err by at most about d·2^-53 each, |a|² by twice that times sqrt(r). Adding the bound keeps the
        # last coordinate an upper bound where |x|² - |a|² cancels.
        slack = 2.0**-52 * (1.1 * self.dimension * np.sqrt(r) + r + 8)
        with one_blas_thread():
            for start in range(0, len(vectors), _BLOCK):
                stop = start + _BLOCK
                image = vectors[start:stop].astype(np.float64) @ self.basis
                out[start:stop, :r] = image
                rest = norms[start:stop] - np.einsum("ij,ij->i", image, image)
                out[start:stop, r] = np.sqrt(np.maximum(rest, 0.0) + slack)
        return out

    def bound(self, a_norms: Float64, b_norms: Float64, sigma: float) -> np.float32:
        """The number that the float32 product of images reaches for every pair of squared distance below sigma².

        d² = |x|² + |y|² - 2 x.y < sigma² means x.y > (|x|² + |y|² - sigma²)/2, at least half of (the least |x|² + the
        least |y|² - sigma²). From this goes the margin. With u = 2^-24 and n = `width`, a float32 sum of n products
        errs by at most n·u/(1 - n·u)·Σ|f_k g_k| in any order, and rounding both images to float32 by 2u + u² of the
        same sum, which is at most |f||g|, the largest |x||y| (images are as long as their vectors, but for the slack
        of `project`). n ≤ 2^14 makes 1/(1 - n·u) < 1.001; two more u and the factor 1.02 cover the slack, products
        below 2^-126 and the float64 rounding of this expression, and the result is rounded down.

        Args:
            a_norms, b_norms: (n,), (m,) float64 squared norms of the two sides, neither empty; they need not be near 1.
        """
        longest = float(np.sqrt(a_norms.max() * b_norms.max()))
        least = 0.5 * (float(a_norms.min()) + float(b_norms.min()) - sigma * sigma)
        margin = (self.width + 4) * 1.02 * 2.0**-24 * longest + 2.0**-48
        return np.float32(np.nextafter(np.float32(least - margin), np.float32(-np.inf)))


def _evenly(n: int, count: int) -> slice:
    return slice(None, None, max(1, -(-n // count)))


def _bases(vectors: Float32, ranks: Sequence[int]) -> list[Float64]:
    """The leading eigenvectors of the sample's second moment, one matrix (d, r) per rank.

    When there are fewer rows than dimensions they come from the rows' inner products, which is the smaller matrix;
    beyond 1024 dimensions always so, from 1024 rows.
    """
    if not ranks:
        return []
    n, d = vectors.shape
    rows = vectors[_evenly(n, _MAX_EIGEN if d > _MAX_EIGEN else 1 << 16)]
    if len(rows) < d:
        sample = rows.astype(np.float64)
        leading = sample.T @ np.linalg.eigh(sample @ sample.T)[1][:, ::-1][:, : max(ranks)]
    else:
        moment = np.zeros((d, d))
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK].astype(np.float64)
            moment += block.T @ block
        leading = np.linalg.eigh(moment)[1][:, ::-1][:, : max(ranks)]
    orthonormal = np.linalg.qr(leading)[0]
    deviation = np.abs(orthonormal.T @ orthonormal - np.eye(orthonormal.shape[1])).max()
    if not deviation * max(ranks) < 2.0**-31:
        return []  # a decomposition that did not work: the plain product needs none
    return [np.ascontiguousarray(orthonormal[:, :r]) * _SHRINK for r in ranks if r <= orthonormal.shape[1]]
