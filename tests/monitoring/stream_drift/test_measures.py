"""Measures and features against independent computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from tests.monitoring.stream_drift.streams import documents, unit
from tsds_stream.monitoring.stream_drift.features import RANK_STEPS, RIDGE, Bins, Fourier, Ranks, Shares, Standardised
from tsds_stream.monitoring.stream_drift.measures import euclidean, jensen_shannon, psi, wasserstein

SHARES = st.lists(st.floats(0.01, 1), min_size=4, max_size=4).map(lambda parts: np.array(parts) / sum(parts))


@settings(max_examples=50)
@given(SHARES, SHARES)
def test_jensen_shannon_is_that_of_scipy(w, b):
    assert jensen_shannon(w, b) == pytest.approx(jensenshannon(w, b, base=2), abs=1e-7)


def test_jensen_shannon_goes_from_equal_to_disjoint():
    assert jensen_shannon(np.array([0.5, 0.5, 0]), np.array([0.5, 0.5, 0])) == 0
    assert jensen_shannon(np.array([1.0, 0]), np.array([0, 1.0])) == 1


def test_psi_by_hand():
    # 0.2 ln(0.7 / 0.5) - 0.2 ln(0.3 / 0.5)
    assert psi(np.array([0.7, 0.3]), np.array([0.5, 0.5])) == pytest.approx(0.2 * np.log(7 / 3), rel=0.01)
    assert psi(np.array([1.0, 0.0]), np.array([0.5, 0.5])) < 5
    assert psi(np.array([1.0]), np.array([1.0])) == 0


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(-1.5, 1.5), st.floats(0.3, 3))
def test_ramps_give_the_wasserstein_distance_of_ranks(seed, shift, scale):
    random = np.random.default_rng(seed)
    baseline, window = random.standard_normal(2000), shift + scale * random.standard_normal(300)
    ranks = Ranks(baseline)
    expected = wasserstein_distance(ranks.ranks(window), ranks.ranks(baseline))
    # below it only where the difference of the distributions changes its sign within a step
    assert wasserstein(ranks(window).mean(0), ranks(baseline).mean(0)) == pytest.approx(expected, abs=0.3 / RANK_STEPS)


def test_ranks_are_those_of_the_baseline_and_bounded():
    baseline = np.random.default_rng(1).standard_normal(5000)
    ranks = Ranks(baseline)
    values = np.array([-9.0, -0.5, 0.0, 0.7, 9.0])
    expected = [(baseline <= value).mean() for value in values]
    assert ranks.ranks(values) == pytest.approx(expected, abs=0.01)
    assert wasserstein(ranks(np.full(3, 99.0)).mean(0), ranks(baseline).mean(0)) == pytest.approx(0.5, abs=0.01)


def test_ranks_and_bins_of_a_constant_tell_below_same_and_above_apart():
    baseline = np.full(50, 7.0)
    assert Ranks(baseline).ranks(np.array([6.0, 7.0, 8.0])).tolist() == [0.0, 0.5, 1.0]
    numbers = Bins(baseline)(np.array([6.0, 7.0, 8.0])).argmax(1)
    assert len(set(numbers.tolist())) == 3


def test_bins_hold_equal_shares_of_the_baseline():
    baseline = np.random.default_rng(2).lognormal(6, 1, 4000)
    assert Bins(baseline)(baseline).mean(0) == pytest.approx(np.full(10, 0.1), abs=0.005)


def test_shares_count_documents():
    assert Shares(3)(np.array([0, 2, 2, 2])).mean(0).tolist() == [0.25, 0, 0.75]


def test_fourier_features_estimate_the_discrepancy_of_the_kernel():
    first, _ = documents(400, 1)
    second = unit(documents(400, 2)[0] + np.float32([0.7] + [0] * 7))
    fourier = Fourier(first, seed=3)

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        squares = ((a[:, None] - b[None]) ** 2).sum(-1)
        return float(np.exp(-squares / (2 * fourier.width**2)).mean())

    brute = (kernel(first, first) + kernel(second, second) - 2 * kernel(first, second)) ** 0.5
    assert euclidean(fourier(second).mean(0), fourier(first).mean(0)) == pytest.approx(brute, rel=0.25)
    gaps = np.linalg.norm(first[:, None] - first[None], axis=-1)
    assert fourier.width == pytest.approx(np.median(gaps[np.triu_indices(400, 1)]), rel=1e-5)


def test_standardised_means_are_in_units_of_the_spread():
    rows, _ = documents(3000, 4)
    standardised = Standardised(rows, 10, 0)
    covariance = np.cov(rows.astype(np.float64), rowvar=False, bias=True)
    unit_of = np.linalg.inv(covariance + RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance)))
    gap = rows[:100].mean(0).astype(np.float64) - rows.mean(0, dtype=np.float64)
    found = euclidean(standardised(rows[:100]).mean(0), standardised(rows).mean(0))
    assert found == pytest.approx(np.sqrt(gap @ unit_of @ gap), rel=1e-4)


def test_wide_embeddings_are_projected():
    rows = unit(np.random.default_rng(0).standard_normal((60, 700)))
    standardised = Standardised(rows, 5, 0)
    assert (standardised(rows).shape, standardised.unseen().shape) == ((60, 512), (12, 512))
