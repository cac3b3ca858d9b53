"""Shared lists of neighbours, near-copies, and the hold-out: against their obvious versions."""

from __future__ import annotations

import numpy as np
import pytest

from tests.comparison.world import TOPICS, pool_and_targets, vectors_of
from tsds_stream.comparison.near_copies import copies_of, distinct, near_copy_distance
from tsds_stream.comparison.neighbours import AllNeighbours, Lists
from tsds_stream.comparison.pool import Pool, Targets
from tsds_stream.comparison.trial import hold_out
from tsds_stream.selection.arithmetic import squared_distances
from tsds_stream.selection.selector import Selector
from tsds_stream.selection.settings import MIN_SIGMA, SelectorConfig


def in_order(pool: Pool, squared: np.ndarray) -> list[int]:
    keys = pool.keys.tolist()
    return sorted(range(len(pool)), key=lambda j: (squared[j], keys[j], pool.ids[j]))


def check(lists: Lists, pool: Pool, targets: Targets, depth: int) -> None:
    squared = squared_distances(targets.vectors, pool.vectors)
    for i in range(len(targets)):
        width = int(lists.counts[i])
        assert width >= min(depth, len(pool))
        assert lists.points[i, :width].tolist() == in_order(pool, squared[i])[:width]
        assert lists.squared[i, :width].tolist() == np.sort(squared[i])[:width].tolist()
        assert np.isinf(lists.squared[i, width:]).all()
        nearer = set(np.flatnonzero(squared[i] < lists.reach[i]).tolist())
        assert nearer <= set(lists.points[i, :width].tolist())


@pytest.mark.parametrize("depth", [1, 70, 200, 10_000])
def test_lists_hold_the_nearest_in_order_as_deep_as_asked(depth: int):
    pool, targets = pool_and_targets(250, 5, copies=10)
    check(AllNeighbours(pool, targets).lists(depth), pool, targets, depth)


@pytest.mark.parametrize("depth", [1, 70, 150])
def test_a_part_sees_its_targets_and_documents_alone(depth: int):
    pool, targets = pool_and_targets(250, 8, copies=10)
    random = np.random.default_rng(3)
    seen, rest = np.array([1, 4, 7]), np.sort(random.permutation(len(pool))[:180])
    part = AllNeighbours(pool, targets).within(seen, rest)
    check(part.lists(depth), pool.part(rest), targets.part(seen), depth)
    again = np.arange(0, 180, 2)
    check(
        part.within(np.array([0, 2]), again).lists(depth),
        pool.part(rest[again]),
        targets.part(seen[[0, 2]]),
        depth,
    )


def test_documents_at_one_point_stand_in_order_of_their_ids():
    vectors = np.repeat(np.eye(3, dtype=np.float32), 50, axis=0)
    ids = [f"{(7 * k) % 150:03}" for k in range(150)]
    pool = Pool.of(ids, vectors, np.ones(150))
    targets = Targets.of(["t"], np.array([[1.0, 0.1, 0.0]], np.float32))
    check(AllNeighbours(pool, targets).lists(64), pool, targets, 64)


def test_targets_with_one_embedding_merge_under_the_smallest_id():
    vectors = np.array([[1, 0], [0, 1], [2, 0]], np.float32)
    merged = Targets.of(["c", "b", "a"], vectors, [1.0, 2.0, 4.0], ["x", "y", "z"])
    assert (merged.ids, merged.weights.tolist(), merged.groups) == (["a", "b"], [5.0, 2.0], ["z", "y"])
    assert merged.given.tolist() == [[2, 0], [0, 1]]


def test_copies_of_targets_are_the_documents_within_the_radius():
    pool, targets = pool_and_targets(300, 10)
    squared = squared_distances(targets.vectors, pool.vectors)
    for radius in (0.0, 0.2, 0.5):
        target, document = copies_of(pool, targets, radius)
        found = sorted(zip(target.tolist(), document.tolist(), strict=True))
        assert found == [tuple(pair) for pair in np.argwhere(squared < max(radius, MIN_SIGMA) ** 2).tolist()]
    same = Pool.of(["x"], targets.given[3:4], np.ones(1))
    assert [rows.tolist() for rows in copies_of(same, targets, 0.0)] == [[3], [0]]


@pytest.mark.parametrize("block", [1, 7, 64])
def test_near_copies_are_removed_alike_in_blocks_of_any_size(block: int, monkeypatch: pytest.MonkeyPatch):
    pool, _ = pool_and_targets(300, 3, copies=12)
    whole = distinct(pool, 0.35)
    assert 20 < len(whole) < 300
    monkeypatch.setattr("tsds_stream.comparison.near_copies._BLOCK", block)
    assert distinct(pool, 0.35).tolist() == whole.tolist()
    squared = squared_distances(pool.vectors[whole], pool.vectors)
    apart = squared[:, whole] + 9 * np.eye(len(whole))
    assert apart.min() >= 0.35**2
    assert (squared.min(0) < 0.35**2).all()  # whoever was dropped has a reason


@pytest.mark.parametrize("calibration", [50, 10_000])
def test_the_distance_of_near_copies_is_the_automatic_sigma(calibration: int):
    pool, targets = pool_and_targets(300, 11)
    selector = Selector(targets.given, SelectorConfig(calibration=calibration), targets.ids)
    selector.add(pool.ids, pool.vectors, canonical=True)
    if not selector.calibrated:
        selector.calibrate()
    assert near_copy_distance(pool, targets, calibration) == selector.sigma


def test_targets_among_the_documents_do_not_bring_it_down():
    pool, targets = pool_and_targets(300, 11)
    before = near_copy_distance(pool, targets, 10_000)
    random = np.random.default_rng(0)
    vectors = np.concatenate([vectors_of(random.integers(0, len(TOPICS), 300), random), targets.given])
    with_targets = Pool.of([str(k) for k in range(len(vectors))], vectors, np.ones(len(vectors)))
    assert near_copy_distance(with_targets, targets, 10_000) == pytest.approx(before, rel=0.5)
    only_targets = Pool.of([str(k) for k in range(11)], targets.given, np.ones(11))
    one = targets.part(np.array([0]))
    assert near_copy_distance(only_targets.part(np.array([0])), one, 10_000) == MIN_SIGMA


@pytest.mark.parametrize(("share", "count"), [(0.3, 6), (0.001, 1), (0.999, 19), (0.5, 10)])
def test_the_share_held_out_is_kept_but_for_one_on_either_side(share: float, count: int):
    _, targets = pool_and_targets(10, 20)
    out = hold_out(targets, share, seed=0)
    assert out.sum() == count
    assert out.tolist() == hold_out(targets, share, seed=0).tolist()
    if count > 1:
        assert out.tolist() != hold_out(targets, share, seed=1).tolist()


def test_every_target_is_held_out_about_as_often_as_another():
    _, targets = pool_and_targets(10, 30)
    share = np.mean([hold_out(targets, 0.3, seed) for seed in range(300)], axis=0)
    assert share.min() > 0.2
    assert share.max() < 0.4


def test_each_group_gives_its_share():
    _, targets = pool_and_targets(10, 60, groups=True)
    labels = np.array(targets.groups)
    for seed in range(20):
        out = hold_out(targets, 0.3, seed)
        for label in set(labels.tolist()):
            assert abs(out[labels == label].sum() - 0.3 * (labels == label).sum()) <= 1
