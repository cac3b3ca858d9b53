"""Selections along a stream: one that goes on, one made anew from the beginning, one drawn anew every time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tsds_stream.comparison.methods import method_of
from tsds_stream.comparison.methods.product import Product
from tsds_stream.comparison.task import Task
from tsds_stream.selection.arithmetic import Int64
from tsds_stream.selection.revision import Revision
from tsds_stream.selection.selector import Selector
from tsds_stream.selection.settings import SelectorConfig

Rows = set[int]  # of the stream


@dataclass(frozen=True)
class Step:
    """What is selected after the first `seen` documents.

    Attributes:
        seconds: of processor time that the step took. drawn: the selections of draws with fresh randomness, by name.
    """

    seen: int
    rows: Rows
    digest: str
    seconds: float
    drawn: dict[str, Rows]


def settings(rule: str, task: Task) -> SelectorConfig:
    """With which a method of the product selects."""
    method = method_of(rule)
    if not isinstance(method, Product):
        raise ValueError(f"{rule} is not selected by the product itself")
    return method.changed(task.config)


def followed(task: Task, rule: str, every: int, fresh: Sequence[str] = ()) -> Iterator[Step]:
    """One selector that reads the stream, refreshed after `every` documents.

    Args:
        fresh: modes that are drawn from the same plan with another seed each time.
    """
    selector, number = _selector(task, rule), _numbers(task)
    for start in range(0, len(task.pool), every):
        stop = min(start + every, len(task.pool))
        revision, seconds = _timed(partial(_read, selector, task, start, stop))
        drawn = {mode: {number[name] for name in selector.preview(mode=mode, seed=stop).ids} for mode in fresh}
        yield Step(stop, {number[name] for name in revision.ids}, revision.digest, seconds, drawn)


def from_scratch(task: Task, rule: str, seen: int) -> Step:
    """A new selector that reads the first `seen` documents in one go."""
    number = _numbers(task)
    revision, seconds = _timed(lambda: _read(_selector(task, rule), task, 0, seen))
    return Step(seen, {number[name] for name in revision.ids}, revision.digest, seconds, {})


def part_of(task: Task, rule: str, start: int, stop: int, share: float = 1.0) -> Rows:
    """What a method selects from some of the stream, with a share of the budget."""
    rows = np.arange(start, stop)
    budget = round(share * task.budget)
    part = Task.of(task.pool.part(rows), task.targets, budget, task.near_copy, task.seed, task.config, name=task.name)
    return set((start + method_of(rule).select(part)).tolist())


def entered(before: Rows, after: Rows) -> float:
    """Share of a selection that was not in the one before."""
    return len(after - before) / len(after)


def arrived(after: Rows, seen: int) -> float:
    """Share of a selection that came after the first `seen` documents: that much cannot have been in it before."""
    return sum(row >= seen for row in after) / len(after)


def ascending(rows: Rows) -> Int64:
    return np.array(sorted(rows), np.int64)


def _selector(task: Task, rule: str) -> Selector:
    targets = task.targets
    return Selector(targets.given, settings(rule, task), targets.ids, targets.weights.tolist(), task.name)


def _read(selector: Selector, task: Task, start: int, stop: int) -> Revision:
    pool = task.pool
    selector.add(pool.ids[start:stop], pool.vectors[start:stop], pool.tokens[start:stop], canonical=True)
    revision = selector.refresh()
    assert revision is not None
    return revision


def _numbers(task: Task) -> dict[str, int]:
    return {name: row for row, name in enumerate(task.pool.ids)}


def _timed(work: Callable[[], Revision]) -> tuple[Revision, float]:
    started = time.process_time()
    return work(), time.process_time() - started
