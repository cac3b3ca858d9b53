"""The transport plan of `kde` and `uniform`: one scalar s says how far every query reaches.

The problem (TSDS, arXiv 2410.11303): minimise (alpha/C)·Σ γ_ij d_ij + (1 − alpha)·M·max_ij γ_ij/(a_i w_j) subject to
Σ_j γ_ij = a_i/M and γ ≥ 0, where w_j is m_j/ρ_j (`kde`) or m_j (`uniform`). With S_ik the cumulative weight along
row i and K_i(s) = #{k : S_ik ≤ s}, the optimum is to fill each row from its nearest point on until the filled weight
is s, the smallest breakpoint S_ik with

    Φ(s) = Σ_i a_i Σ_{k ≤ K_i(s)} S_ik (d_i,k+1 − d_ik)  ≥  M·λ,     λ = C (1 − alpha) / alpha.

A complete row holds no more than its own weight, so s is at most the least weight of a complete row.
All sums are sequential (along rows, over rows in order, over points by key) and free of BLAS, exp, log and power.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tsds_stream.selection.arithmetic import Bool, Float64, Int64
from tsds_stream.selection.breakpoints import Quantity, smallest_breakpoint
from tsds_stream.selection.mass import Mass, sequential_sum
from tsds_stream.selection.prefix import PrefixSums
from tsds_stream.selection.ragged import ragged
from tsds_stream.selection.rows import Rows

_FIRST_COLUMNS = 64  # read of every row when nothing is known about the reach


def query_shares(target_weights: Float64) -> Float64:
    """(M,) a_i = w_i·M/Σw of the active queries; ones when all weights are equal to one."""
    return target_weights * len(target_weights) / sequential_sum(target_weights)


def distance_price(alpha: float, scale: float) -> float:
    """λ = C (1 − alpha)/alpha, a distance: what a unit of spread is worth."""
    return scale * (1.0 - alpha) / alpha


class Hint(NamedTuple):
    """Where the last plan ended. It saves work and never changes a result."""

    s: float
    columns: int


@dataclass(frozen=True)
class Cost:
    """Goal of a numeric alpha: s is the smallest breakpoint with Φ(s) ≥ threshold = M·λ (> 0)."""

    threshold: float

    @classmethod
    def of(cls, alpha: float, scale: float, queries: int) -> Cost:
        """The goal of 0 < alpha < 1, with C = scale and M = queries."""
        return cls(queries * distance_price(alpha, scale))


@dataclass(frozen=True, eq=False)
class Volume:
    """Goal of alpha = auto: s is the smallest breakpoint with V(s) ≥ target (> 0).

    V(s) = Σ_j f_j clip(s − T_j, 0, w_j), points added by ascending key, T_j the least mass in front of point j in any
    row: the effective number of distinct documents (or of their tokens) within reach.

    Attributes:
        target: spread × budget, or spread × token budget.
        order: (≤ P,) int64 point numbers by ascending key; it must hold every listed point.
        factors: (P,) float64 ≥ 0, the tokens of each point's representative; None: 1.
    """

    target: float
    order: Int64
    factors: Float64 | None = None


Goal = Cost | Volume


@dataclass(frozen=True, eq=False)
class Plan:
    """A solved plan. Holds the cumulative weights that were read: drop it when the mass has been taken.

    Attributes:
        s: weight to which every row is filled.
        phi: Φ(s).
        phi_before: Φ just below s.
        reached: whether the goal was reached; if not, s was capped by a complete row or is the largest breakpoint.
        reach: (M,) int64 K_i(s). Entries 1 .. min(K_i + 1, n_i) of row i, and no others, shaped s and the mass.
        truncated: (M,) bool incomplete rows that end too early for the answer to be exact.
        shares: (M,) float64 a_i, as given to `solve`.
        prefix: the cumulative weights that were read.
    """

    s: float
    phi: float
    phi_before: float
    reached: bool
    reach: Int64
    truncated: Bool
    shares: Float64
    prefix: PrefixSums

    @property
    def entries(self) -> Int64:
        """(M,) int64 min(K_i + 1, n_i): the entries of each row that shaped the plan."""
        return np.minimum(self.reach + 1, self.prefix.lengths)

    @property
    def hint(self) -> Hint:
        """For the next solve: s, and as many columns as fifteen rows of sixteen need."""
        entries = np.sort(self.entries)
        return Hint(self.s, int(entries[(15 * len(entries)) // 16]) + 16)

    def unsettled(self, settled: Bool) -> Int64:
        """Ascending numbers of the points that shaped the plan and whose weight was a guess; empty: the plan is final.

        Args:
            settled: (P,) bool, points whose weight is known.
        """
        _, _, points = self._indices
        guessed = np.zeros(len(settled), bool)
        guessed[points] = True
        return np.flatnonzero(guessed & ~settled)

    def implied_alpha(self, scale: float) -> float:
        """alpha = C·M/(C·M + Φ(s)), the alpha of which s is the answer. 1 when s costs nothing."""
        return scale * len(self.shares) / (scale * len(self.shares) + self.phi)

    def filling_alpha(self, scale: float) -> float | None:
        """A numeric alpha whose plan fills to s (further, if none leads there); None: the goal was not reached.

        For a set that is short of its budget: solve for the wanted `Volume` and ask that plan. The answer lies in the
        middle of the alphas that lead to s, so that rounding cannot lead to the breakpoint before or after.
        """
        if not self.reached:
            return None
        unit = scale * len(self.shares)
        alpha = unit / (unit + (self.phi_before + 0.5 * (self.phi - self.phi_before)))
        step = 2.0**-50
        while Cost.of(alpha, scale, len(self.shares)).threshold <= self.phi_before:
            alpha *= 1.0 - step
            step *= 2.0
        return alpha

    def mass(self) -> Mass:
        """γ_ik = a_i/M · ((min(S_ik, c_i) − min(S_i,k−1, c_i)) / c_i) with c_i = min(s, S_i,n)."""
        rows, columns, points = self._indices
        lengths = self.entries
        filled = np.minimum(self.s, self.prefix.ends)
        ends = np.cumsum(lengths)[lengths > 0]
        upper = self.prefix.masses(rows, columns)
        upper[ends - 1] = np.minimum(upper[ends - 1], filled[lengths > 0])  # all the others lie at or below s
        values = upper.copy()
        values[1:] -= upper[:-1]
        starts = np.concatenate([ends[:0], [0], ends[:-1]])
        values[starts] = upper[starts]
        values /= np.repeat(filled, lengths)
        values *= np.repeat(self.shares / len(self.shares), lengths)
        squared = self.prefix.rows.squared[rows, columns]
        if not values.all():
            keep = np.flatnonzero(values)
            rows, columns, points = rows[keep], columns[keep], points[keep]
            values, squared = values[keep], squared[keep]
        return Mass(rows, columns, points, values, np.sqrt(squared))

    @cached_property
    def _indices(self) -> tuple[Int64, Int64, Int64]:
        rows, columns = ragged(self.entries)
        return rows, columns, self.prefix.rows.points[rows, columns].astype(np.int64)


def solve(rows: Rows, weights: Float64, shares: Float64, goal: Goal, hint: Hint | None = None) -> Plan:
    """Find s. Columns beyond those that can matter are never read.

    Args:
        rows: the shortlists of the active queries that have a point (a row without any gets no mass).
        weights: (P,) float64 > 0 at every listed point: m/ρ (`kde`) or m (`uniform`); only read at listed points.
        shares: (M,) float64 a_i of `query_shares`, row order.
        goal: `Cost` for a numeric alpha, `Volume` for alpha = auto.
        hint: `hint` of an earlier plan.

    Raises:
        ValueError: no row has a point, or the goal is not a positive finite number.
    """
    target = goal.threshold if isinstance(goal, Cost) else goal.target
    if not 0.0 < target < np.inf:
        raise ValueError(f"the goal of a transport plan must be positive and finite, not {target}")
    prefix = PrefixSums(rows, weights, with_least=isinstance(goal, Volume))
    if not (prefix.lengths > 0).any():
        raise ValueError("a transport plan needs at least one row with a point")
    complete = rows.complete & (prefix.lengths > 0)
    prefix.extend(np.arange(len(prefix.lengths)), _FIRST_COLUMNS if hint is None else max(hint.columns, 1))
    nothing = np.zeros_like(prefix.lengths)
    while True:
        # What is read so far bounds the quantity from below, hence s from above. Rows whose part ends at or below that
        # bound may hold more that matters; when there is no such row the bound is the answer.
        ends = prefix.ends
        cap = float(ends[complete & ~prefix.unread].min(initial=np.inf))
        s = min(cap, float(ends.max()))
        counts = prefix.counts_at(s, nothing, prefix.known)
        quantity = _quantity(goal, prefix, shares, s)
        value = quantity(s, counts)
        reached = value >= target
        if reached:
            s, counts = smallest_breakpoint(prefix, quantity, target, s, counts, hint and hint.s)
        bound = s if reached else cap
        wanting = np.flatnonzero(prefix.unread & (ends <= bound))
        if not len(wanting):
            break
        if reached or bound < np.inf:
            growth = min(max(1.0625 * bound / float(ends[wanting].min()), 1.125), 2.0)
        else:
            growth = min(max(1.125 * target / value if value > 0 else 4.0, 1.5), 4.0)
        for known in np.unique(prefix.known[wanting]):
            prefix.extend(wanting[prefix.known[wanting] == known], int(known * growth) + 16)
    held = prefix.lengths > 0
    truncated = held & ~complete & ((ends < s) | (not reached and not complete.any()))
    before = prefix.counts_at(float(np.nextafter(s, 0.0)), nothing, counts)
    phi, phi_before = prefix.phi(counts, shares), prefix.phi(before, shares)
    return Plan(s, phi, phi_before, reached, counts, truncated, shares, prefix)


def _quantity(goal: Goal, prefix: PrefixSums, shares: Float64, high: float) -> Quantity:
    """What the goal asks for as a function of (s, K(s)), s at most `high`; it compares with the target as defined."""
    if isinstance(goal, Cost):
        return lambda s, counts: prefix.phi(counts, shares)
    assert prefix.least is not None
    least = prefix.least[goal.order]
    ahead = np.flatnonzero(least < high)  # the others add zeros, which change no sum
    least, points = least[ahead], goal.order[ahead]
    weights = prefix.weights[points]
    factors = None if goal.factors is None else goal.factors[points]
    buffer = np.empty(len(least))

    def volume(s: float, counts: Int64) -> float:
        np.subtract(s, least, out=buffer)
        np.clip(buffer, 0.0, weights, out=buffer)
        if factors is not None:
            np.multiply(buffer, factors, out=buffer)
        # Sums of n terms ≥ 0 in two orders differ by less than n·2^-51 of either. Where the quick one leaves no doubt
        # about the comparison with the target, it serves; otherwise the sequential sum decides: it is the definition.
        quick = float(buffer.sum())
        return quick if abs(quick - goal.target) > len(buffer) * 2.0**-50 * quick else sequential_sum(buffer)

    return volume
