"""Features of single documents whose means make a distribution comparable. All are frozen on the baseline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tsds_stream.selection.arithmetic import GRID, Float32, Float64, Int64

FREQUENCIES: Final = 64
RANK_STEPS: Final = 32
BINS: Final = 10
MOST_DIMENSIONS: Final = 512
RIDGE: Final = 0.3
_PAIRED_ROWS: Final = 500  # of the baseline, for the median of distances
_FOLDS: Final = 4
_BLOCK: Final = 1024  # documents at a time

Rows = NDArray[Any]


def on_grid(features: Float64) -> Float64:
    """Multiples of 2^-24, so that sums of up to 2^28 of them are exact, and what leaves a window leaves no residue."""
    rounded: Float64 = np.rint(features / GRID) * GRID
    return rounded


def chunk_means(features: Callable[[Rows], Float64], documents: Rows, step: int) -> Float64:
    """(k, F) means of features over chunks of `step` documents, in bounded memory."""
    size = max(1, _BLOCK // step) * step
    parts = [features(documents[start : start + size]) for start in range(0, len(documents), size)]
    return np.concatenate([part.reshape(-1, step, part.shape[1]).mean(1) for part in parts])


class Fourier:
    """Random Fourier features of a Gaussian kernel (Rahimi and Recht, 2007): their mean embeds a distribution.

    The distance of two means estimates the maximum mean discrepancy, in time linear in the documents. The width of the
    kernel is the median distance of pairs of baseline documents (1 when they are all equal).
    """

    def __init__(self, baseline: Float32, seed: int) -> None:
        rows = baseline[:: max(1, len(baseline) // _PAIRED_ROWS)].astype(np.float64)
        norms = (rows**2).sum(1)
        squares = norms[:, None] + norms - 2.0 * (rows @ rows.T)
        median = float(np.median(squares[np.triu_indices(len(rows), 1)])) if len(rows) > 1 else 0.0
        self.width = median**0.5 if median > 1e-9 else 1.0
        shape = (baseline.shape[1], FREQUENCIES)
        self._waves = np.random.default_rng(seed).standard_normal(shape) / self.width

    def __call__(self, vectors: Float32) -> Float64:
        """(n, d) to (n, 2 FREQUENCIES)."""
        phases = vectors.astype(np.float64) @ self._waves
        waves: Float64 = np.concatenate([np.cos(phases), np.sin(phases)], 1) / FREQUENCIES**0.5
        return waves


class Standardised:
    """Vectors in units of the spread of baseline documents: x (S + 0.3 s I)^(-1/2).

    S is the covariance of the documents and s the mean of its diagonal, so that directions along which documents differ
    anyway, topic by topic, count less than those in which nothing ever changed. Of more than 512 dimensions, 512 random
    projections are used.

    Args:
        baseline: (N, d) float32, whole chunks in their order.
        step: documents of a chunk.
    """

    def __init__(self, baseline: Float32, step: int, seed: int) -> None:
        dimension = baseline.shape[1]
        self._projection: Float64 | None = None
        if dimension > MOST_DIMENSIONS:
            shape = (dimension, MOST_DIMENSIONS)
            self._projection = np.random.default_rng(seed).standard_normal(shape) / MOST_DIMENSIONS**0.5
        self._chunks = chunk_means(self._projected, baseline, step)
        self._mean: Float64 = self._chunks.mean(0)
        self._folds = np.array_split(np.arange(len(self._chunks)), _FOLDS)
        self._sizes = np.array([len(fold) * step for fold in self._folds])
        self._products = np.stack(
            [self._product(baseline[fold[0] * step : (fold[-1] + 1) * step]) for fold in self._folds]
        )
        root = _inverse_root(self._products.sum(0) / self._sizes.sum())
        self._matrix = root if self._projection is None else self._projection @ root

    def _projected(self, vectors: Float32) -> Float64:
        rows = vectors.astype(np.float64)
        return rows if self._projection is None else rows @ self._projection

    def _product(self, documents: Float32) -> Float64:
        """(F, F) sum of the outer products of documents with themselves, the mean taken off."""
        blocks = (documents[start : start + _BLOCK] for start in range(0, len(documents), _BLOCK))
        centred = (self._projected(block) - self._mean for block in blocks)
        total: Float64 = sum((rows.T @ rows for rows in centred), np.zeros((len(self._mean),) * 2))
        return total

    def __call__(self, vectors: Float32) -> Float64:
        """(n, d) to (n, min(d, 512))."""
        rows: Float64 = vectors.astype(np.float64) @ self._matrix
        return rows

    def unseen(self) -> Float64:
        """(k, min(d, 512)) features of the chunks of the baseline as if they were new.

        Each of a few contiguous parts is standardised by the others: by their own covariance chunks look closer to one
        another than those that come later.
        """
        others = [
            _inverse_root((self._products.sum(0) - product) / (self._sizes.sum() - size))
            for product, size in zip(self._products, self._sizes, strict=True)
        ]
        centred = self._chunks - self._mean
        return np.concatenate([centred[fold] @ root for fold, root in zip(self._folds, others, strict=True)])


def _inverse_root(covariance: Float64) -> Float64:
    """(S + 0.3 s I)^(-1/2); the identity where all documents are equal."""
    values, vectors = np.linalg.eigh(covariance)
    shrunk = np.maximum(values, 0.0) + RIDGE * max(0.0, float(values.mean()))
    if shrunk.min() < 1e-12:
        return np.eye(len(shrunk))
    root: Float64 = (vectors / np.sqrt(shrunk)) @ vectors.T
    return root


class Ranks:
    """Where values stand among those of the baseline, from 0 (below all) to 1 (above all), as ramps.

    Ramp k rises from 0 to its full height while the rank passes the k-th of equal steps, so its mean over documents is
    the area above their cumulative distribution within the step. Sums of absolute differences of these means are the
    Wasserstein distance of the ranks, but for differences that change their sign within one step.
    """

    def __init__(self, baseline: Float64) -> None:
        ordered = np.sort(baseline)
        self._knots = np.unique(np.quantile(ordered, np.linspace(0, 1, 4 * RANK_STEPS + 1), method="nearest"))
        below = np.searchsorted(ordered, self._knots, side="left")
        upto = np.searchsorted(ordered, self._knots, side="right")
        self._levels = (below + upto) / (2 * len(ordered))

    def ranks(self, values: Float64) -> Float64:
        return np.interp(values, self._knots, self._levels, left=0.0, right=1.0)

    def __call__(self, values: Float64) -> Float64:
        """(n,) to (n, RANK_STEPS)."""
        passed = self.ranks(values)[:, None] * RANK_STEPS - np.arange(RANK_STEPS)
        return np.clip(passed, 0.0, 1.0) / RANK_STEPS


class Bins:
    """Which of ten bins a value falls into; they held equal shares of the baseline (fewer where values repeat)."""

    def __init__(self, baseline: Float64) -> None:
        edges = np.unique(np.quantile(baseline, np.linspace(0, 1, BINS + 1)[1:-1]))
        # A repeated value stands between two edges of its own, so that values below and above it are told apart.
        repeated = [edge for edge in edges if (baseline == edge).mean() > 1 / BINS]
        self._edges = np.unique([*edges, *np.nextafter(repeated, np.inf)])
        self._shares = Shares(len(self._edges) + 1)

    def __call__(self, values: Float64) -> Float64:
        """(n,) to (n, at most 2 BINS)."""
        return self._shares(np.searchsorted(self._edges, values, side="right"))


class Shares:
    """One column per group: 1 for the group that a document belongs to."""

    def __init__(self, groups: int) -> None:
        self._rows = np.eye(max(1, groups))

    def __call__(self, numbers: Int64) -> Float64:
        """(n,) to (n, groups)."""
        return self._rows[numbers]
