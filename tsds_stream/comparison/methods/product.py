"""The product's own selections: what `tsds-stream select` gives, with some of its settings changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tsds_stream.comparison.task import Task
from tsds_stream.selection.arithmetic import Float64, Int64
from tsds_stream.selection.settings import SelectorConfig


@dataclass(frozen=True)
class Product:
    """The settings of the task, with `changes`."""

    about: str
    changes: Mapping[str, object] = field(default_factory=dict)
    needs_texts: bool = False

    def changed(self, config: SelectorConfig) -> SelectorConfig:
        """The settings with which the documents are selected."""
        return SelectorConfig(**{**config.model_dump(), **self.changes})

    def select(self, task: Task) -> Int64:
        """See `Method.select`; ascending rows."""
        return chosen(task, self.changed(task.config))


@dataclass(frozen=True)
class TotalVariation:
    """`regularizer = "tv"`, which has no automatic alpha: without one, its reach holds `spread` x the budget."""

    about: str
    needs_texts: bool = False

    def changed(self, config: SelectorConfig) -> SelectorConfig:
        """The settings with which the documents are selected, where alpha is a number."""
        return config.model_copy(update={"regularizer": "tv", "mode": "coordinated"})

    def select(self, task: Task) -> Int64:
        """See `Method.select`; ascending rows."""
        alpha = task.config.alpha
        if alpha == "auto":
            scale = task.config.distance_scale
            alpha = scale / (scale + reach(task, task.config.spread * task.budget))
        return chosen(task, self.changed(task.config.model_copy(update={"alpha": alpha})))


def chosen(task: Task, config: SelectorConfig) -> Int64:
    """Ascending rows of what the product selects with these settings."""
    if not len(task.pool):
        return np.empty(0, np.int64)
    selector = task.selector(config)
    revision = selector.preview(**_differences(selector.config, config))
    task.reasons.update(revision.reasons)
    wanted = set(revision.ids)
    return np.array([row for row, name in enumerate(task.pool.ids) if name in wanted], np.int64)


def reach(task: Task, tokens: float) -> float:
    """The least price of distance at which the documents within reach of some target have so many tokens.

    Document j comes within reach at min over the targets of d_ij - d_i1, the distance beyond the nearest document.
    """
    depth = 1
    while True:
        lists = task.neighbours.lists(depth)
        held = np.isfinite(lists.squared)
        distances: Float64 = np.sqrt(np.where(held, lists.squared, 0.0))
        beyond = distances - distances[:, :1]
        row, column = np.nonzero(held)
        joins = np.full(len(task.pool), np.inf)
        np.minimum.at(joins, lists.points[row, column], beyond[row, column])
        order = np.argsort(joins, kind="stable")
        order = order[np.isfinite(joins[order])]
        enough = int(np.searchsorted(np.cumsum(task.pool.tokens[order]), tokens))
        known = float((np.sqrt(lists.reach) - distances[:, 0]).min())
        if enough < len(order) and joins[order[enough]] < known:
            return max(float(joins[order[enough]]), 2.0**-20)
        if lists.complete:
            return max(float(joins[order].max(initial=0.0)), 2.0**-20)
        depth = 2 * lists.points.shape[1]


def _differences(present: SelectorConfig, wanted: SelectorConfig) -> dict[str, object]:
    before = present.model_dump()
    return {name: value for name, value in wanted.model_dump().items() if value != before[name]}
