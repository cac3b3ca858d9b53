"""Intervals: quantiles as scipy has them, and a coverage that holds what it promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tsds_stream.comparison.intervals import interval_of, t_quantile


@pytest.mark.parametrize("degrees", [1, 1.5, 2, 3, 4, 5, 7, 9, 29, 100, 1000, 12345.5, 1e6])
@pytest.mark.parametrize("probability", [0.5, 0.501, 0.6, 0.75, 0.9, 0.95, 0.975, 0.995, 0.9999, 1 - 1e-9])
def test_quantiles_are_those_of_scipy(degrees: float, probability: float):
    expected = stats.t.ppf(probability, degrees)
    assert t_quantile(probability, degrees) == pytest.approx(expected, rel=1e-8, abs=1e-12)
    assert t_quantile(1 - probability, degrees) == pytest.approx(
        stats.t.ppf(1 - probability, degrees), rel=1e-7, abs=1e-9
    )


def test_near_the_middle_a_quantile_is_the_probability_over_the_density():
    """Where scipy is wrong in the fifth digit."""
    assert t_quantile(0.500001, 4) == pytest.approx(1e-6 / stats.t.pdf(0, 4), rel=1e-9)


def test_known_quantiles():
    assert t_quantile(0.975, 1) == pytest.approx(12.7062047361747)
    assert t_quantile(0.975, 4) == pytest.approx(2.77644510519779)
    assert t_quantile(0.975, 1e9) == pytest.approx(stats.norm.ppf(0.975), rel=1e-8)


@pytest.mark.parametrize(("probability", "degrees"), [(0, 3), (1, 3), (0.5, 0.5), (0.5, -1), (float("nan"), 3)])
def test_impossible_questions_are_refused(probability: float, degrees: float):
    with pytest.raises(ValueError, match="no quantile"):
        t_quantile(probability, degrees)


def test_an_interval_is_mean_and_quantile_times_standard_error():
    values = [0.1, 0.3, -0.2, 0.4, 0.25]
    found = interval_of(values)
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(values), low, high))
    assert not found.decided
    assert interval_of([0.1, 0.11, 0.12]).decided
    assert interval_of([-0.1, -0.11, -0.12]).decided


def test_overlapping_splits_widen_it():
    values = [0.1, 0.3, -0.2, 0.4, 0.25]
    plain, wide = interval_of(values), interval_of(values, correction=0.3 / 0.7)
    assert plain.half is not None
    assert wide.half == pytest.approx(plain.half * np.sqrt((0.2 + 0.3 / 0.7) / 0.2))


def test_one_value_has_no_interval_and_decides_nothing():
    found = interval_of([0.5])
    assert (found.mean, found.low, found.high, found.half) == (0.5, None, None, None)
    assert not found.decided


def test_nineteen_of_twenty_intervals_hold_the_mean():
    random = np.random.default_rng(0)
    samples = random.normal(1.0, 3.0, (4000, 5))
    held = [found.low < 1.0 < found.high for found in map(interval_of, samples.tolist())]
    assert np.mean(held) == pytest.approx(0.95, abs=0.012)
