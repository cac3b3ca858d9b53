"""Where the transport cost is going: the median slope of its logarithm over the last hour."""

from __future__ import annotations

from collections import deque
from math import exp, log
from typing import Final

import numpy as np

from tsds_stream.monitoring.selection_watch.horizons import HOUR, MINUTE

_APART: Final = 15_000  # milliseconds between two points, at least
_FEWEST: Final = 10
_SHORTEST: Final = 5 * MINUTE  # that the points must span
_LARGEST: Final = 50.0  # exponent: a slope from minutes may say anything of an hour


class Trend:
    """Theil-Sen: the median of the slopes of all pairs of points; a fifth of the points may be far off.

    Attributes:
        points: (milliseconds, ln cost), at most an hour of them.
    """

    def __init__(self) -> None:
        self.points: deque[tuple[int, float]] = deque()

    def add(self, time: int, cost: float) -> None:
        """The cost from `time` on. A cost of 0 has no logarithm and is left out."""
        if cost > 0 and (not self.points or time - self.points[-1][0] >= _APART):
            self.points.append((time, log(cost)))
        while self.points and time - self.points[0][0] > HOUR:
            self.points.popleft()

    def clear(self) -> None:
        """The cost means something else from now on."""
        self.points.clear()

    def per_hour(self) -> float | None:
        """Relative change per hour: -0.1 is 10% less. None before there are enough points."""
        if len(self.points) < _FEWEST or self.points[-1][0] - self.points[0][0] < _SHORTEST:
            return None
        times, logarithms = np.array(self.points).T
        first, second = np.triu_indices(len(times), 1)
        slopes = (logarithms[second] - logarithms[first]) / (times[second] - times[first])
        return exp(min(float(np.median(slopes)) * HOUR, _LARGEST)) - 1.0
