"""The candidates: their turns are the product's, and a selection is a function of the set of documents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.evidence.rules.candidates import BOTH, SCORED, WITH_COPIES, WITHOUT_COPIES, Moved, Turns, moved
from tsds_stream.comparison.methods import method_of
from tsds_stream.comparison.pool import Pool, Targets
from tsds_stream.comparison.task import Task
from tsds_stream.selection.settings import SelectorConfig


def example(seed: int, order: np.ndarray | None = None, budget: int = 400) -> Task:
    """300 documents, a third of them near-copies, and 7 targets; the stream in another order."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(300, 8))
    vectors[200:] = vectors[:100] + 0.02 * random.normal(size=(100, 8))
    tokens = random.integers(5, 30, 300)
    ids = [f"d{number}" for number in range(300)]
    order = np.arange(300) if order is None else order
    pool = Pool.of([ids[row] for row in order], vectors[order].astype(np.float32), tokens[order])
    targets = Targets.of([f"t{number}" for number in range(7)], random.normal(size=(7, 8)).astype(np.float32))
    return Task.of(pool, targets, budget, 0.3, config=SelectorConfig(sigma=0.3))


def names(task: Task, rows: np.ndarray) -> set[str]:
    return {task.pool.ids[row] for row in rows}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("budget", [60, 400, 2000])
def test_the_plain_turns_are_those_of_the_product(seed: int, budget: int):
    task = example(seed, budget=budget)
    assert names(task, Turns().select(task)) == names(task, method_of("turns").select(task))


@pytest.mark.parametrize("name", [*WITH_COPIES, *WITHOUT_COPIES])
def test_the_order_of_arrival_does_not_matter(name: str):
    method = {**WITH_COPIES, **WITHOUT_COPIES}[name]
    task = example(1)
    other = example(1, np.random.default_rng(5).permutation(300))
    assert names(task, method.select(task)) == names(other, method.select(other))


def test_targets_move_towards_their_neighbours_and_away_from_the_documents():
    task = example(2)
    wide, pool = task.targets.vectors.astype(np.float64), task.pool.vectors.astype(np.float64)
    by = Moved(Turns(), near=1.0, away=0.5, neighbours=1).directions(task.targets, task.pool, 100)
    for row in range(len(wide)):
        nearest = min((other for other in range(len(wide)) if other != row), key=lambda one: -wide[one] @ wide[row])
        assert np.allclose(by[row], wide[nearest] - 0.5 * pool[:100].mean(0))
    assert np.allclose(np.linalg.norm(moved(task.targets, by).vectors, axis=1), 1.0)


def test_one_target_has_no_neighbours_and_is_still_moved():
    task = example(3)
    alone = replace(task, targets=task.targets.part(np.array([0])))
    assert len(WITH_COPIES[BOTH].select(alone)) > 0


def test_by_score_what_all_targets_want_second_goes_before_what_each_wants_first():
    """Every axis is a target, has a document near it, and one document lies between all."""
    targets = Targets.of(["a", "b", "c"], np.eye(5, dtype=np.float32)[:3])
    own = np.eye(5)[:3] + 0.3 * np.eye(5)[3]
    others = -np.eye(5)[[3, 4]]
    vectors = np.concatenate([own, [[1, 1, 1, 0, 0]], others]).astype(np.float32)
    ids = ["a", "b", "c", "between", "far", "farther"]
    task = Task.of(Pool.of(ids, vectors, np.ones(6, np.int64)), targets, 3, 0.01)
    assert task.pool.ids[WITHOUT_COPIES[SCORED].select(task)[0]] == "between"
    assert task.pool.ids[Turns().select(task)[0]] in {"a", "b", "c"}
