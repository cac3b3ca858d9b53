"""What is measured of a selection, against sums written out."""

from __future__ import annotations

from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest

from tests.comparison.world import pool_and_targets
from tsds_stream import select
from tsds_stream.comparison.language_model import KneserNey
from tsds_stream.comparison.measures import closeness, distinct_share, log_perplexity, overlap
from tsds_stream.comparison.pool import Pool, Targets
from tsds_stream.comparison.vocabulary import Vocabulary
from tsds_stream.selection.settings import SelectorConfig


def on_a_line(angles: list[float]) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)] for angle in angles], np.float32)


def chord(angle: float) -> float:
    return 2 * np.sin(abs(angle) / 2)


def test_coverage_is_the_nearest_and_cost_a_targets_share():
    selected = Pool.of(list("abcde"), on_a_line([0.1, 0.2, 0.3, 1.0, 1.1]), np.ones(5))
    targets = Targets.of(["s", "t"], on_a_line([0.0, 1.0]), [3.0, 1.0])
    found = closeness(selected, targets)
    assert found.coverage == pytest.approx((3 * chord(0.1) + 1 * 0.0) / 4, abs=1e-6)
    first = (chord(0.1) + chord(0.2) + 0.5 * chord(0.3)) / 2.5  # five documents for two targets
    second = (0.0 + chord(0.1) + 0.5 * chord(0.7)) / 2.5
    assert found.transport_cost == pytest.approx((3 * first + second) / 4, abs=1e-6)


def test_the_cost_is_that_of_the_products_plan_with_the_same_reach():
    pool, targets = pool_and_targets(120, 10)
    targets = replace(targets, weights=np.ones(10))
    found = closeness(pool, targets)
    costs = {}
    for alpha in np.linspace(0.05, 0.95, 60).tolist():
        revision = select(pool.vectors, targets.given, budget=5, regularizer="uniform", alpha=alpha)
        costs[revision.s] = revision.transport_cost
    assert costs[120 / 10] == pytest.approx(found.transport_cost, rel=1e-9)


def test_with_fewer_documents_than_targets_the_cost_is_the_coverage():
    pool, targets = pool_and_targets(3, 10)
    found = closeness(pool, targets)
    assert found.transport_cost == found.coverage


def test_perplexity_is_weighted_by_target():
    pool, targets = pool_and_targets(80, 6)
    assert pool.words is not None
    assert targets.words is not None
    vocabulary = Vocabulary.of(targets.words, pool.words)
    model = KneserNey(vocabulary, pool.words)
    total = predictions = 0.0
    for row, weight in enumerate(targets.weights.tolist()):
        logs, count = model.score(targets.words.take(np.array([row])))
        total += weight * logs[0]
        predictions += weight * count[0]
    assert log_perplexity(pool, targets, vocabulary) == pytest.approx(-total / predictions)
    assert 0 < log_perplexity(pool, targets, vocabulary) < log(vocabulary.size)


def test_the_distinct_share_counts_a_cluster_of_copies_once():
    selected = Pool.of(list("abcdef"), on_a_line([0.0, 0.01, 0.02, 1.0, 1.01, 2.0]), np.ones(6))
    assert distinct_share(selected, 0.1) == pytest.approx(3 / 6)
    assert distinct_share(selected, 0.0) == 1.0


def test_overlap_goes_by_embedding_not_by_name():
    one = Pool.of(["a", "b", "c"], on_a_line([0.0, 1.0, 2.0]), np.ones(3))
    other = Pool.of(["x", "y"], on_a_line([2.0, 0.0]), np.ones(2))
    assert overlap(one.keys, other.keys) == pytest.approx(2 / 3)
    assert overlap(other.keys, one.keys) == 1.0


def test_measures_are_the_same_in_any_order_of_the_documents():
    pool, targets = pool_and_targets(60, 6)
    other = pool.part(np.random.default_rng(0).permutation(60))
    assert closeness(pool, targets) == closeness(other, targets)
    assert distinct_share(pool, 0.3) == distinct_share(other, 0.3)


def test_a_perplexity_without_texts_is_refused():
    pool, targets = pool_and_targets()
    assert pool.words is not None
    assert targets.words is not None
    vocabulary = Vocabulary.of(targets.words, pool.words)
    with pytest.raises(ValueError, match="needs the texts"):
        log_perplexity(replace(pool, words=None), targets, vocabulary)


def test_distances_are_those_of_unit_vectors():
    assert SelectorConfig().distance_scale == 1.0
    selected = Pool.of(["a"], np.array([[5.0, 0.0]], np.float32), np.ones(1))
    targets = Targets.of(["t"], np.array([[0.0, 0.3]], np.float32))
    assert closeness(selected, targets).coverage == pytest.approx(sqrt(2))
