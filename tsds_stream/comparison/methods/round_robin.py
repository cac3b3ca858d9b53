"""The strongest simple rule: every target's nearest document, then every target's second, and so on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsds_stream.comparison.task import Task, taken_from
from tsds_stream.selection.arithmetic import Float64, Int64


@dataclass(frozen=True)
class RoundRobin:
    """Target i names its k-th nearest document in the first round t with floor(t · r_i) = k, r_i its share of the
    largest weight: with equal weights, in round k.

    Within a round the nearest come first (ties by place in key order). A document that several targets name is taken
    once and counts for all of them.
    """

    about: str = "every target's nearest document, then every target's second nearest, …"
    needs_texts: bool = False

    def select(self, task: Task) -> Int64:
        """See `Method.select`."""
        share = task.targets.weights / task.targets.weights.max()
        depth = 1
        while True:
            lists = task.neighbours.lists(depth)
            row, column = np.nonzero(np.isfinite(lists.squared))
            turn = _round(column + 1, share[row])
            if not lists.complete:  # what a row names beyond its end is not known
                known = turn < _round(lists.counts + 1, share).min()
                row, column, turn = row[known], column[known], turn[known]
            point = lists.points[row, column].astype(np.int64)
            order = np.lexsort((task.pool.rank[point], lists.squared[row, column], turn))
            taken = taken_from(point[order], task, complete=lists.complete)
            if taken is not None:
                return taken
            depth = 2 * lists.points.shape[1]


def _round(number: Int64, share: Float64) -> Int64:
    """The least t with floor(t · share) >= number."""
    turn = np.ceil(number / share)
    turn -= np.floor((turn - 1) * share) >= number
    turn += np.floor(turn * share) < number
    return turn.astype(np.int64)
