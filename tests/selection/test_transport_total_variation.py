"""The transport plan of `tv` against its definition, bit for bit, and by hand."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.selection import transport_oracle as oracle
from tests.selection.test_transport import make_rows, random_case
from tsds_stream.selection.total_variation import solve_total_variation
from tsds_stream.selection.transport import distance_price


@settings(max_examples=300)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 40), st.sampled_from([0.0, 0.25, 0.5, 0.3, 2.0]))
def test_plans_are_the_definition_bit_for_bit(seed, queries, max_k, price):
    case = random_case(seed, queries, max_k + 5, max_k)
    m = np.random.default_rng(seed).integers(1, 9, max_k + 5)
    documents = int(m.sum()) + seed % 1000
    plan = solve_total_variation(case.rows, m, case.shares, price, documents)
    expected = oracle.total_variation(
        case.lists(), case.rows.frontiers.tolist(), max_k, m.tolist(), case.shares.tolist(), price, documents
    )
    assert plan.reach.tolist() == expected.reach
    assert plan.truncated.tolist() == expected.truncated
    mass = plan.mass()
    assert list(zip(mass.rows.tolist(), mass.columns.tolist(), mass.values.tolist(), strict=True)) == expected.gamma
    assert mass.probabilities(len(m)).tolist() == expected.p
    assert mass.transport_cost == expected.cost


def test_what_is_hardly_farther_than_the_nearest_gets_crumbs_and_the_nearest_the_rest():
    """λ = .25 reaches the first three of eight documents; the third point has two copies."""
    rows = make_rows([[0.5, 0.5, 0.75, 1.0]], [[0, 1, 2, 3]], [inf], 5)
    plan = solve_total_variation(rows, np.array([1, 1, 2, 1]), np.ones(1), distance_price(0.8, 1.0), 8)
    assert distance_price(0.8, 1.0) == pytest.approx(0.25)
    assert plan.reach.tolist() == [2]  # 0.24999… of rounding: λ is C (1 − alpha)/alpha as computed
    plan = solve_total_variation(rows, np.array([1, 1, 2, 1]), np.ones(1), 0.25, 8)
    assert plan.reach.tolist() == [3]
    assert plan.mass().probabilities(4).tolist() == [5 / 8, 1 / 8, 2 / 8, 0]
    assert plan.mass().transport_cost == 0.5 * 6 / 8 + 0.75 * 2 / 8


def test_a_row_is_truncated_when_what_it_left_out_may_lie_within_reach():
    lists, numbers = [[0.5, 0.75], [0.5, 0.75], [0.5, 0.75], [0.5, 1.0]], [[0, 1], [2, 3], [4, 5], [6, 7]]
    full = make_rows(lists, numbers, [inf, 0.75, 0.8, 1.0], 2)
    plan = solve_total_variation(full, np.ones(8, np.int64), np.ones(4), 0.25, 99)
    assert plan.truncated.tolist() == [False, True, True, False]
    short = make_rows(lists, numbers, [inf, 0.75, 0.8, 1.0], 3)
    plan = solve_total_variation(short, np.ones(8, np.int64), np.ones(4), 0.25, 99)
    assert plan.truncated.tolist() == [False, True, False, False]


def test_a_row_without_points_takes_no_part():
    rows = make_rows([[], [0.5]], [[], [0]], [inf, inf], 4)
    plan = solve_total_variation(rows, np.ones(1, np.int64), np.ones(2), 1.0, 1)
    assert plan.reach.tolist() == [0, 1]
    assert not plan.truncated.any()
    assert plan.mass().probabilities(1).tolist() == [0.5]


def test_fewer_documents_than_one_query_reaches_is_an_error():
    rows = make_rows([[0.5, 0.5]], [[0, 1]], [inf], 4)
    with pytest.raises(ValueError, match="2 documents cannot hold the 4"):
        solve_total_variation(rows, np.array([2, 2]), np.ones(1), 1.0, 2).mass()
