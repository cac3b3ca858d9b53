"""Any method, on a pool from which near-copies were removed."""

from __future__ import annotations

from dataclasses import dataclass

from tsds_stream.comparison.near_copies import distinct
from tsds_stream.comparison.task import Method, Task
from tsds_stream.selection.arithmetic import Int64


@dataclass(frozen=True)
class Deduplicated:
    """`distinct` first, then the method."""

    method: Method

    @property
    def about(self) -> str:
        """In a few words."""
        return f"near-copies removed first; then {self.method.about}"

    @property
    def needs_texts(self) -> bool:
        """Of the method."""
        return self.method.needs_texts

    def select(self, task: Task) -> Int64:
        """See `Method.select`."""
        kept = distinct(task.pool, task.near_copy)
        return kept[self.method.select(task.of_part(kept))]
