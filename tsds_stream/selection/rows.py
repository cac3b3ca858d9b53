"""Sorted shortlists of all active queries, as the transport plan and the samplers read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsds_stream.selection.arithmetic import Bool, Float64, Int32, Int64


@dataclass(frozen=True)
class Rows:
    """One row per active query, in ascending order of target id; entries ascending by (squared distance, key).

    Attributes:
        squared: (M, width) float64 exact squared distances; row i is valid up to counts[i].
        points: (M, width) int32 point numbers, 0 .. P-1; a point stands in a row at most once.
        counts: (M,) int64, entries of row i (at most max_k).
        frontiers: (M,) float64 squared distance of the nearest point ever left out; inf where nothing was.
        max_k: the configured length.
    """

    squared: Float64
    points: Int32
    counts: Int64
    frontiers: Float64
    max_k: int

    @property
    def complete(self) -> Bool:
        """(M,) rows that hold every live point: infinite frontier and no more than max_k points.

        A row with an infinite frontier that holds more than max_k points in reserve is passed with its frontier set
        to the squared distance of entry max_k + 1, so it is not complete.
        """
        return np.isinf(self.frontiers)

    @property
    def short(self) -> Bool:
        """(M,) rows that have lost points: fewer than max_k, and something was left out before."""
        return (self.counts < self.max_k) & ~self.complete

    @property
    def full(self) -> Bool:
        """(M,) rows that are exactly the nearest max_k points although there are more."""
        return (self.counts >= self.max_k) & ~self.complete
