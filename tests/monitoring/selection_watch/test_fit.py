"""Trend, coverage and shares on numbers whose answers are known."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from tests.monitoring.selection_watch.cases import BEGAN, MINUTE, SECOND
from tsds_stream.monitoring.selection_watch.coverage import Coverage, outlying
from tsds_stream.monitoring.selection_watch.shares import group_document, source_document
from tsds_stream.monitoring.selection_watch.trend import Trend


def trend_of(costs, apart=20 * SECOND):
    trend = Trend()
    for k, cost in enumerate(costs):
        trend.add(BEGAN + k * apart, cost)
    return trend


def test_a_cost_that_falls_by_a_tenth_per_hour_says_so():
    costs = [0.8 * 0.9 ** (k / 180) for k in range(120)]
    assert trend_of(costs).per_hour() == pytest.approx(-0.1)


def test_a_few_wild_points_do_not_move_the_trend():
    costs = [0.8 * 1.2 ** (k / 180) for k in range(120)]
    for k in (5, 50, 51, 100):
        costs[k] *= 10
    assert trend_of(costs).per_hour() == pytest.approx(0.2, rel=0.05)


def test_a_trend_needs_ten_points_over_five_minutes():
    assert trend_of([1.0] * 9, apart=MINUTE).per_hour() is None
    assert trend_of([1.0] * 15, apart=20 * SECOND).per_hour() is None
    assert trend_of([1.0] * 16, apart=20 * SECOND).per_hour() == 0
    assert trend_of([1.0] * 100, apart=SECOND).per_hour() is None


def test_a_trend_forgets_after_an_hour_and_stays_small():
    trend = trend_of([exp(-k) for k in range(60)] + [1.0] * 241, apart=15 * SECOND)
    assert len(trend.points) == 241
    assert trend.per_hour() == 0


def test_a_cost_that_explodes_is_still_a_number():
    assert np.isfinite(trend_of([exp(5.0 * k) for k in range(30)]).per_hour() or np.nan)


def test_targets_without_documents_of_their_kind_are_outliers():
    rng = np.random.default_rng(1)
    served = rng.normal(0.8, 0.08, 160)
    coverage = Coverage(None)
    distances = np.concatenate([served, np.full(40, 1.3)])
    coverage.take(distances, final=True)
    assert sorted(coverage.uncovered(distances).tolist()) == list(range(160, 200))


def test_a_distance_is_frozen_with_the_first_full_selection():
    coverage = Coverage(None)
    coverage.take(np.array([1.0, 1.1, 1.2]), final=False)
    early = coverage.distance
    coverage.take(np.array([0.5, 0.6, 0.7]), final=True)
    final = coverage.distance
    coverage.take(np.array([5.0, 6.0, 7.0]), final=True)
    assert early is not None
    assert final == coverage.distance < early
    assert coverage.uncovered(np.array([0.6, 5.0, 7.0, np.nan])).tolist() == [2, 1, 3]


def test_a_configured_distance_stands():
    coverage = Coverage(0.9)
    coverage.take(np.array([2.0, 3.0]), final=True)
    assert coverage.uncovered(np.array([0.9, 0.91])).tolist() == [1]


def test_targets_that_are_selected_themselves_do_not_narrow_the_distance():
    assert outlying(np.array([0.0] * 9 + [0.8])) == 1.0
    assert outlying(np.zeros(5)) is None
    assert outlying(np.full(5, np.nan)) is None
    coverage = Coverage(None)
    coverage.take(np.zeros(5), final=True)
    assert not coverage.frozen
    assert len(coverage.uncovered(np.zeros(5))) == 0


def test_groups_are_compared_with_what_was_asked():
    groups, distance = group_document(
        ["b", "a", "b"], np.array([1.0, 2.0, 1.0]), np.array([0, 1, 2, 2, -1], np.int32), np.array([1.0, 1, 1, 1, 7])
    )
    assert groups == [
        {"group": "a", "asked": 0.5, "selected": 0.25},
        {"group": "b", "asked": 0.5, "selected": 0.75},
    ]
    assert distance == 0.25


def test_an_empty_selection_has_no_shares():
    groups, distance = group_document(["a"], np.ones(1), np.empty(0, np.int32), np.empty(0))
    assert groups == [{"group": "a", "asked": 1.0, "selected": None}]
    assert distance is None
    assert source_document([], np.empty(0, np.int32), np.empty(0)) == ([], None)


def test_sources_are_those_that_are_given():
    names = [f"s{k}" for k in range(12)]
    sources, herfindahl = source_document(names, np.array([*range(12), 0, -1], np.int32), np.ones(14))
    assert len(sources) == 10
    assert sources[0] == {"source": "s0", "share": pytest.approx(2 / 13)}
    assert herfindahl == pytest.approx((4 + 11) / 169)
