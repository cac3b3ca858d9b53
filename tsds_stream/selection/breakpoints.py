"""The smallest breakpoint S_ik at which a non-decreasing quantity reaches a target."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tsds_stream.selection.arithmetic import Int64
from tsds_stream.selection.prefix import PrefixSums
from tsds_stream.selection.ragged import ragged

Quantity = Callable[[float, Int64], float]

_FEW = 4096  # breakpoints that are gathered and sorted rather than narrowed down further
_LEAN = 1 / 32  # interpolation aims this share of the bracket past the target, twice as far when that was not enough
_GUESSES = 12  # probes by interpolation before bisection, whose number of steps is bounded, takes over


def smallest_breakpoint(
    prefix: PrefixSums, quantity: Quantity, target: float, high: float, high_counts: Int64, hint: float | None
) -> tuple[float, Int64]:
    """The smallest S_ik ≤ high with quantity(S_ik, K(S_ik)) ≥ target, and the counts K there.

    Args:
        prefix: cumulative weights; every breakpoint up to `high` that matters has been read.
        quantity: of (s, K(s)); it must not decrease with s, in floating point too.
        target: above quantity(0, 0) and at most quantity(high, high_counts).
        high: a breakpoint.
        high_counts: (M,) K(high).
        hint: a guess of the answer. It changes the work, never the answer.
    """
    low, low_value, low_counts = 0.0, 0.0, np.zeros_like(high_counts)
    high_value = quantity(high, high_counts)
    enough = max(_FEW, 4 * len(high_counts))
    lean = 0.0
    probes = 0
    while int((high_counts - low_counts).sum()) > enough:
        if hint is not None and probes == 0 and low < hint < high:
            probe = hint
        elif probes < _GUESSES:
            share = (target - low_value) / (high_value - low_value) + lean
            probe = low + min(max(share, 1 / 64), 63 / 64) * (high - low)
        else:
            probe = _middle(low, high)
        probes += 1
        if not low < probe < high:
            if probes > _GUESSES:
                break  # neighbouring numbers: high is the only breakpoint left
            continue
        counts = prefix.counts_at(probe, low_counts, high_counts)
        moved = np.flatnonzero(counts > low_counts)
        if not len(moved):
            low = probe
            continue
        # Only a breakpoint may become `high`: take the last one up to the probe, where the counts are the same.
        breakpoint_ = float(prefix.mass_at(counts)[moved].max())
        value = quantity(breakpoint_, counts)
        if value >= target:
            high, high_value, high_counts, lean = breakpoint_, value, counts, -_LEAN if lean >= 0 else 2 * lean
        else:
            low, low_value, low_counts, lean = probe, value, counts, _LEAN if lean <= 0 else 2 * lean
    rows, steps = ragged(high_counts - low_counts)
    left = np.unique(prefix.masses(rows, low_counts[rows] + steps))
    first, last = 0, len(left) - 1  # left[last] is `high`
    while first < last:
        middle = (first + last) // 2
        counts = prefix.counts_at(float(left[middle]), low_counts, high_counts)
        if quantity(float(left[middle]), counts) >= target:
            last, high_counts = middle, counts
        else:
            first, low_counts = middle + 1, counts
    return float(left[last]), high_counts


def _middle(low: float, high: float) -> float:
    """The float64 half-way between two non-negative ones in the order of bit patterns."""
    a, b = np.array([low, high]).view(np.int64)
    return float(np.array([a + (b - a) // 2]).view(np.float64)[0])
