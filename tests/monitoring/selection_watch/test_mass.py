"""Total variation and turnover, against sums over dictionaries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsds_stream.monitoring.selection_watch.mass import Mass, total_variation, turnover

keys = st.integers(0, 2**64 - 1) | st.integers(0, 12)
states = st.tuples(st.dictionaries(keys, st.floats(0.01, 1.0), max_size=12), st.sets(keys, max_size=12))


def mass_of(p: dict[int, float], members: set[int]) -> Mass:
    total = sum(p.values()) or 1.0
    words = sorted(p)
    values = np.array([p[word] / total for word in words])
    return Mass(np.array(words, np.uint64), values, np.array(sorted(members), np.uint64))


@given(states, states)
def test_they_are_those_of_dictionaries(one, other):
    a, b = mass_of(*one), mass_of(*other)
    p, q = (dict(zip(m.words.tolist(), m.probabilities.tolist(), strict=True)) for m in (a, b))
    found = total_variation(a, b)
    if p and q:
        assert found == pytest.approx(0.5 * sum(abs(p.get(k, 0) - q.get(k, 0)) for k in p.keys() | q.keys()))
    else:
        assert found is None
    union = one[1] | other[1]
    expected = 1 - len(one[1] & other[1]) / len(union) if union else None
    assert turnover(a, b) == (None if expected is None else pytest.approx(expected))
    assert total_variation(b, a) == (None if found is None else pytest.approx(found))


def test_a_mass_is_thinned_by_key_so_that_two_of_them_keep_the_same_points():
    rng = np.random.default_rng(0)
    words = np.sort(rng.integers(0, 2**64, 60_000, dtype=np.uint64))
    p, q = rng.random(60_000), rng.random(60_000)
    a = Mass(words, p / p.sum(), words[::2])
    b = Mass(words, q / q.sum(), words[::3])
    for kept in (8_000, 30_000):
        thin = a.thinned(kept)
        assert len(thin.words) <= kept * 1.05
        assert len(thin.members) == pytest.approx(thin.share * len(a.members), rel=0.1)
        assert total_variation(thin, b) == pytest.approx(total_variation(a, b), rel=0.03)
        assert turnover(thin, b) == pytest.approx(turnover(a, b), rel=0.03)
        assert total_variation(thin, a.thinned(5_000)) == 0


def test_a_small_mass_is_kept_as_it_is():
    mass = mass_of({1: 0.5, 2**63: 0.5}, {1})
    assert mass.thinned() is mass
