"""The first figure of the paper (arXiv 2410.11303) as numbers: one query, five candidates, three of them in a cluster.

All five lie at distance 1 from the query. The three of the cluster lie at d^2 = 3/4 from one another, the other two at
d^2 = 3/2 from everything. With sigma = 1 the kernel 1 - d^2 / sigma^2 is 1/4 between two of the cluster, else 0:

    density   cluster 1 + 2 * 1/4 = 3/2,  others 1
    weights   cluster 1 / (3/2)   = 2/3,  others 1        (uniform: all 1)

At equal distances nothing is gained by keeping the mass on few, so the plan spreads over all of them in proportion to
their weights, whose sum is 3 * 2/3 + 2 = 4 (uniform: 5):

    kde       cluster (2/3) / 4 = 1/6 each, together 1/2;  others 1/4 each
    uniform   1/5 each, the cluster together 3/5
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from tsds_stream import Revision, Selector, SelectorConfig, select

CLUSTER = ["a", "b", "c"]
OTHERS = ["d", "e"]
SETTINGS = {"budget": 5, "sigma": 1.0, "max_k": 16, "mode": "coordinated"}


def figure() -> tuple[np.ndarray, np.ndarray]:
    """(5, 19) candidates and (1, 19) query. Every coordinate is a multiple of 1/4 and every norm 1: all is exact.

    A candidate is half the query (so that x.q = 1/2 and d = 1), a part that its cluster shares, and a part of its own.
    """
    candidates = np.zeros((5, 19), np.float32)
    candidates[:, 0] = 1 / 2
    part = np.array([2, 1, 1]) / 4  # squared norm 3/8: two of the cluster have the product 1/4 + 3/8 = 5/8
    for i in range(3):
        candidates[i, 1:4] = part
        candidates[i, 4 + 3 * i : 7 + 3 * i] = part
    for i in range(2):
        candidates[3 + i, 13 + 3 * i : 16 + 3 * i] = 1 / 2
    query = np.zeros((1, 19), np.float32)
    query[0, 0] = 1
    return candidates, query


def by_id(revision: Revision, values: np.ndarray) -> dict[str, float]:
    return dict(zip(revision.ids, values.tolist(), strict=True))


def selected(**settings: object) -> Revision:
    candidates, query = figure()
    return select(candidates, query, ids=CLUSTER + OTHERS, **{**SETTINGS, **settings})


def test_the_distances_of_the_figure_are_exact():
    candidates, query = figure()
    squared = 2 - 2 * candidates @ candidates.T
    assert (np.diag(candidates @ candidates.T) == 1).all()
    assert (2 - 2 * candidates @ query.T == 1).all()
    assert (squared[:3, :3] == 0.75 * (1 - np.eye(3))).all()
    assert (squared[3:, :3] == 1.5).all()
    assert squared[3, 4] == 1.5


def test_each_of_the_cluster_has_density_three_halves():
    revision = selected()
    assert by_id(revision, revision.densities) == {"a": 1.5, "b": 1.5, "c": 1.5, "d": 1.0, "e": 1.0}


@pytest.mark.parametrize("alpha", ["auto", 0.01, 0.5, 0.99])
def test_with_density_the_cluster_of_three_counts_as_two(alpha: object):
    revision = selected(alpha=alpha)
    assert revision.exact
    assert revision.transport_cost == pytest.approx(1.0, abs=1e-15)
    p = by_id(revision, revision.probabilities)
    assert p == pytest.approx({"a": 1 / 6, "b": 1 / 6, "c": 1 / 6, "d": 1 / 4, "e": 1 / 4}, abs=1e-15)
    assert sum(p[name] for name in CLUSTER) == pytest.approx(1 / 2, abs=1e-15)


@pytest.mark.parametrize("alpha", ["auto", 0.01, 0.5, 0.99])
def test_without_density_the_cluster_takes_three_fifths(alpha: object):
    revision = selected(regularizer="uniform", alpha=alpha)
    assert by_id(revision, revision.probabilities) == pytest.approx(dict.fromkeys("abcde", 1 / 5), abs=1e-15)


def test_the_likeliest_are_those_that_stand_alone():
    assert selected(mode="top", budget=2, alpha=0.01).ids == OTHERS


def test_a_cluster_that_shrinks_to_a_point_counts_as_one():
    """Three copies are one point of multiplicity 3 and density 3, so of weight 1, like any other."""
    candidates, query = figure()
    candidates[1:3] = candidates[0]
    revision = select(candidates, query, ids=CLUSTER + OTHERS, **SETTINGS)
    assert revision.ids == ["a", "d", "e"]
    assert revision.multiplicities.tolist() == [3, 1, 1]
    assert revision.densities.tolist() == [3.0, 1.0, 1.0]
    assert revision.probabilities == pytest.approx(np.full(3, 1 / 3), abs=1e-15)


def test_the_figure_is_the_same_in_any_order_of_arrival():
    candidates, query = figure()
    digests = set()
    for order in permutations(range(5)):
        selector = Selector(query, SelectorConfig.model_validate(SETTINGS))
        for k in order:
            selector.add([(CLUSTER + OTHERS)[k]], candidates[k : k + 1])
        revision = selector.refresh()
        assert revision is not None
        assert revision.exact
        digests.add(revision.digest)
    assert digests == {selected().digest}
