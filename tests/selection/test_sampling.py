"""Coordinated, top and multinomial samples against the obvious versions, and what must hold for any input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.selection import sampling_oracle as oracle
from tests.selection.sampling_cases import (
    a_radius_equal_to_some_distance,
    assert_same,
    budgets,
    make_world,
    radii,
)
from tsds_stream.selection.arithmetic import canonical, counted_uniforms, key_words, keys_of, squared_norms
from tsds_stream.selection.sampling import coordinated, inclusion_probabilities, multinomial, top
from tsds_stream.selection.spacing import Spacing

many = settings(max_examples=120)


@many
@given(st.integers(0, 120), st.integers(0, 10**6), budgets, st.sampled_from(radii))
def test_coordinated_equals_the_obvious_version(n, seed, budget, radius):
    w = make_world(n, seed)
    fast = coordinated(w.p, w.u, w.words, budget[0], w.tokens, budget[1], w.spacing(radius))
    slow = oracle.coordinated(
        w.p.tolist(), w.u.tolist(), w.keys, budget[0], w.tokens.tolist(), budget[1], w.near(radius)
    )
    assert_same(fast, slow)


@many
@given(st.integers(0, 120), st.integers(0, 10**6), budgets, st.sampled_from(radii))
def test_top_equals_the_obvious_version(n, seed, budget, radius):
    w = make_world(n, seed)
    fast = top(w.p, w.words, budget[0], w.tokens, budget[1], w.spacing(radius))
    slow = oracle.top(w.p.tolist(), w.keys, budget[0], w.tokens.tolist(), budget[1], w.near(radius))
    assert_same(fast, slow)


@many
@given(st.integers(0, 60), st.integers(0, 10**6), budgets)
def test_multinomial_equals_the_obvious_version(n, seed, budget):
    w = make_world(n, seed)
    fast = multinomial(w.p, w.words, seed, "set", budget[0], w.tokens, budget[1])
    u = counted_uniforms(seed, "set", 3001)
    slow = oracle.multinomial(w.p.tolist(), lambda t: float(u[t]), w.keys, budget[0], w.tokens.tolist(), budget[1])
    assert fast.inclusion == pytest.approx(slow.inclusion, rel=1e-6)
    slow.inclusion = fast.inclusion.tolist()
    assert_same(fast, slow)


@pytest.mark.parametrize("radius", [0.25, 0.6, None])
def test_many_blocks_decide_like_one_by_one(radius):
    """More points and more taken ones than any internal block, at a radius that some pairs meet exactly."""
    w = make_world(1500, 7, dimension=24, clusters=700, width=0.1)
    if radius == 0.6:
        radius = a_radius_equal_to_some_distance(w.vectors, 3)
    fast = coordinated(w.p, w.u, w.words, 1200, spacing=w.spacing(radius))
    slow = oracle.coordinated(w.p.tolist(), w.u.tolist(), w.keys, 1200, near=w.near(radius))
    assert_same(fast, slow)


@many
@given(st.integers(1, 100), st.integers(0, 10**6), budgets, st.sampled_from(radii), st.randoms(use_true_random=False))
def test_the_order_of_the_arrays_does_not_matter(n, seed, budget, radius, random):
    w = make_world(n, seed)
    permutation = np.array(random.sample(range(len(w)), len(w)), dtype=np.int64)
    spacing = w.spacing(radius)
    moved = None if spacing is None else Spacing(w.vectors[permutation], w.norms[permutation], radius)
    p, u, words, tokens = w.p[permutation], w.u[permutation], w.words[permutation], w.tokens[permutation]
    pairs = [
        (
            coordinated(w.p, w.u, w.words, budget[0], w.tokens, budget[1], spacing),
            coordinated(p, u, words, budget[0], tokens, budget[1], moved),
        ),
        (
            top(w.p, w.words, budget[0], w.tokens, budget[1], spacing),
            top(p, words, budget[0], tokens, budget[1], moved),
        ),
        (
            multinomial(w.p, w.words, 5, "x", budget[0], w.tokens, budget[1]),
            multinomial(p, words, 5, "x", budget[0], tokens, budget[1]),
        ),
    ]
    for one, other in pairs:
        assert permutation[other.chosen].tolist() == one.chosen.tolist()
        assert other.weights.tolist() == one.weights.tolist()
        assert other.inclusion.tolist() == one.inclusion.tolist()
        assert other.tau == one.tau
        assert other.short_of_budget == one.short_of_budget


@many
@given(st.integers(1, 100), st.integers(0, 10**6), st.integers(-40, 40), st.integers(1, 120))
def test_scaling_all_probabilities_changes_nothing(n, seed, exponent, budget):
    w = make_world(n, seed)
    scale = 2.0**exponent
    one = coordinated(w.p, w.u, w.words, budget)
    other = coordinated(w.p * scale, w.u, w.words, budget)
    assert other.chosen.tolist() == one.chosen.tolist()
    assert other.inclusion.tolist() == one.inclusion.tolist()
    assert other.weights.tolist() == one.weights.tolist()


def test_tau_is_the_rank_of_the_first_that_was_not_taken():
    w = make_world(50, 1)
    sample = coordinated(w.p, w.u, w.words, 10)
    assert sample.tau == sorted((w.u / w.p).tolist())[10]
    assert inclusion_probabilities(w.p, sample.tau)[sample.chosen].tolist() == sample.inclusion.tolist()
    assert sample.weights.mean() == pytest.approx(1, abs=1e-14)
    unbiased = np.maximum(w.p[sample.chosen], 1 / sample.tau)
    assert sample.weights / unbiased == pytest.approx(np.full(10, sample.weights[0] / unbiased[0]))


@pytest.mark.parametrize("spare", [0, 1, 1000])
def test_a_support_within_the_budget_is_published_whole_and_never_padded(spare):
    w = make_world(50, 2)
    sample = coordinated(w.p, w.u, w.words, 50 + spare)
    assert sorted(sample.chosen.tolist()) == list(range(50))
    assert sample.tau is None
    assert sample.short_of_budget
    assert (sample.inclusion == 1).all()
    assert sample.weights == pytest.approx(w.p[sample.chosen] / w.p.mean())


def test_an_empty_support_gives_an_empty_sample():
    w = make_world(0, 3)
    for sample in (
        coordinated(w.p, w.u, w.words, 5),
        coordinated(w.p, w.u, w.words, 5, spacing=w.spacing(0.3)),
        top(w.p, w.words, 5),
        multinomial(w.p, w.words, 0, "x", 5),
    ):
        assert len(sample.chosen) == len(sample.weights) == len(sample.inclusion) == 0
        assert sample.tau is None
        assert sample.short_of_budget


def test_a_token_budget_ends_at_the_first_document_that_does_not_fit():
    words = make_world(4, 4).words
    p, u = np.ones(4), np.array([0.1, 0.2, 0.3, 0.4])
    sample = coordinated(p, u, words, None, np.array([5, 6, 1, 1]), 10)
    assert sample.chosen.tolist() == [0]  # not 2 and 3, which would still fit
    assert sample.tau == 0.2
    assert not sample.short_of_budget


def test_a_document_longer_than_the_whole_token_budget_does_not_exist():
    words = make_world(4, 4).words
    p, u = np.ones(4), np.array([0.1, 0.2, 0.3, 0.4])
    tokens = np.array([11, 4, 6, 1])
    sample = coordinated(p, u, words, None, tokens, 10)
    assert sample.chosen.tolist() == [1, 2]
    assert sample.tau == 0.4
    assert top(p, words, None, tokens, 11).chosen.tolist().count(0) <= 1
    assert multinomial(p, words, 0, "x", 100, tokens, 10).chosen.tolist().count(0) == 0


def test_of_two_budgets_the_first_one_reached_ends():
    words = make_world(4, 4).words
    p, u, tokens = np.ones(4), np.array([0.1, 0.2, 0.3, 0.4]), np.array([2, 2, 2, 2])
    by_documents = coordinated(p, u, words, 1, tokens, 4)
    by_tokens = coordinated(p, u, words, 3, tokens, 4)
    assert (by_documents.chosen.tolist(), by_documents.tau) == ([0], 0.2)
    assert (by_tokens.chosen.tolist(), by_tokens.tau) == ([0, 1], 0.3)


def test_multinomial_draws_end_even_when_documents_have_no_tokens():
    w = make_world(10, 5)
    sample = multinomial(w.p, w.words, 0, "x", None, np.zeros(10, np.int64), 2000)
    assert sample.weights.sum() == 2000
    assert sample.approximate_inclusion


def test_spacing_is_strict_and_leaves_no_pair_nearer():
    vectors = canonical(np.array([[1, 0], [-1, 0], [0, 1]], np.float32))
    words, norms = key_words(keys_of(vectors)), squared_norms(vectors)
    p, u = np.ones(3), np.array([0.1, 0.2, 0.3])
    touching = coordinated(p, u, words, 3, spacing=Spacing(vectors, norms, 2.0))
    assert touching.chosen.tolist() == [0, 1]  # exactly 2 apart is far enough, the square root of 2 is not
    assert touching.approximate_inclusion
    beyond = coordinated(p, u, words, 3, spacing=Spacing(vectors, norms, float(np.nextafter(2.0, 3.0))))
    assert beyond.chosen.tolist() == [0]


def test_a_pair_at_the_radius_is_decided_exactly_however_much_lies_between():
    """Two orthogonal points, d² = 2, with more points between them than are looked at together."""
    fillers = np.stack([np.ones(400), np.linspace(1e-3, 1e-2, 400)], 1)  # all near the second point
    first_two, last = [[-0.6, -0.8], [1, 0]], [[0, 1]]
    vectors = canonical(np.concatenate([first_two, fillers, last]).astype(np.float32))
    words, norms = key_words(keys_of(vectors)), squared_norms(vectors)
    p, u = np.ones(403), np.linspace(0.1, 0.9, 403)
    above, below = float(np.sqrt(2.0)), float(np.nextafter(np.sqrt(2.0), 0.0))
    assert below * below < 2.0 < above * above
    near = coordinated(p, u, words, 403, spacing=Spacing(vectors, norms, above))
    far = coordinated(p, u, words, 403, spacing=Spacing(vectors, norms, below))
    assert near.chosen.tolist() == [0, 1]
    assert far.chosen.tolist() == [0, 1, 402]


def test_samples_of_shards_merge_into_the_sample_of_the_whole():
    """A bottom-k sketch: the sample of the union of the shards' samples (each with its next point) is the sample."""
    w = make_world(300, 6)
    whole = coordinated(w.p, w.u, w.words, 40)
    kept = []
    for shard in range(3):
        mine = np.arange(shard, 300, 3)
        kept += mine[coordinated(w.p[mine], w.u[mine], w.words[mine], 41).chosen].tolist()
    merged = np.array(kept)
    sample = coordinated(w.p[merged], w.u[merged], w.words[merged], 40)
    assert merged[sample.chosen].tolist() == whole.chosen.tolist()
    assert sample.weights.tolist() == whole.weights.tolist()
    assert sample.tau == whole.tau


def test_impossible_inputs_are_refused():
    w = make_world(5, 8)
    with pytest.raises(ValueError, match="give budget or token_budget"):
        coordinated(w.p, w.u, w.words, None)
    with pytest.raises(ValueError, match="tokens of every point"):
        top(w.p, w.words, None, None, 10)
    with pytest.raises(ValueError, match="positive and finite"):
        multinomial(w.p * [0, 1, 1, 1, 1], w.words, 0, "x", 3)
    with pytest.raises(ValueError, match="positive and finite"):
        coordinated(w.p * [np.nan, 1, 1, 1, 1], w.u, w.words, 3)
