"""The stream reservoir: uniform, order-free, mergeable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from tests.selection import sampling_oracle as oracle
from tsds_stream.selection.arithmetic import key_words, salt_of, uniforms
from tsds_stream.selection.reservoir import StreamReservoir


def make_points(n: int, seed: int) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    keys = [rng.bytes(16) for _ in range(n)]
    return keys, key_words(keys), rng.random((n, 3)).astype(np.float32)


@settings(max_examples=60)
@given(st.integers(1, 200), st.integers(0, 10**6), st.integers(1, 60), st.lists(st.integers(0, 300), max_size=5))
def test_it_holds_the_smallest_uniforms_in_any_order_batching_and_repetition(n, seed, size, cuts):
    keys, words, vectors = make_points(n, seed)
    stream = np.random.default_rng(seed + 1).permutation(np.concatenate([np.arange(n), np.arange(n // 2)]))
    reservoir = StreamReservoir(size, 3, seed=seed)
    for part in np.split(stream, sorted(cuts)):
        reservoir.add(words[part], vectors[part])
    u = uniforms(words, salt_of(seed, "reservoir/default"))
    expected = oracle.reservoir(list(zip(u.tolist(), keys, strict=True)), size)
    assert reservoir.words.tolist() == key_words(expected).tolist()
    assert reservoir.vectors.tolist() == vectors[[keys.index(key) for key in expected]].tolist()
    assert len(reservoir) == len(expected)


def test_reservoirs_of_shards_merge_into_that_of_the_whole():
    _, words, vectors = make_points(500, 1)
    whole, left, right = (StreamReservoir(64, 3, seed=9, name="a") for _ in range(3))
    whole.add(words, vectors)
    left.add(words[:300], vectors[:300])
    right.add(words[200:], vectors[200:])
    left.merge(right)
    assert left.words.tolist() == whole.words.tolist()
    assert left.vectors.tolist() == whole.vectors.tolist()
    with pytest.raises(ValueError, match="equal size, seed and name"):
        left.merge(StreamReservoir(64, 3, seed=8, name="a"))


def test_its_arrays_restore_it():
    _, words, vectors = make_points(200, 2)
    reservoir = StreamReservoir(32, 3, seed=4)
    reservoir.add(words[:100], vectors[:100])
    restored = StreamReservoir(32, 3, seed=4)
    restored.add(**reservoir.arrays())
    for r in (reservoir, restored):
        r.add(words[100:], vectors[100:])
    assert restored.words.tolist() == reservoir.words.tolist()


def test_a_reservoir_without_room_is_refused():
    with pytest.raises(ValueError, match="at least one point"):
        StreamReservoir(0, 3)


def test_every_point_has_the_same_chance():
    """Chi-square over n = 300 points, size k = 30, R = 1500 seeds; alpha = 1e-6, fixed seeds.

    c_j counts how often point j is held. Under simple random sampling without replacement
    Σ (c_j - R k/n)² / (R k/n (1 - k/n)) · (n-1)/n is asymptotically chi-square with n-1 degrees of freedom.
    """
    n, size, repeats = 300, 30, 1500
    _, words, vectors = make_points(n, 3)
    counts = np.zeros(n)
    position = {tuple(word): j for j, word in enumerate(words.tolist())}
    for seed in range(repeats):
        reservoir = StreamReservoir(size, 3, seed=seed)
        reservoir.add(words, vectors)
        counts[[position[tuple(word)] for word in reservoir.words.tolist()]] += 1
    share = size / n
    statistic = ((counts - repeats * share) ** 2).sum() / (repeats * share * (1 - share)) * (n - 1) / n
    assert counts.sum() == repeats * size
    assert chi2.isf(1 - 1e-6, n - 1) < statistic < chi2.isf(1e-6, n - 1)
