"""Statistical claims about the samples. Every test states its statistic and its error level.

The seeds are fixed, so a test that passes once passes always. The stated alpha is the probability that a correct
sampler would have failed under seeds drawn at random. z limits are two-sided: 4.89 is alpha = 1e-6.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, norm

from tsds_stream.selection.arithmetic import salt_of, uniforms
from tsds_stream.selection.sampling import coordinated, multinomial

ALPHA = 1e-6
LIMIT = float(norm.isf(ALPHA / 2))


def population(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Skewed probabilities, key words, and tokens that grow with p (so that mistakes show up as bias)."""
    rng = np.random.default_rng(seed)
    p = np.exp(rng.normal(size=n) * 1.2)
    words = rng.integers(0, 2**64, size=(n, 2), dtype=np.uint64)
    tokens = np.maximum(1, (20 * p * rng.random(n) * 4)).astype(np.int64)
    return p / p.sum(), words, tokens


def u_of(words: np.ndarray, repeat: int) -> np.ndarray:
    return uniforms(words, salt_of(repeat, "statistics"))


def z_of(differences: np.ndarray) -> np.ndarray:
    """Mean over repeats (axis 0) in units of its standard error."""
    return differences.mean(0) / (differences.std(0, ddof=1) / np.sqrt(len(differences)))


def test_each_point_is_taken_as_often_as_its_inclusion_probability_says():
    """Per point j: D = 1[j taken] - min(1, p_j τ_-j), with τ_-j the k-th smallest rank of the *other* points.

    E[D] = 0 exactly. (For a taken point τ_-j = τ, so its D is 1 - π_j with the π_j that is published.) 4000 seeds,
    n = 60, k = 15; z test per point with Bonferroni over the points, alpha 1e-6 in all.
    """
    n, k, repeats = 60, 15, 4000
    p, words, _ = population(n, 1)
    differences = np.empty((repeats, n))
    for repeat in range(repeats):
        u = u_of(words, repeat)
        sample = coordinated(p, u, words, k)
        tau_without = np.full(n, (u / p)[sample.chosen[-1]])
        tau_without[sample.chosen] = sample.tau
        differences[repeat] = -np.minimum(1, p * tau_without)
        differences[repeat, sample.chosen] = 1 - sample.inclusion
    varying = differences.std(0) > 0
    assert varying.sum() > n / 2
    assert (np.abs(z_of(differences[:, varying])) < norm.isf(ALPHA / 2 / n)).all()
    assert (np.abs(differences[:, ~varying]) == 0).all()


@pytest.mark.parametrize(
    ("budget", "token_budget"), [(30, None), (None, 500), (25, 500)], ids=["documents", "tokens", "both"]
)
def test_weighted_totals_are_unbiased_under_every_kind_of_budget(budget, token_budget):
    """Σ over the sample of max(p, 1/τ)·f against Σ p·f over the eligible, for f = 1, tokens and 1/p.

    (1/p is the number of points.) 4000 seeds, n = 200; z test per total, alpha = 1e-6 each.
    """
    p, words, tokens = population(200, 2)
    eligible = tokens <= token_budget if token_budget else np.ones(200, bool)
    values = np.stack([np.ones(200), tokens.astype(float), 1 / p], 1)
    truth = (p[eligible, None] * values[eligible]).sum(0)
    errors = np.empty((4000, 3))
    for repeat in range(4000):
        sample = coordinated(p, u_of(words, repeat), words, budget, tokens, token_budget)
        mass = np.maximum(p[sample.chosen], 1 / sample.tau)
        errors[repeat] = (mass[:, None] * values[sample.chosen]).sum(0) - truth
        assert sample.weights / mass == pytest.approx(sample.weights.mean() / mass.mean(), rel=1e-12)
    assert (np.abs(z_of(errors)) < LIMIT).all()


def test_filling_the_rest_of_a_token_budget_would_be_biased():
    """The reason for stopping: going on past what does not fit fails the test above, for each of its totals.

    Same statistic, population, τ and limit, 1000 seeds: the control shows that the test above can see such a bias.
    """
    p, words, tokens = population(200, 2)
    eligible = np.flatnonzero(tokens <= 500)
    values = np.stack([np.ones(200), tokens.astype(float), 1 / p], 1)
    truth = (p[eligible, None] * values[eligible]).sum(0)
    errors = np.empty((1000, 3))
    for repeat in range(1000):
        ranks = u_of(words, repeat) / p
        left, taken, tau = 500, [], np.inf
        for j in eligible[np.argsort(ranks[eligible])]:
            if tokens[j] <= left:
                taken.append(j)
                left -= tokens[j]
            else:
                tau = min(tau, ranks[j])
        errors[repeat] = (np.maximum(p[taken], 1 / tau)[:, None] * values[taken]).sum(0) - truth
    assert (np.abs(z_of(errors)) > LIMIT).all()


def test_churn_is_what_the_change_of_probabilities_makes_unavoidable():
    """Mean size of the symmetric difference of samples under p and a perturbed p', same uniforms, k = 100 of 2000.

    Predicted: Σ|π - π'| with the π of both samples. For a fixed threshold that is the exact expectation; a sample of
    fixed size adds and removes a fraction of a document more, so the claim is: |mean - predicted| <= 4.89 standard
    errors of the paired difference + 5% of the prediction. 400 seeds, alpha < 1e-6. Independent resampling of the same
    p changes more than ten times as much.
    """
    n, k, repeats = 2000, 100, 400
    p, words, _ = population(n, 3)
    moved = p * np.random.default_rng(4).uniform(0.9, 1.1, n)
    moved /= moved.sum()
    churn, predicted, independent = np.empty(repeats), np.empty(repeats), np.empty(repeats)
    for repeat in range(repeats):
        u = u_of(words, repeat)
        one, other = coordinated(p, u, words, k), coordinated(moved, u, words, k)
        fresh = coordinated(p, u_of(words, repeat + repeats), words, k)
        churn[repeat] = 2 * (k - len(np.intersect1d(one.chosen, other.chosen)))
        independent[repeat] = 2 * (k - len(np.intersect1d(one.chosen, fresh.chosen)))
        predicted[repeat] = np.abs(np.minimum(1, p * one.tau) - np.minimum(1, moved * other.tau)).sum()
    error = (churn - predicted).std(ddof=1) / np.sqrt(repeats)
    assert abs((churn - predicted).mean()) <= LIMIT * error + 0.05 * predicted.mean()
    assert churn.mean() < independent.mean() / 10


def test_multinomial_counts_follow_the_probabilities():
    """Pearson's chi-square of 50,000 draws over 40 points, 39 degrees of freedom, both tails, alpha = 2e-6 in all."""
    p, words, _ = population(40, 5)
    sample = multinomial(p, words, 11, "statistics", 50_000)
    counts = np.zeros(40)
    counts[sample.chosen] = sample.weights
    expected = 50_000 * p
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert counts.sum() == 50_000
    assert expected.min() > 50
    assert chi2.isf(1 - ALPHA, 39) < statistic < chi2.isf(ALPHA, 39)


def test_multinomial_takes_each_point_as_often_as_its_inclusion_says():
    """Per point: 1[drawn at least once] - (1 - (1-p)^20) over 3000 seeds, Bonferroni over 40 points, alpha = 1e-6."""
    p, words, _ = population(40, 6)
    held = np.zeros((3000, 40))
    inclusion = 1 - (1 - p) ** 20
    for seed in range(3000):
        sample = multinomial(p, words, seed, "statistics", 20)
        held[seed, sample.chosen] = 1
        assert sample.inclusion == pytest.approx(inclusion[sample.chosen], rel=1e-12)
    assert (np.abs(z_of(held - inclusion)) < norm.isf(ALPHA / 2 / 40)).all()
