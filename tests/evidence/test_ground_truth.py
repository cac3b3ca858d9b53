"""The judges of the ground truth: a classifier, principal components, and a linear program."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from benchmarks.evidence.caps import MIX, against_linear_program, cap_trial
from benchmarks.evidence.classifier import PENALTY, Classifier
from benchmarks.evidence.corpora.images import Components
from benchmarks.evidence.measuring import measured
from tsds_stream.comparison.methods import method_of


def test_the_classifier_solves_an_equation_that_can_be_written_down():
    """Two examples at +1 and -1: by symmetry the weights are (w, -w), and PENALTY · w = 1 / (1 + exp(2w))."""
    classifier = Classifier(np.array([[1.0], [-1.0]], np.float32), np.array([0, 1]), 2)
    low, high = 0.0, 10.0
    for _ in range(200):
        w = (low + high) / 2
        low, high = (w, high) if PENALTY * w < 1 / (1 + exp(2 * w)) else (low, w)
    assert classifier.probabilities(np.array([[1.0]], np.float32))[0, 0] == pytest.approx(
        1 / (1 + exp(-2 * w)), abs=1e-5
    )


def test_the_classifier_knows_how_often_a_class_comes_where_features_tell_nothing():
    classifier = Classifier(np.zeros((4, 2), np.float32), np.array([0, 0, 0, 2]), 3)
    assert classifier.probabilities(np.zeros((1, 2), np.float32))[0] == pytest.approx([0.75, 0, 0.25], abs=2e-3)


def test_the_error_is_the_share_of_wrong_answers():
    classifier = Classifier(np.array([[1.0], [-1.0]], np.float32), np.array([0, 1]), 2)
    assert classifier.error(np.array([[2.0], [-2.0], [1.0], [0.5]], np.float32), np.array([0, 1, 1, 1])) == 0.5


def test_components_are_those_of_the_pool_whatever_else_is_embedded():
    random = np.random.default_rng(0)
    pool = random.integers(0, 255, (200, 784), np.uint8)
    other = random.integers(0, 255, (3, 784), np.uint8)
    components = Components(pool)
    embedded = components.embed(pool)
    assert embedded.shape == (200, 64)
    assert np.abs(embedded.mean(0)).max() < 1e-4
    spread = embedded.std(0)
    assert (np.diff(spread) <= 1e-6).all()
    assert components.embed(np.concatenate([pool, other]))[:200] == pytest.approx(embedded, abs=1e-5)


@pytest.mark.parametrize("regularizer", ["kde", "uniform"])
def test_the_plan_is_the_optimum_that_a_linear_program_finds(regularizer):
    optimum = against_linear_program(1000, regularizer, documents=80, targets=10, budget=15)
    assert abs(optimum.excess) < 1e-8
    assert optimum.difference < 1e-6


def test_the_pool_has_the_caps_in_other_shares_than_the_targets():
    trial = cap_trial(1000, documents=700, targets=40, budget=40)
    counts = np.bincount(trial.domains)
    assert counts.tolist() == [20, 40, 80, 560]
    assert trial.shares[:3] == pytest.approx(MIX)


def test_round_robin_finds_the_mix_of_caps_and_random_does_not():
    trial = cap_trial(1000, documents=2000, targets=40, budget=20)
    near, anywhere = (measured(trial, method_of(name))["mix distance"] for name in ("round_robin", "random"))
    assert near < 0.5 < anywhere
