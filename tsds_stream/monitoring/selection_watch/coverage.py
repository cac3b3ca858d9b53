"""Which targets no selected document is near."""

from __future__ import annotations

import numpy as np

from tsds_stream.selection.arithmetic import Float64, Int64

_FENCE = 1.5  # interquartile ranges above the upper quartile: Tukey's fence for outliers
_MARGIN = 1.25  # times the median at least: a few targets have hardly any spread


class Coverage:
    """A target is covered when its nearest selected document lies within a distance.

    Unless it is configured, the distance is taken from the first selection that is full and whose sigma is final, and
    frozen then: max(Q3 + 1.5 (Q3 − Q1), 1.25 Q2) of the targets' distances to their nearest selected document, those
    above 0. It holds as long as fewer than a quarter of the targets have no documents of their kind. Until then it is
    what the present selection gives.

    Attributes:
        distance: the one in use; None: not known yet, and every target counts as covered.
        frozen: whether it is final.
    """

    def __init__(self, configured: float | None) -> None:
        self.distance = configured
        self.frozen = configured is not None

    def take(self, distances: Float64, final: bool) -> None:
        """(M,) distances of the nearest selected documents; `final`: the selection is full and sigma is frozen."""
        if not self.frozen:
            self.distance = outlying(distances)
            self.frozen = final and self.distance is not None

    def uncovered(self, distances: Float64) -> Int64:
        """Rows of targets without a selected document within the distance, the farthest first."""
        if self.distance is None:
            return np.empty(0, np.int64)
        rows = np.flatnonzero(~(distances <= self.distance))
        return rows[np.argsort(-distances[rows], kind="stable")]


def outlying(distances: Float64) -> float | None:
    """The distance beyond which a target is an outlier; None when no target tells."""
    telling = distances[distances > 0]  # a target that is selected itself does not; nan: nothing is selected
    if not len(telling):
        return None
    first, median, third = np.quantile(telling, (0.25, 0.5, 0.75)).tolist()
    return float(max(third + _FENCE * (third - first), _MARGIN * median))
