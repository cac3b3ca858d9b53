"""Groups of targets: named, or clusters that depend on nothing but the targets."""

from __future__ import annotations

import numpy as np

from tests.monitoring.stream_drift.streams import documents, topics
from tsds_stream.monitoring.stream_drift import group_targets

IDS = [f"t{k:03}" for k in range(120)]


def test_named_groups_are_kept_and_the_rest_is_other():
    vectors = topics(4)
    assert group_targets(["a", "b", "c", "d"], vectors, {"a": "law", "b": None, "c": "law"}) == [
        "law",
        "other",
        "law",
        "other",
    ]


def test_there_are_at_most_32_groups():
    ids = [str(k) for k in range(100)]
    labels = group_targets(ids, topics(100), {name: f"g{min(int(name), 60)}" for name in ids})
    assert len(set(labels)) == 32
    assert labels[99] == "g60"  # the largest
    assert "other" in labels


def test_a_name_that_is_too_long_to_be_shown_is_cut():
    assert set(group_targets(["a", "b"], topics(2), {"a": "long " * 1000, "b": "short"})) == {
        f"{'long ' * 39}long…",
        "short",
    }


def test_clusters_are_the_topics_and_the_first_is_the_largest():
    centres = np.eye(8, dtype=np.float32)[:3]
    vectors = np.repeat(centres, [60, 40, 20], axis=0)
    labels = group_targets(IDS, vectors, {})
    assert labels == ["cluster 1"] * 60 + ["cluster 2"] * 40 + ["cluster 3"] * 20


def test_clusters_do_not_depend_on_the_order_of_the_targets():
    vectors, _ = documents(120, 5)
    order = np.random.default_rng(0).permutation(120)
    labels = group_targets(IDS, vectors, {})
    mixed = group_targets([IDS[k] for k in order], vectors[order], {})
    assert mixed == [labels[k] for k in order]
    assert len(set(labels)) == 8


def test_one_target_or_none():
    assert group_targets(["a"], topics(1), {}) == ["cluster 1"]
    assert group_targets([], topics(0), {}) == []
