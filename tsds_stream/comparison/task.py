"""What a method of selection is given, and the budget that all of them keep."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from tsds_stream.comparison.neighbours import AllNeighbours, Neighbours
from tsds_stream.comparison.pool import Pool, Targets
from tsds_stream.selection.arithmetic import Int64
from tsds_stream.selection.selector import Selector
from tsds_stream.selection.settings import STRUCTURAL, SelectorConfig


@dataclass(frozen=True, eq=False)
class Task:
    """One selection that is asked of every method.

    Attributes:
        pool: what may be selected; targets: what the selection sees of the task.
        neighbours: of these targets in this pool.
        config: the parameters of `tsds-stream select`; its token budget, the only budget, is that of all methods, and
            its seed decides every draw.
        name: of the target set; part of the seed of every draw.
        near_copy: the distance below which `dedup+…` calls two documents copies.
        reasons: why a selection of the product was not exact; filled by its methods.
    """

    pool: Pool
    targets: Targets
    neighbours: Neighbours
    config: SelectorConfig
    near_copy: float
    name: str = "default"
    reasons: set[str] = field(default_factory=set)
    _selectors: dict[tuple[object, ...], Selector] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        pool: Pool,
        targets: Targets,
        token_budget: int,
        near_copy: float,
        seed: int = 0,
        config: SelectorConfig | None = None,
        neighbours: Neighbours | None = None,
        name: str = "default",
    ) -> Task:
        """A task with the default parameters, or others, under a token budget."""
        base = (config or SelectorConfig()).model_dump()
        limits = {"budget": None, "token_budget": token_budget, "seed": seed}
        if neighbours is None:
            neighbours = AllNeighbours(pool, targets)
        return cls(pool, targets, neighbours, SelectorConfig(**{**base, **limits}), near_copy, name)

    @property
    def budget(self) -> int:
        """Tokens."""
        assert self.config.token_budget is not None
        return self.config.token_budget

    @property
    def seed(self) -> int:
        return self.config.seed

    def of_part(self, rows: Int64) -> Task:
        """The same task with some of the documents."""
        if len(rows) == len(self.pool):
            return self
        every = np.arange(len(self.targets))
        neighbours = self.neighbours.within(every, rows)
        return replace(self, pool=self.pool.part(rows), neighbours=neighbours, _selectors={})

    def afresh(self) -> Task:
        """The same task without the selectors that were made for it: what a selection takes can be timed."""
        return replace(self, reasons=set(), _selectors={})

    def selector(self, config: SelectorConfig) -> Selector:
        """A selector that holds the pool and can show what `config` selects (`Selector.preview`)."""
        # Only `tv` counts all documents, and only from the first one on.
        kind = (config.regularizer == "tv", *(getattr(config, name) for name in STRUCTURAL))
        if kind not in self._selectors:
            targets = self.targets
            selector = Selector(targets.given, config, targets.ids, targets.weights.tolist(), self.name)
            selector.add(self.pool.ids, self.pool.vectors, self.pool.tokens, canonical=True)
            if not selector.calibrated:
                selector.calibrate()
            self._selectors[kind] = selector
        return self._selectors[kind]


class Method(Protocol):
    """A way to choose documents for a task.

    Attributes:
        about: what it does, in a few words; needs_texts: whether it reads words.
    """

    @property
    def about(self) -> str: ...

    @property
    def needs_texts(self) -> bool: ...

    def select(self, task: Task) -> Int64:
        """Rows of the pool that are taken, none twice, within the budget: a function of the set of documents.

        In the order in which they are taken, where the method has an order.
        """


def within_budget(order: Int64, task: Task) -> Int64:
    """The documents of an order up to the first that does not fit.

    One that exceeds the token budget by itself is passed over. These are the rules of `tsds-stream select`.
    """
    order = order[task.pool.eligible(task.budget)[order]]
    fitting = int(np.searchsorted(np.cumsum(task.pool.tokens[order]), task.budget, side="right"))
    return order[:fitting]


def taken_from(named: Int64, task: Task, *, complete: bool) -> Int64 | None:
    """The same of a list in which documents stand several times; None when it may be too short to tell.

    Args:
        complete: nothing can follow.
    """
    _, first = np.unique(named, return_index=True)
    order = named[np.sort(first)]
    taken = within_budget(order, task)
    fits = int(task.pool.eligible(task.budget)[order].sum())
    return taken if complete or len(taken) < fits else None
