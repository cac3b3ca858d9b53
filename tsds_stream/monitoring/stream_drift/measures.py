"""How far the mean of some features over a window is from that over the baseline.

Every signal is made of features of single documents, so that a window is a sum which documents enter and leave.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tsds_stream.selection.arithmetic import Float64

Function = Callable[[Float64, Float64], Float64]


def euclidean(window: Float64, baseline: Float64) -> Float64:
    """|w - b|, for means of vectors and of random features. (..., F) and (F,) to (...)."""
    difference = window - baseline
    squares: Float64 = np.einsum("...i,...i->...", difference, difference)
    return np.sqrt(squares)


def wasserstein(window: Float64, baseline: Float64) -> Float64:
    """The area between two cumulative distributions; features are the `ramps` of `features.Ranks`."""
    areas: Float64 = np.abs(window - baseline).sum(-1)
    return areas


def jensen_shannon(window: Float64, baseline: Float64) -> Float64:
    """The Jensen-Shannon distance of shares: the root of the divergence in bits, 0 (equal) to 1 (disjoint).

    D = (KL(w | m) + KL(b | m)) / 2 with m = (w + b) / 2; Endres and Schindelin (2003): its root is a metric.
    """
    middle = (window + baseline) / 2
    terms = _entropy(middle) - (_entropy(window) + _entropy(baseline)) / 2
    divergence: Float64 = np.maximum(0.0, terms.sum(-1))
    return np.sqrt(divergence)


def psi(window: Float64, baseline: Float64) -> Float64:
    """The population stability index: the sum of (w - b) ln(w / b) over the shares of all bins.

    Both are mixed with a thousandth of the uniform shares, which keeps empty bins finite.
    """
    uniform = 0.001 / baseline.shape[-1]
    w, b = window * 0.999 + uniform, baseline * 0.999 + uniform
    index: Float64 = ((w - b) * np.log(w / b)).sum(-1)
    return index


def _entropy(shares: Float64) -> Float64:
    return -shares * np.log2(np.maximum(shares, 1e-300))


@dataclass(frozen=True)
class Measure:
    """A distance of feature means.

    Attributes:
        name: in the status document.
        function: of (..., F) means of windows and the (F,) mean of the baseline.
        euclidean: distances are kept when the features are rotated.
        shares: features are shares of 0 to 1 that sum to 1.
        degree: of homogeneity, nearly: twice the deviation gives 2^degree times the distance.
    """

    name: str
    function: Function
    euclidean: bool = False
    shares: bool = False
    degree: int = 1

    def of_novelty(self, share: float) -> float:
        """The distance when this share of a window is unlike anything in a baseline of equal documents."""
        if not self.shares:
            return share if self.euclidean else share / 2
        return float(self.function(np.array([1.0 - share, share]), np.array([1.0, 0.0])))


MEAN_DISTANCE = Measure("mean_distance", euclidean, euclidean=True)
MMD = Measure("mmd", euclidean, euclidean=True)
WASSERSTEIN = Measure("wasserstein", wasserstein)
JENSEN_SHANNON = Measure("jensen_shannon", jensen_shannon, shares=True)
PSI = Measure("psi", psi, shares=True, degree=2)
