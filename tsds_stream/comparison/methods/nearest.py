"""What lies nearest to any target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsds_stream.comparison.task import Task, taken_from
from tsds_stream.selection.arithmetic import Int64


@dataclass(frozen=True)
class Nearest:
    """Documents in order of their distance to the nearest target; ties by place in key order."""

    about: str = "the documents with the smallest distance to any target"
    needs_texts: bool = False

    def select(self, task: Task) -> Int64:
        """See `Method.select`."""
        depth = 1
        while True:
            lists = task.neighbours.lists(depth)
            row, column = np.nonzero(lists.squared < lists.reach.min())  # beyond, a nearer document may be missing
            point, squared = lists.points[row, column].astype(np.int64), lists.squared[row, column]
            order = np.lexsort((task.pool.rank[point], squared))
            taken = taken_from(point[order], task, complete=lists.complete)
            if taken is not None:
                return taken
            depth = 2 * lists.points.shape[1]
