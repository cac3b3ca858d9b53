"""Previews, settings and inputs at the edge of what is allowed."""

from __future__ import annotations

import numpy as np
import pytest

from tsds_stream import Selector, SelectorConfig, select
from tsds_stream.selection.arithmetic import canonical, keys_of, salt_of
from tsds_stream.selection.graph_density import GraphDensity
from tsds_stream.selection.points import PointStore

RNG = np.random.default_rng(4)
TARGETS = RNG.normal(size=(3, 4))
DOCUMENTS = RNG.normal(size=(600, 4))
IDS = [f"d{k:03}" for k in range(600)]


def fed(**settings: object) -> Selector:
    selector = Selector(TARGETS, SelectorConfig(**{"budget": 20, "sigma": 0.5, **settings}))
    selector.add(IDS, DOCUMENTS, tokens=np.full(600, 3))
    return selector


# -- previews -------------------------------------------------------------------------------------------------------


def test_a_preview_of_another_seed_draws_with_that_seed():
    drawn = {"mode": "coordinated"}
    assert fed(**drawn).preview(seed=5).digest == fed(seed=5, **drawn).refresh().digest != fed(**drawn).refresh().digest


def test_a_preview_takes_nothing_from_the_revision_that_follows():
    selector = fed(budget=200)
    selector.probabilities()
    selector.preview(budget=1, alpha=0.999)
    revision = selector.refresh()
    assert not np.isnan(revision.densities).any()
    assert (revision.densities == fed(budget=200).refresh().densities).all()


def test_rows_that_ran_out_in_turns_are_counted_and_warned_of():
    revision = select(DOCUMENTS, TARGETS, budget=30, mode="turns", max_k=4, slack=0, alpha=0.99, sigma=0.2)
    assert revision.reasons == ("truncated",)
    assert revision.truncated == 3
    assert "truncated" in {notice.code for notice in revision.warnings}


@pytest.mark.parametrize("settings", [{"regularizer": "uniform"}, {"sigma": 0}])
@pytest.mark.parametrize("alpha", ["auto", 0.97])
def test_the_alpha_that_fills_the_budget_counts_copies_once(settings, alpha):
    documents = np.repeat(DOCUMENTS[:40], 10, 0)
    settings = {"budget": 30, "mode": "coordinated", **settings}
    short = select(documents, TARGETS, **{"alpha": alpha, **settings})
    assert short.short_of_budget
    assert len(short) < 30
    assert len(select(documents, TARGETS, **{**settings, "alpha": short.filling_alpha})) == 30


# -- settings -------------------------------------------------------------------------------------------------------


def test_settings_that_cannot_be_taken_up_change_nothing():
    selector = fed()
    with pytest.raises(ValueError, match="tokens of every document"):
        selector.reconfigure(SelectorConfig(budget=20, sigma=0.9, token_budget=50))
    assert selector.sigma == selector.config.sigma == 0.5


@pytest.mark.parametrize("settings", [{"token_budget": 50}, {"regularizer": "tv", "alpha": 0.6}])
def test_what_a_setting_needs_survives_a_time_without_it_and_a_restart(tmp_path, settings):
    selector = fed(**settings)
    expected = selector.refresh()
    selector.reconfigure(SelectorConfig(budget=20, sigma=0.5))
    selector.save(tmp_path / "state")
    loaded = Selector.load(tmp_path / "state")
    loaded.reconfigure(SelectorConfig(**{"budget": 20, "sigma": 0.5, **settings}))
    assert loaded.refresh().digest == expected.digest
    assert loaded.refresh().reasons == expected.reasons


@pytest.mark.parametrize("settings", [{"alpha": 1e-310}, {"alpha": 0.5, "distance_scale": 1e305}, {"spread": 1e305}])
def test_settings_whose_products_are_not_numbers_are_refused(settings):
    with pytest.raises(ValueError, match="too large"):
        SelectorConfig(**settings)


def test_densities_are_one_without_a_kernel_and_nan_where_none_is_used():
    assert fed(sigma=0).densities(IDS[:2]).tolist() == [1, 1]
    assert np.isnan(fed(regularizer="uniform").densities(IDS[:2])).all()


# -- inputs ---------------------------------------------------------------------------------------------------------


def test_equal_vectors_are_one_point_whatever_the_sign_of_their_zeros():
    vectors = np.array([[1, 0.0], [1, -0.0], [1, -1e-12]], np.float32)
    revision = select(vectors, np.array([[1, 1]]), budget=5, sigma=0.2)
    assert revision.multiplicities.tolist() == [3]


def test_what_does_not_fit_into_float32_is_rejected_without_a_warning():
    selector = Selector(np.array([[1.0, 0.0]]))
    assert selector.add(["a", "b"], np.array([[1e300, 1], [1e-300, 0]])).rejected == [(0, "non_finite"), (1, "zero")]
    with pytest.raises(ValueError, match="non-finite"):
        selector.add_targets(["q"], np.array([[1e300, 1]]))


def test_numbers_beyond_int64_are_refused():
    selector = Selector(TARGETS, SelectorConfig(scope="corpus", ttl=5))
    with pytest.raises(ValueError, match="below 2"):
        selector.add(["a"], DOCUMENTS[:1], timestamps=np.array([2**63 + 5], np.uint64))


def test_one_dimension_has_two_points():
    revision = select(np.array([[3.0], [-2.0], [1e-30], [-7e30]]), np.array([[5.0]]), budget=5, sigma=0.5)
    assert revision.ids == ["0", "1"]
    assert revision.multiplicities.tolist() == [2, 2]


# -- bounds ---------------------------------------------------------------------------------------------------------


def test_copies_beyond_max_ids_are_not_reported_as_held_and_count_all_the_same():
    selector = fed(max_ids=20, budget=3)
    before = selector.refresh()
    name = before.ids[0]
    vector = DOCUMENTS[IDS.index(name)]
    many = [f"copy{k}" for k in range(50)]
    report = selector.add(many, np.repeat(vector[None], 50, 0), tokens=np.full(50, 3))
    assert report.held.tolist() == [k for k, held in enumerate(selector.holds(many)) if held]
    assert len(report.keys) == len(report.held) < 50
    assert selector.add(["last"], vector[None]).held.tolist() == []
    assert selector.densities([name])[0] >= 52


def test_a_point_whose_density_is_no_longer_kept_is_no_longer_counted_as_saturated():
    vectors = canonical(DOCUMENTS[:50])
    store = PointStore(4, salt_of(0, "default"), 100)
    slots = store.insert(vectors, keys_of(vectors))
    density = GraphDensity(store, 2.0, kde_k=5)
    density.index(np.ones(50, np.int64))
    density.settle(slots)
    assert density.saturated == 50
    density.unsettle(slots[:20])
    assert density.saturated == 30


# -- targets --------------------------------------------------------------------------------------------------------


def test_the_digest_of_the_targets_tells_ids_weights_and_embeddings_apart():
    def digest(vectors: np.ndarray, ids: list[str], weights: list[float]) -> str:
        selector = Selector(vectors, SelectorConfig(sigma=0.5), target_ids=ids, target_weights=weights)
        selector.add(IDS, DOCUMENTS)
        return selector.refresh().targets_digest

    same = digest(TARGETS, ["a", "b", "c"], [1, 1, 1])
    assert digest(TARGETS[[2, 0, 1]], ["c", "a", "b"], [1, 1, 1]) == same
    others = [
        digest(TARGETS, ["a", "b", "d"], [1, 1, 1]),
        digest(TARGETS, ["a", "b", "c"], [1, 1, 2]),
        digest(TARGETS[[0, 2, 1]], ["a", "b", "c"], [1, 1, 1]),
    ]
    assert len({same, *others}) == 4


def test_a_backfill_beside_more_changes_than_can_be_remembered_says_so():
    selector = Selector(TARGETS[:1], SelectorConfig(sigma=0.5, max_ids=30), target_ids=["0"])
    selector.add(IDS[:20], DOCUMENTS[:20])
    selector.add_targets(["1"], TARGETS[1:2])
    for start in range(20, 80, 10):
        selector.add(IDS[start : start + 10], DOCUMENTS[start : start + 10])
    selector.backfill(IDS[:20], DOCUMENTS[:20])
    selector.finish_backfill()
    assert "capacity" in selector.refresh().reasons


def test_ties_at_a_frontier_are_still_decided_by_key_after_a_restart(tmp_path):
    # All at the same distance from the target: only keys tell them apart.
    vectors = np.concatenate([np.eye(4), -np.eye(4)])[[1, 2, 3, 5, 6, 7]]
    by_key = sorted(range(6), key=lambda k: keys_of(canonical(vectors[k : k + 1]))[0])
    names = [f"key{place}" for place in range(6)]
    selector = Selector(np.eye(4)[:1], SelectorConfig(budget=1, regularizer="uniform", max_k=1, slack=0))
    selector.add(names[1:], vectors[by_key[1:]])
    assert selector.refresh().ids == ["key1"]
    selector.save(tmp_path / "state")
    loaded = Selector.load(tmp_path / "state")
    for one in (selector, loaded):
        assert one.add(names[:1], vectors[by_key[:1]]).admitted == 1
        assert one.refresh().ids == ["key0"]
