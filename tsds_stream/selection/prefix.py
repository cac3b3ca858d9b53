"""Cumulative weights along the shortlists, read no further than asked."""

from __future__ import annotations

import numpy as np

from tsds_stream.selection.arithmetic import Bool, Float64, Int64
from tsds_stream.selection.rows import Rows

_BLOCK = 2**15  # entries worked on at a time: the temporaries of a block stay in cache


class PrefixSums:
    """S_ik = w_i1 + … + w_ik and Σ_{l ≤ k} S_il (d_i,l+1 − d_il), for the first `known[i]` entries of each row.

    The distance after the last entry is the frontier's in a short row, and its own in any other. Both sums are
    sequential along the row, so their bits depend neither on how far the row was read nor in how many steps.

    Args:
        rows: the shortlists; padding is never used.
        weights: (P,) float64 > 0 at every listed point.
        with_least: also keep `least`, the least mass in front of each point.

    Attributes:
        lengths: (M,) int64, entries that a row has.
        known: (M,) int64, entries read so far.
        least: (P,) float64, T_j = min over the rows (read so far) of S_i,k−1 where j is entry k; inf elsewhere.
    """

    def __init__(self, rows: Rows, weights: Float64, with_least: bool = False) -> None:
        self.rows = rows
        self.weights = weights
        self.lengths: Int64 = np.minimum(rows.counts, rows.max_k).astype(np.int64)
        self.known: Int64 = np.zeros(len(self.lengths), np.int64)
        self.least: Float64 | None = np.full(len(weights), np.inf) if with_least else None
        self._mass: Float64 = np.empty((len(self.lengths), 0))
        self._cost: Float64 = np.empty((len(self.lengths), 0))
        self._last_gap = self._gap_after_last()

    @property
    def unread(self) -> Bool:
        """(M,) rows that go on beyond what was read."""
        return self.known < self.lengths

    @property
    def ends(self) -> Float64:
        """(M,) cumulative weight of what was read; 0 in an empty row."""
        return self.mass_at(self.known)

    def mass_at(self, counts: Int64) -> Float64:
        """(M,) S_i,counts[i]; 0 where counts is 0."""
        return self._before(self._mass, counts)

    def phi(self, counts: Int64, shares: Float64) -> float:
        """Φ = Σ_i a_i Σ_{k ≤ counts[i]} S_ik (d_i,k+1 − d_ik), rows added in order."""
        return float(np.cumsum(shares * self._before(self._cost, counts))[-1])

    def counts_at(self, s: float, low: Int64, high: Int64) -> Int64:
        """(M,) K_i(s) = #{k : S_ik ≤ s}, known to lie within low .. high (high at most `known`)."""
        flat, base = self._mass.ravel(), np.arange(len(low)) * self._mass.shape[1]
        low, high = low.copy(), high.copy()
        while True:
            rows = np.flatnonzero(low < high)
            if not len(rows):
                return low
            first, last = low[rows], high[rows]
            middle = (first + last) >> 1
            inside = flat[base[rows] + middle] <= s
            low[rows] = np.where(inside, middle + 1, first)
            high[rows] = np.where(inside, last, middle)

    def masses(self, row: Int64, column: Int64) -> Float64:
        """S at single entries."""
        out: Float64 = self._mass.ravel()[row * self._mass.shape[1] + column]
        return out

    def extend(self, chosen: Int64, end: int) -> None:
        """Read the chosen rows, all known up to the same column, up to column `end` (or to their end)."""
        start = int(self.known[chosen[0]])
        end = min(end, int(self.lengths[chosen].max()))
        self._reserve(end)
        whole = len(chosen) == len(self.known)
        step = max(1, _BLOCK // max(end - start, 1))
        for at in range(0, len(chosen), step):
            part = chosen[at : at + step]
            self._extend_block(slice(at, at + len(part)) if whole else part, start, end)
        self.known[chosen] = np.minimum(self.lengths[chosen], end)

    def _extend_block(self, part: slice | Int64, start: int, end: int) -> None:
        lengths = self.lengths[part]
        points = self.rows.points[part, start:end]
        squared = self.rows.squared[part, start : end + 1]
        mass = self.weights.take(points, mode="clip")
        ragged = bool((lengths <= end).any())  # the gap at a row's last entry is not the one to the next column
        inside = np.arange(start, end) < lengths[:, None]
        if ragged:
            mass = np.where(inside, mass, 0.0)
            squared = np.where(np.arange(start, start + squared.shape[1]) < lengths[:, None], squared, 0.0)
        distance = np.sqrt(squared)
        cost = np.zeros(mass.shape)
        np.subtract(distance[:, 1:], distance[:, :-1], out=cost[:, : distance.shape[1] - 1])
        if ragged:
            cost = np.where(np.arange(start + 1, end + 1) < lengths[:, None], cost, 0.0)
            ending = np.flatnonzero((lengths > start) & (lengths <= end))
            cost[ending, lengths[ending] - 1 - start] = self._last_gap[part][ending]
        if start:
            mass[:, 0] += self._mass[part, start - 1]
        np.cumsum(mass, axis=1, out=mass)
        cost *= mass
        if start:
            cost[:, 0] += self._cost[part, start - 1]
        np.cumsum(cost, axis=1, out=cost)
        if self.least is not None:
            front = np.zeros(mass.shape)
            front[:, 1:] = mass[:, :-1]
            if start:
                front[:, 0] = self._mass[part, start - 1]
            if ragged:
                np.minimum.at(self.least, points[inside], front[inside])
            else:
                np.minimum.at(self.least, points.ravel(), front.ravel())
        self._mass[part, start:end] = mass
        self._cost[part, start:end] = cost

    def _gap_after_last(self) -> Float64:
        gaps = np.zeros(len(self.lengths))
        short = np.flatnonzero(self.rows.short & (self.lengths > 0))
        last = self.rows.squared[short, self.lengths[short] - 1]
        gaps[short] = np.sqrt(self.rows.frontiers[short]) - np.sqrt(last)
        return gaps

    def _reserve(self, columns: int) -> None:
        held = self._mass.shape[1]
        if columns <= held:
            return
        for name in ("_mass", "_cost"):
            grown = np.empty((len(self.lengths), columns))
            grown[:, :held] = getattr(self, name)
            setattr(self, name, grown)

    @staticmethod
    def _before(sums: Float64, counts: Int64) -> Float64:
        out = np.zeros(len(counts))
        rows = np.flatnonzero(counts)
        out[rows] = sums[rows, counts[rows] - 1]
        return out
