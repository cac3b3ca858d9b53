"""Comparisons as a whole: equal budgets, nothing leaks, the same arguments give the same result."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from tests.comparison.world import pool_and_targets, without_texts
from tsds_stream.comparison.compare import Comparison, Plan, compare, ordered
from tsds_stream.comparison.methods import COMPARED, METHODS
from tsds_stream.comparison.pool import Pool
from tsds_stream.comparison.report import warnings
from tsds_stream.comparison.results import as_json, selections
from tsds_stream.comparison.task import Task
from tsds_stream.comparison.trial import hold_out
from tsds_stream.selection.arithmetic import squared_distances
from tsds_stream.selection.settings import SelectorConfig

TOKENS = {"budget": None, "token_budget": 300}


def ticking():
    """A clock on which every selection takes one second."""
    ticks = count()
    return lambda: float(next(ticks))


@pytest.fixture(scope="module")
def world():
    return pool_and_targets(300, 20, copies=6)


@pytest.fixture(scope="module")
def comparison(world) -> Comparison:
    return compare(*world, Plan(SelectorConfig(**TOKENS), seeds=3), clock=ticking())


def test_all_methods_get_the_same_tokens_on_every_split(comparison: Comparison, world):
    pool, _ = world
    assert comparison.token_budget == 300
    for trial in comparison.trials:
        assert list(trial.scores) == list(comparison.methods)
        for name, score in trial.scores.items():
            rows = trial.taken[name]
            assert score.documents == len(rows) == len(set(rows.tolist()))
            assert score.tokens == pool.tokens[rows].sum()
            assert 300 - 20 < score.tokens <= 300, name
            assert score.seconds == 1.0


def test_a_budget_in_documents_is_that_many_average_documents(world):
    pool, targets = world
    plan = Plan(SelectorConfig(budget=40), ["random"], seeds=1)
    assert compare(pool, targets, plan).token_budget == round(40 * pool.tokens.mean())


def test_shortlists_are_as_long_as_a_budget_in_documents_needs():
    """A token budget alone tells nothing of the number of documents, and here they are short."""
    pool, targets = pool_and_targets(1200, 3)
    short = replace(pool, tokens=np.ones(len(pool), np.int64))
    for settings, reasons in (({"budget": 400}, ()), ({"budget": None, "token_budget": 400}, ("truncated",))):
        [trial] = compare(short, targets, Plan(SelectorConfig(**settings), ["kde"], seeds=1)).trials
        assert trial.scores["kde"].reasons == reasons


def test_the_methods_see_only_targets_that_are_not_held_out(comparison: Comparison, world):
    pool, targets = world
    plan = comparison.plan
    for trial in comparison.trials:
        out = hold_out(targets, plan.held_out, trial.seed)
        assert list(trial.held_out) == [name for name, held in zip(targets.ids, out, strict=True) if held]
        squared = squared_distances(targets.vectors[out], pool.vectors)
        rest = np.flatnonzero((squared >= comparison.near_copy**2).all(0))
        assert trial.left_out == len(pool) - len(rest)
        seen = targets.part(np.flatnonzero(~out))
        task = Task.of(pool.part(rest), seen, 300, comparison.near_copy, trial.seed, plan.config)
        for name in ("kde", "turns", "tv", "round_robin", "nearest", "dsir"):
            assert trial.taken[name].tolist() == rest[METHODS[name].select(task)].tolist(), name


def test_copies_of_targets_held_out_cannot_be_selected_unless_they_are_to_stay(world):
    pool, targets = world
    planted = Pool.of(
        [*pool.ids, *(f"copy of {name}" for name in targets.ids)],
        np.concatenate([pool.vectors, targets.given]),
        np.concatenate([pool.tokens, np.full(len(targets), 5)]),
    )
    bare = replace(targets, words=None)
    for keep in (False, True):
        plan = Plan(SelectorConfig(**TOKENS), ["nearest", "random"], seeds=2, keep_copies=keep)
        result = compare(planted, bare, plan)
        assert result.in_pool == len(targets)
        for trial in result.trials:
            copies = {f"copy of {name}" for name in trial.held_out}
            available = {planted.ids[row] for name in trial.taken for row in trial.taken[name].tolist()}
            assert trial.left_out == 0 if keep else trial.left_out >= len(trial.held_out)
            if not keep:
                assert not copies & available


def test_the_same_arguments_give_the_same_result(comparison: Comparison, world):
    again = compare(*world, comparison.plan, clock=ticking())
    assert as_json(again) == as_json(comparison)
    ids = list(world[0].ids)
    assert list(selections(again, ids)) == list(selections(comparison, ids))
    other = compare(*world, replace(comparison.plan, config=SelectorConfig(seed=9, **TOKENS)), clock=ticking())
    assert [trial.seed for trial in other.trials] == [9, 10, 11]
    assert as_json(other)["methods"] != as_json(comparison)["methods"]


def test_what_is_asked_of_one_method_does_not_depend_on_the_others(comparison: Comparison, world):
    alone = compare(*world, replace(comparison.plan, methods=["turns", "dsir"]), clock=ticking())
    assert alone.methods == ["turns", "dsir"]
    for one, all_ in zip(alone.trials, comparison.trials, strict=True):
        assert {name: one.scores[name] for name in alone.methods} == {name: all_.scores[name] for name in alone.methods}


@pytest.mark.parametrize(
    ("settings", "methods", "expected"),
    [
        ({}, ["random", "turns"], ["turns", "random"]),
        ({}, ["random", "random"], ["turns", "random"]),
        ({}, ["default", "kde"], ["default", "kde"]),
        ({"mode": "coordinated"}, ["random"], ["kde", "random"]),
        ({"regularizer": "uniform", "mode": "coordinated"}, ["kde", "random"], ["uniform", "kde", "random"]),
        ({"regularizer": "uniform"}, ["random"], ["turns", "random"]),
        ({"sigma": 0.3}, ["random"], ["turns", "random"]),
        ({"mode": "top"}, ["random"], ["top", "random"]),
        ({"mode": "turns", "min_distance": 0.2}, ["random"], ["turns", "random"]),
        ({"min_distance": None}, ["random"], ["turns", "random"]),
        ({"regularizer": "tv", "alpha": 0.5, "mode": "coordinated"}, ["random"], ["tv", "random"]),
        ({"mode": "multinomial"}, ["random"], ["default", "random"]),
    ],
)
def test_the_reference_is_what_the_options_select(settings: dict, methods: list[str], expected: list[str]):
    assert ordered(SelectorConfig(**TOKENS, **settings), methods) == expected


def test_without_texts_distances_are_compared(world):
    pool, targets = without_texts(*world)
    result = compare(pool, targets, Plan(SelectorConfig(**TOKENS), seeds=2))
    assert not result.has_texts
    assert sorted(result.methods) == sorted(set(COMPARED) - {"dsir"})
    assert "not every document and target has a text, so there is no perplexity" in next(warnings(result))
    for trial in result.trials:
        for score in trial.scores.values():
            assert score.log_perplexity is None
            assert score.loss == np.log(score.transport_cost)


def test_progress_tells_every_selection_once(world):
    told: list[tuple[int, str]] = []
    plan = Plan(SelectorConfig(**TOKENS), ["turns", "random"], seeds=2)
    compare(*world, plan, lambda done, note: told.append((done, note)))
    assert told == [
        (0, "seed 0: turns"),
        (1, "seed 0: random"),
        (2, "seed 1: turns"),
        (3, "seed 1: random"),
        (4, "done"),
    ]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"held_out": 0.0}, "must lie between 0 and 1, not 0.0"),
        ({"held_out": 1.0}, "must lie between 0 and 1"),
        ({"seeds": 0}, "at least 1 seed, not 0"),
        ({"methods": ["kde", "rnadom"]}, "did you mean 'random'"),
        ({"near_copy": -0.1}, "between 0 and 2, not -0.1"),
        ({"config": SelectorConfig(budget=3, token_budget=30)}, "one budget"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_at_once(change: dict, part: str):
    with pytest.raises(ValueError, match=part):
        Plan(**{"config": SelectorConfig(budget=5), **change})


def test_what_leaves_nothing_to_compare_is_said(world):
    pool, targets = world
    plan = Plan(SelectorConfig(**TOKENS), ["kde", "random"], seeds=1)
    with pytest.raises(ValueError, match="there is 1 distinct target; at least 2 are needed"):
        compare(pool, targets.part(np.array([0])), plan)
    everything = Plan(SelectorConfig(budget=None, token_budget=int(pool.tokens.sum())), ["random"], seeds=1)
    with pytest.raises(ValueError, match=r"--token-budget: .* tokens hold the whole pool"):
        compare(pool, targets, everything)
    with pytest.raises(ValueError, match=r"--budget: .* tokens hold the whole pool"):
        compare(pool, targets, Plan(SelectorConfig(budget=len(pool)), ["random"], seeds=1))
    with pytest.raises(ValueError, match="without the copies of targets held out"):
        compare(pool, targets, replace(plan, near_copy=2.0))
    with pytest.raises(ValueError, match="dsir needs the text of every document and target"):
        compare(*without_texts(pool, targets), replace(plan, methods=["dsir", "random"]))
    with pytest.raises(ValueError, match="took nothing: every document exceeds the budget of 1 tokens"):
        compare(
            replace(pool, tokens=pool.tokens + 1),
            targets,
            replace(plan, config=SelectorConfig(budget=None, token_budget=1)),
        )
