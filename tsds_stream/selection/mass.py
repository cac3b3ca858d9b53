"""The transport plan entry by entry: how much mass each query gives to each of its points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsds_stream.selection.arithmetic import Float64, Int64


@dataclass(frozen=True, eq=False)
class Mass:
    """The entries of γ that are not zero, row by row, nearest first.

    Attributes:
        rows: (n,) int64 row of `Rows`.
        columns: (n,) int64 position in the row, 0 = nearest.
        points: (n,) int64 point number.
        values: (n,) float64 γ > 0; row i sums to a_i/M.
        distances: (n,) float64.
    """

    rows: Int64
    columns: Int64
    points: Int64
    values: Float64
    distances: Float64

    def probabilities(self, points: int) -> Float64:
        """(points,) float64 p_j = Σ_i γ_ij, rows added in order; sums to 1 but for rounding."""
        out: Float64 = np.bincount(self.points, weights=self.values, minlength=points).astype(np.float64, copy=False)
        return out

    @property
    def transport_cost(self) -> float:
        """Σ γ d, added entry by entry."""
        return sequential_sum(self.values * self.distances)

    def row_costs(self, rows: int) -> Float64:
        """(rows,) Σ_j γ_ij d_ij of each row."""
        costs: Float64 = np.bincount(self.rows, weights=self.values * self.distances, minlength=rows).astype(
            np.float64, copy=False
        )
        return costs


def effective_sample_size(probabilities: Float64, order: Int64) -> float | None:
    """1 / Σ p², points added in the given order (ascending key); None when there is no mass.

    Args:
        probabilities: (P,) float64.
        order: (≤ P,) int64 point numbers by ascending key; it must hold every point with mass.
    """
    p = probabilities[order]
    total = sequential_sum(p * p)
    return 1.0 / total if total > 0 else None


def sequential_sum(values: Float64) -> float:
    """x_1 + x_2 + … from left to right: the same bits everywhere, unlike `np.sum`."""
    return float(np.cumsum(values)[-1]) if len(values) else 0.0
