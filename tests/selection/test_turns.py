"""Targets take turns: against the obvious version, and the claims that the mode makes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.selection import sampling_oracle as oracle
from tests.selection.sampling_cases import World, assert_same, budgets, make_world, radii
from tsds_stream.selection.arithmetic import canonical, key_order, squared_distances
from tsds_stream.selection.rows import Rows
from tsds_stream.selection.turns import turns

many = settings(max_examples=150)


def make_rows(w: World, targets: int, max_k: int, seed: int) -> Rows:
    """Complete, full and short rows; equal targets side by side, so that distances tie between rows."""
    rng = np.random.default_rng(seed)
    queries = canonical(rng.normal(size=(targets, w.vectors.shape[1])).astype(np.float32))
    if targets > 2:
        queries[1] = queries[0]
    exact = squared_distances(queries, w.vectors)
    in_key_order = key_order(w.words) if len(w) else np.empty(0, np.int64)
    squared = rng.random((targets, max_k)) * 4  # what lies beyond the counts is noise
    points = rng.integers(0, max(len(w), 1), size=(targets, max_k)).astype(np.int32)
    counts = np.zeros(targets, np.int64)
    frontiers = np.full(targets, np.inf)
    for i in range(targets):
        order = in_key_order[np.argsort(exact[i, in_key_order], kind="stable")]
        keep = order[:max_k]
        if len(order) > max_k:
            frontiers[i] = exact[i, order[max_k]]
        if len(keep) and rng.random() < 0.3:  # lost some to retractions
            frontiers[i] = min(frontiers[i], exact[i, keep[-1]])
            keep = keep[: rng.integers(0, len(keep))]
        counts[i] = len(keep)
        squared[i, : len(keep)], points[i, : len(keep)] = exact[i, keep], keep
    return Rows(squared, points, counts, frontiers, max_k)


def listed(rows: Rows) -> list[list[tuple[float, int]]]:
    return [
        list(zip(rows.squared[i, :n].tolist(), rows.points[i, :n].tolist(), strict=True))
        for i, n in enumerate(rows.counts.tolist())
    ]


weights_of = {
    "equal": lambda rng, m: np.ones(m),
    "thirds": lambda rng, m: rng.choice([1.0, 2.0, 3.0], m) * m / 7,
    "wild": lambda rng, m: rng.choice([1.0, 0.01, 0.37], m),
}


@many
@given(
    st.integers(0, 90),
    st.integers(1, 12),
    st.integers(1, 40),
    st.integers(0, 10**6),
    budgets,
    st.sampled_from(radii),
    st.sampled_from(sorted(weights_of)),
)
def test_turns_equal_the_obvious_version(n, targets, max_k, seed, budget, radius, weighting):
    w = make_world(n, seed)
    rows = make_rows(w, targets, max_k, seed)
    a = weights_of[weighting](np.random.default_rng(seed), targets)
    fast = turns(rows, a, len(w), budget[0], w.tokens, budget[1], w.spacing(radius))
    slow = oracle.turns(
        listed(rows), rows.frontiers.tolist(), a.tolist(), budget[0], w.tokens.tolist(), budget[1], w.near(radius)
    )
    assert_same(fast, slow)


@pytest.mark.parametrize("radius", [None, 0.3])
def test_many_blocks_decide_like_one_by_one(radius):
    w = make_world(1200, 11, dimension=16, clusters=300, width=0.1)
    rows = make_rows(w, 300, 60, 12)
    fast = turns(rows, np.ones(300), len(w), 900, spacing=w.spacing(radius))
    slow = oracle.turns(listed(rows), rows.frontiers.tolist(), [1.0] * 300, 900, near=w.near(radius))
    assert_same(fast, slow)


@many
@given(st.integers(1, 90), st.integers(1, 8), st.integers(0, 10**6), st.sampled_from(radii), st.integers(1, 60))
def test_a_smaller_budget_is_a_prefix_of_a_larger_one(n, targets, seed, radius, budget):
    w = make_world(n, seed)
    rows = make_rows(w, targets, 30, seed)
    a = weights_of["thirds"](np.random.default_rng(seed), targets)
    small = turns(rows, a, len(w), budget, spacing=w.spacing(radius))
    large = turns(rows, a, len(w), budget + 7, spacing=w.spacing(radius))
    assert large.chosen[: len(small.chosen)].tolist() == small.chosen.tolist()
    assert large.truncated_rows >= small.truncated_rows


@many
@given(st.integers(1, 90), st.integers(1, 8), st.integers(0, 10**6), st.sampled_from(radii), st.integers(1, 60))
def test_without_truncated_rows_the_selection_is_that_of_unlimited_rows(n, targets, seed, radius, budget):
    """`truncated_rows == 0` is a promise about points that the rows do not hold."""
    w = make_world(n, seed)
    rows = make_rows(w, targets, 12, seed)
    cut = turns(rows, np.ones(targets), len(w), budget, spacing=w.spacing(radius))
    queries_rng = np.random.default_rng(seed)
    queries = canonical(queries_rng.normal(size=(targets, w.vectors.shape[1])).astype(np.float32))
    if targets > 2:
        queries[1] = queries[0]
    exact = squared_distances(queries, w.vectors)
    in_key_order = key_order(w.words)
    full = [[(float(exact[i, j]), int(j)) for j in in_key_order] for i in range(targets)]
    full = [sorted(row, key=lambda entry: entry[0]) for row in full]
    whole = oracle.turns(full, [np.inf] * targets, [1.0] * targets, budget, near=w.near(radius))
    if cut.truncated_rows == 0:
        assert cut.chosen.tolist() == whole.chosen
        assert cut.short_of_budget == whole.short_of_budget


@many
@given(st.integers(1, 60), st.integers(0, 10**6), budgets, st.sampled_from(radii), st.randoms(use_true_random=False))
def test_the_numbering_of_points_does_not_matter(n, seed, budget, radius, random):
    w = make_world(n, seed)
    rows = make_rows(w, 5, 20, seed)
    numbers = np.array(random.sample(range(len(w)), len(w)))  # the new number of each point
    back = np.argsort(numbers)
    moved = World(w.vectors[back], [w.keys[j] for j in back], w.u[back], w.p[back], w.tokens[back])
    renumbered = Rows(rows.squared, numbers[rows.points].astype(np.int32), rows.counts, rows.frontiers, rows.max_k)
    one = turns(rows, np.ones(5), len(w), budget[0], w.tokens, budget[1], w.spacing(radius))
    other = turns(renumbered, np.ones(5), len(w), budget[0], moved.tokens, budget[1], moved.spacing(radius))
    assert other.chosen.tolist() == numbers[one.chosen].tolist()
    assert other.truncated_rows == one.truncated_rows


def by_hand(entries: list[list[tuple[float, int]]], frontiers: list[float], max_k: int = 8) -> Rows:
    squared, points = np.zeros((len(entries), max_k)), np.zeros((len(entries), max_k), np.int32)
    for i, row in enumerate(entries):
        for k, (distance, point) in enumerate(row):
            squared[i, k], points[i, k] = distance, point
    return Rows(squared, points, np.array([len(row) for row in entries]), np.array(frontiers), max_k)


def test_a_point_that_two_targets_want_goes_to_the_nearer_and_the_other_takes_its_next():
    rows = by_hand([[(0.3, 0), (0.5, 1)], [(0.2, 0), (0.9, 2)]], [np.inf, np.inf])
    sample = turns(rows, np.ones(2), 3, 2)
    assert sample.chosen.tolist() == [0, 1]
    assert not sample.short_of_budget


def test_a_row_whose_last_point_fills_the_budget_is_not_truncated():
    rows = by_hand([[(0.1, 0), (0.2, 1)]], [0.5])
    filled = turns(rows, np.ones(1), 2, 2)
    assert (filled.chosen.tolist(), filled.truncated_rows, filled.short_of_budget) == ([0, 1], 0, False)
    asked_again = turns(rows, np.ones(1), 2, 3)
    assert (asked_again.chosen.tolist(), asked_again.truncated_rows, asked_again.short_of_budget) == ([0, 1], 1, True)
    complete = turns(by_hand([[(0.1, 0), (0.2, 1)]], [np.inf]), np.ones(1), 2, 3)
    assert (complete.truncated_rows, complete.short_of_budget) == (0, True)


def test_a_row_that_the_end_of_the_budget_spares_is_not_truncated():
    """300 rows; the only point of the last visited one is taken early in the round, but nobody asks it afterwards."""
    entries = [[(0.001 * i, i)] for i in range(299)] + [[(0.9, 0)]]
    rows = by_hand(entries, [1.0] * 300)
    spared = turns(rows, np.ones(300), 299, 299)
    assert (len(spared.chosen), spared.truncated_rows) == (299, 0)
    asked = turns(rows, np.ones(300), 299, 300)
    assert (len(asked.chosen), asked.truncated_rows) == (299, 300)


def test_an_empty_row_that_has_lost_its_points_is_truncated():
    sample = turns(by_hand([[], [(0.1, 0)]], [0.3, np.inf]), np.ones(2), 1, 1)
    assert (sample.chosen.tolist(), sample.truncated_rows) == ([0], 1)


def test_a_target_of_twice_the_weight_has_twice_the_turns():
    light = [(0.1 + k / 100, k) for k in range(8)]
    heavy = [(0.2 + k / 100, 8 + k) for k in range(8)]
    sample = turns(by_hand([light, heavy], [np.inf, np.inf]), np.array([1.0, 2.0]), 16, 6)
    assert sample.chosen.tolist() == [8, 0, 9, 10, 1, 11]


def test_empty_rounds_cost_nothing():
    """The light target has its turn every 2^30 rounds; the heavy one runs out at once."""
    light = [(0.1 + k / 100, k) for k in range(7)]
    sample = turns(by_hand([light, [(0.5, 7)]], [np.inf, np.inf]), np.array([2.0**-30, 1.0]), 8, 8)
    assert sample.chosen.tolist() == [7, 0, 1, 2, 3, 4, 5, 6]


def test_the_first_point_that_does_not_fit_the_tokens_ends_everything():
    rows = by_hand([[(0.1, 0), (0.4, 1)], [(0.2, 2), (0.3, 3)]], [np.inf, np.inf])
    sample = turns(rows, np.ones(2), 4, None, np.array([5, 1, 6, 1]), 10)
    assert sample.chosen.tolist() == [0]
    assert not sample.short_of_budget
    too_long = turns(rows, np.ones(2), 4, None, np.array([5, 1, 11, 1]), 10)
    assert too_long.chosen.tolist() == [0, 3, 1]  # a document longer than the budget is passed over


def test_impossible_inputs_are_refused():
    rows = by_hand([[(0.1, 0)]], [np.inf])
    with pytest.raises(ValueError, match="give budget or token_budget"):
        turns(rows, np.ones(1), 1, None)
    with pytest.raises(ValueError, match="positive and finite"):
        turns(rows, np.zeros(1), 1, 1)


def test_no_rows_give_nothing():
    rows = Rows(np.empty((0, 4)), np.empty((0, 4), np.int32), np.empty(0, np.int64), np.empty(0), 4)
    sample = turns(rows, np.empty(0), 0, 3)
    assert len(sample.chosen) == 0
    assert sample.short_of_budget
    assert sample.truncated_rows == 0
