"""What anything must beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsds_stream.comparison.task import Task, within_budget
from tsds_stream.selection.arithmetic import Int64


@dataclass(frozen=True)
class Random:
    """Documents in the order of a hash of seed and id."""

    about: str = "documents drawn evenly, without regard to the targets"
    needs_texts: bool = False

    def select(self, task: Task) -> Int64:
        """See `Method.select`."""
        draws = task.pool.draws(task.seed, f"random/{task.name}")
        return within_budget(np.lexsort((task.pool.rank, draws)), task)
