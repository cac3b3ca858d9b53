"""The transport plan of `tv`: a little of everything that is hardly farther than the nearest, the rest on the nearest.

The regulariser is G = ½ Σ_ij |γ_ij − a_i m_j/(M N)|, N the live documents (TSDS, arXiv 2410.11303). The optimum is
γ_ij = a_i m_j/(M N) where d_ij − d_i1 ≤ λ; the rest of row i goes to its nearest point. As N grows this tends to one
nearest neighbour plus crumbs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsds_stream.selection.arithmetic import Bool, Float64, Int64
from tsds_stream.selection.mass import Mass
from tsds_stream.selection.ragged import ragged
from tsds_stream.selection.rows import Rows


@dataclass(frozen=True, eq=False)
class TotalVariationPlan:
    """A solved plan.

    Attributes:
        reach: (M,) int64 #{k : d_ik − d_i1 ≤ λ}, the entries of each row that get mass.
        truncated: (M,) bool incomplete rows whose end lies within λ of their nearest point.
    """

    reach: Int64
    truncated: Bool
    rows: Rows
    shares: Float64
    multiplicities: Int64
    documents: int

    def mass(self) -> Mass:
        """γ_ik = a_i/M · (m/N), and γ_i1 = a_i/M · ((N − Σ_{1 < k ≤ reach} m)/N). Sums of m are exact.

        Raises:
            ValueError: a row reaches more documents than `documents` says there are.
        """
        rows, columns = ragged(self.reach)
        points = self.rows.points[rows, columns].astype(np.int64)
        parts = self.multiplicities[points]
        reached = np.zeros(len(self.reach), np.int64)
        np.add.at(reached, rows, parts)
        if int(reached.max(initial=0)) > self.documents:
            raise ValueError(f"{self.documents} documents cannot hold the {int(reached.max())} that one query reaches")
        nearest = np.flatnonzero(columns == 0)
        parts[nearest] += self.documents - reached[rows[nearest]]
        shares = self.shares / len(self.shares)
        values = shares[rows] * (parts / self.documents)
        return Mass(rows, columns, points, values, np.sqrt(self.rows.squared[rows, columns]))


def solve_total_variation(
    rows: Rows, multiplicities: Int64, shares: Float64, price: float, documents: int
) -> TotalVariationPlan:
    """Find how far each row reaches. Distances are taken only where a binary search looks.

    Args:
        rows: the shortlists of the active queries that have a point.
        multiplicities: (P,) int64 m.
        shares: (M,) float64 a_i of `query_shares`.
        price: λ of `distance_price`.
        documents: N, live documents, at least the multiplicities of any row together.
    """
    lengths = np.minimum(rows.counts, rows.max_k).astype(np.int64)
    held = np.flatnonzero(lengths)
    nearest = np.zeros(len(lengths))
    nearest[held] = np.sqrt(rows.squared[held, 0])
    low, high = np.minimum(lengths, 1), lengths.copy()
    while len(going := np.flatnonzero(low < high)):
        middle = (low[going] + high[going]) >> 1
        inside = np.sqrt(rows.squared[going, middle]) - nearest[going] <= price
        low[going] = np.where(inside, middle + 1, low[going])
        high[going] = np.where(inside, high[going], middle)
    end = np.zeros(len(lengths))
    end[held] = np.sqrt(rows.squared[held, lengths[held] - 1])
    short = np.flatnonzero(rows.short)
    end[short] = np.sqrt(rows.frontiers[short])
    truncated = (lengths > 0) & ~rows.complete & (end - nearest <= price)
    return TotalVariationPlan(low, truncated, rows, shares, multiplicities, documents)
