"""Settling and maintaining densities through the fold, beside full float32 products with an exact recheck."""

from __future__ import annotations

import numpy as np

from benchmarks.corpus import Corpus
from benchmarks.index import distinct, products
from benchmarks.measuring import best
from benchmarks.report import Part
from tsds_stream.selection.arithmetic import squared_norms
from tsds_stream.selection.blas import one_blas_thread
from tsds_stream.selection.close_pairs import Points, accumulate_density
from tsds_stream.selection.fold import Fold

_SIGMAS = (0.2, 0.4)


def measure(corpus: Corpus, quick: bool) -> Part:
    """One BLAS thread, so that processor time is comparable."""
    part = Part()
    points = distinct(np.asarray(corpus.documents[: 5000 if quick else 100_000]))
    with one_blas_thread():
        part.details["settling"] = products(points, 200 if quick else 1000, _SIGMAS)
        part.details["maintaining"] = [_maintaining(points, sigma, quick) for sigma in _SIGMAS]
    for settling, maintaining in zip(part.details["settling"], part.details["maintaining"], strict=True):
        ratio = settling["float32/fold"]
        kept = maintaining["float32/fold"]
        part.add(
            f"settling and maintaining densities, sigma {settling['sigma']}, {len(points):,} points",
            "≥ 4 × faster than full float32 products with recheck",
            f"settling {ratio:.1f} × ({settling['fold us']:.0f} µs per point), maintaining {kept:.1f} ×",
            min(ratio, kept) >= 4,
        )
    return part


def _maintaining(points: np.ndarray, sigma: float, quick: bool) -> dict[str, float]:
    """2,000 points that come or go, against 24,000 settled ones; the images of the settled ones are there already."""
    settled, changed = (1000, 100) if quick else (24_000, 2000)
    norms = squared_norms(points)
    fold = Fold.fit(points[:: max(1, len(points) // 8192)], sigma)
    a = Points.of(fold, points[:settled], norms[:settled])
    new = slice(settled, settled + changed)
    ones = np.ones(changed, np.int64)
    plain = Fold(points.shape[1])
    plain_a = Points.of(plain, points[:settled], norms[:settled])
    ours = best(lambda: accumulate_density(fold, a, Points.of(fold, points[new], norms[new]), sigma, ones))
    full = best(lambda: accumulate_density(plain, plain_a, Points.of(plain, points[new], norms[new]), sigma, ones))
    return {"sigma": sigma, "fold s": ours.cpu, "float32 s": full.cpu, "float32/fold": full.cpu / ours.cpu}
