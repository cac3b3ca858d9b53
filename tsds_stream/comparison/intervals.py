"""Confidence intervals of a mean from a few numbers, by Student's t."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log, log1p, pi, sqrt
from statistics import fmean, stdev
from typing import Final

_TERMS: Final = 100_000
_SMALL: Final = 1e-300
_SERIES_FROM: Final = 1000.0  # the next term is 1 / (640 a^5)


@dataclass(frozen=True)
class Interval:
    """A mean and, from two numbers on, the range that holds the true one with the stated confidence."""

    mean: float
    low: float | None
    high: float | None

    @property
    def decided(self) -> bool:
        """Whether 0 lies outside."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def half(self) -> float | None:
        """Half the width."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def interval_of(values: Sequence[float], correction: float = 0.0, confidence: float = 0.95) -> Interval:
    """The t-interval of the mean, of paired differences for example.

    Args:
        correction: added to 1/n in the variance of the mean. 0 for independent values. For repeated random splits of
            one set, (share held out) / (share that is left) makes up for their overlap (Nadeau and Bengio, 2003).
    """
    mean = fmean(values)
    if len(values) < 2:
        return Interval(mean, None, None)
    half = t_quantile(0.5 + confidence / 2, len(values) - 1) * stdev(values) * sqrt(1 / len(values) + correction)
    return Interval(mean, mean - half, mean + half)


def t_quantile(probability: float, degrees: float) -> float:
    """The t below which a Student variable with so many degrees of freedom lies with this probability.

    By bisection on the upper tail, which is computed without cancellation: relative error about 1e-12.

    Raises:
        ValueError: probability outside (0, 1), or degrees below 1.
    """
    if not 0 < probability < 1 or not degrees >= 1:
        raise ValueError(f"no quantile at probability {probability} with {degrees} degrees of freedom")
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    tail = 1 - probability
    low, high = 0.0, 1.0
    while _upper_tail(high, degrees) > tail:
        low, high = high, 2 * high
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if _upper_tail(middle, degrees) > tail:
            low = middle
        else:
            high = middle


def _upper_tail(t: float, degrees: float) -> float:
    """P(T > t) for t >= 0: half of I_x(degrees/2, 1/2) at x = degrees / (degrees + t²)."""
    square = t * t / degrees
    return 0.5 * _incomplete_beta(degrees / 2, -log1p(square), square / (1 + square))


def _incomplete_beta(a: float, log_x: float, y: float) -> float:
    """I_x(a, 1/2) from log x and y = 1 - x, by the continued fraction where it converges fast (DLMF 8.17.22)."""
    if y == 0:
        return 1.0
    x = exp(log_x)
    front = exp(_log_gamma_ratio(a) - 0.5 * log(pi) + a * log_x + 0.5 * log(y))
    if x < (a + 1) / (a + 2.5):
        return front * _fraction(a, 0.5, x) / a
    return 1.0 - 2.0 * front * _fraction(0.5, a, y)


def _log_gamma_ratio(a: float) -> float:
    """log of gamma(a + 1/2) / gamma(a); by its series where the difference would cancel."""
    if a < _SERIES_FROM:
        return lgamma(a + 0.5) - lgamma(a)
    return 0.5 * log(a) - 1 / (8 * a) + 1 / (192 * a**3)


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction, by Lentz's method."""
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1)
    d = 1.0 / (d if abs(d) > _SMALL else _SMALL)
    value = d
    for m in range(1, _TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + term * d
            d = 1.0 / (d if abs(d) > _SMALL else _SMALL)
            c = 1.0 + term / c
            c = c if abs(c) > _SMALL else _SMALL
            value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value
