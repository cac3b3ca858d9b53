"""Expiry, the past of the stream, and sigma: what happens at awkward moments."""

from __future__ import annotations

import numpy as np
import pytest

from tsds_stream import Selector, SelectorConfig, select

EXPIRING = {"regularizer": "uniform", "min_distance": None, "budget": 9, "ttl": 50, "refill": "auto"}


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def at(*times: int) -> np.ndarray:
    return np.array(times, np.int64)


def test_a_document_that_nobody_wants_still_lets_others_expire():
    selector = Selector(row(1, 0), SelectorConfig(**EXPIRING, max_k=2, slack=0))
    selector.add(["a", "b", "c"], np.array([[1, 0], [1, 0.1], [1, 0.2]]), timestamps=at(0, 1, 2))
    assert selector.refresh().ids == ["a", "b"]
    assert selector.add(["far"], row(-1, 0), timestamps=at(1000)).admitted == 0
    revision = selector.refresh()
    assert revision.ids == []
    assert revision.reasons == ("short",)


def test_a_log_read_again_ends_with_the_last_record_of_an_id_even_if_that_had_expired():
    log = [("a", row(0, 1), 100), ("b", row(1, 2), 100), ("a", row(0, 1), 10)]
    selector = Selector(row(1, 0), SelectorConfig(**EXPIRING), target_ids=["q"])
    for name, vector, time in log:
        selector.add([name], vector, timestamps=at(time))
    selector.add_targets(["p"], row(0, 1))
    for name, vector, time in log:
        selector.backfill([name], vector, timestamps=at(time))
    selector.finish_backfill()
    assert selector.refresh().ids == ["b"]


# Row p holds 500 nearer documents before the last version of "a" comes, so that this version is not offered to it.
LOG = [
    (["a"], row(0.01, 1), 5),
    ([f"z{k:03}" for k in range(500)], np.stack([np.linspace(0, 0.001, 500), np.ones(500)], 1), 8),
    (["a"], row(1, 0), 40),
]


def read_twice(column: str, **settings: object) -> Selector:
    """A selector with a late target p, to which the log was given in its order."""
    selector = Selector(row(1, 0), SelectorConfig(**settings, max_k=1, slack=0), target_ids=["q"])
    for ids, vectors, value in LOG:
        selector.add(ids, vectors, **{column: at(*[value] * len(ids))})
    selector.add_targets(["p"], row(0, 1))
    for ids, vectors, value in LOG:
        selector.backfill(ids, vectors, **{column: at(*[value] * len(ids))})
    selector.finish_backfill()
    return selector


def test_the_time_of_an_older_version_read_again_does_not_count():
    selector = read_twice("timestamps", **EXPIRING)
    assert "a" in selector.refresh().ids
    selector.add(["n"], row(1, 0.1), timestamps=at(57))
    assert selector.refresh().ids == ["a", "z000"]


def test_the_tokens_of_an_older_version_read_again_do_not_count():
    settings = {"regularizer": "uniform", "token_budget": 30}
    assert read_twice("tokens", **settings).refresh().ids == ["z000"]


def test_a_past_without_documents_can_be_read():
    selector = Selector(row(1, 0), SelectorConfig(sigma=0.5), target_ids=["q"])
    selector.add(["a"], row(1, 1))
    selector.remove(["a"])
    selector.add_targets(["p"], row(0, 1))
    selector.finish_backfill()
    assert selector.active_targets == ["p", "q"]
    assert selector.refresh().ids == []


# -- sigma ----------------------------------------------------------------------------------------------------------


def test_calibration_waits_while_everything_has_expired():
    selector = Selector(row(1, 0), SelectorConfig(scope="corpus", ttl=50, calibration=3))
    selector.add(["a"], row(1, 0), timestamps=at(0))
    selector.add(["b", "b"], np.array([[1, 0], [1, 1]]), timestamps=at(100, 5))
    assert not selector.calibrated
    selector.add(["c"], row(1, 1), timestamps=at(100))
    assert selector.calibrated


def test_sigma_is_frozen_when_the_first_target_becomes_active_and_not_some_batch_later():
    selector = Selector(np.empty((0, 2)), SelectorConfig(calibration=2))
    selector.add(["a", "b"], np.array([[1, 0.1], [1, 1]]))
    selector.add_targets(["q"], row(1, 0))
    selector.backfill(["a", "b"], np.array([[1, 0.1], [1, 1]]))
    selector.finish_backfill()
    assert selector.calibrated


def test_a_smaller_calibration_freezes_sigma_at_once():
    selector = Selector(row(1, 0), SelectorConfig(calibration=100))
    selector.add(["a", "b"], np.array([[1, 0.1], [1, 1]]))
    selector.reconfigure(SelectorConfig(calibration=2))
    assert selector.calibrated


def test_going_back_to_an_automatic_sigma_with_nothing_held_waits_for_documents():
    selector = Selector(row(1, 0), SelectorConfig(sigma=0.5, calibration=2))
    selector.add(["a", "b"], np.array([[1, 0.1], [1, 1]]))
    selector.remove(["a", "b"])
    selector.reconfigure(SelectorConfig(calibration=2))
    assert not selector.calibrated
    assert selector.sigma is None
    assert selector.refresh().reasons == ("provisional",)


def test_sigma_so_far_does_not_count_what_was_retracted():
    selector = Selector(row(1, 0))
    selector.add(["a", "b"], np.array([[1, 0.1], [1, 1]]))
    before = selector.sigma
    selector.remove(["a"])
    assert selector.sigma > before


def test_a_preview_of_an_automatic_sigma_is_provisional_until_it_would_be_frozen():
    selector = Selector(row(1, 0), SelectorConfig(sigma=0.5, calibration=3))
    selector.add(["a", "b"], np.array([[1, 0.1], [1, 1]]))
    assert selector.preview(sigma="auto").reasons == ("provisional",)
    selector.add(["c"], row(1, 2))
    preview = selector.preview(sigma="auto")
    assert preview.exact
    selector.reconfigure(SelectorConfig(calibration=3))
    assert selector.refresh().digest == preview.digest


# -- bounds ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def crowded_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Selectors tidy up between refreshes as they would with tens of thousands of points."""
    monkeypatch.setattr("tsds_stream.selection.core._FIRST_SWEEP", 20)


@pytest.mark.usefixtures("crowded_early")
def test_tidying_between_refreshes_does_not_give_away_places_that_rows_still_name():
    rng = np.random.default_rng(0)
    targets, vectors = rng.normal(size=(3, 4)), rng.normal(size=(200, 4))
    ids = [f"d{k:03}" for k in range(200)]
    settings = {"budget": 5, "regularizer": "uniform", "scope": "corpus", "capacity": 1000, "max_k": 9, "slack": 0}
    selector = Selector(targets, SelectorConfig(**settings))
    selector.add(ids[:60], vectors[:60])
    gone = selector.refresh().ids
    selector.remove(gone)
    for start in range(60, 200, 10):
        selector.add(ids[start : start + 10], vectors[start : start + 10])
    left = [k for k in range(200) if ids[k] not in gone]
    expected = select(vectors[left], targets, ids=[ids[k] for k in left], **settings)
    assert selector.refresh().digest == expected.digest


@pytest.mark.usefixtures("crowded_early")
def test_a_corpus_stays_within_its_bounds_between_refreshes():
    rng = np.random.default_rng(0)
    settings = {"budget": 5, "sigma": 0.5, "scope": "corpus", "max_k": 9, "slack": 0}
    crowded = Selector(rng.normal(size=(3, 4)), SelectorConfig(**settings, capacity=100))
    expiring = Selector(rng.normal(size=(3, 4)), SelectorConfig(**settings, ttl=100))
    for selector in (crowded, expiring):
        for start in range(0, 3000, 50):
            ids = [f"d{k:04}" for k in range(start, start + 50)]
            selector.add(ids, rng.normal(size=(50, 4)), timestamps=np.arange(start, start + 50))
            assert sum(1 for _ in selector.held()) <= 350
    assert "capacity" in crowded.refresh().reasons
    assert set(expiring.refresh().reasons) <= {"truncated"}


def test_tokens_and_times_are_kept_for_held_documents_only():
    settings = {"budget": 5, "sigma": 0.5, "scope": "corpus", "ttl": 10**9, "token_budget": 50}
    selector = Selector(row(1, 0), SelectorConfig(**settings))
    for k in range(200):
        ids = [f"{k}-{n}" for n in range(50)]
        times = np.arange(50 * k, 50 * k + 50)
        selector.add(ids, np.full((50, 2), 1), tokens=np.full(50, 3), timestamps=times)
        selector.remove(ids)
        assert len(selector._core.tokens) < 1200
        assert len(selector._core.expiry._queue) < 1200


def test_a_new_version_that_nobody_wants_takes_the_old_one_away():
    selector = Selector(row(1, 0), SelectorConfig(budget=9, regularizer="uniform", max_k=2, slack=0))
    selector.add(["a", "b", "c"], np.array([[1, 0], [1, 0.1], [1, 0.2]]))
    assert selector.refresh().ids == ["a", "b"]
    assert selector.add(["a"], row(-1, 0)).held.tolist() == []
    assert selector.refresh().ids == ["b"]


@pytest.mark.usefixtures("crowded_early")
def test_places_that_are_used_again_carry_nothing_over_into_densities():
    rng = np.random.default_rng(3)
    plane = rng.normal(size=(8, 64))  # documents near a plane, so that a fold of few coordinates screens their pairs
    centres = rng.normal(size=(30, 8))
    vectors = (centres[rng.integers(0, 30, 4000)] + 0.2 * rng.normal(size=(4000, 8))) @ plane
    targets = centres[:6] @ plane
    settings = {"budget": 60, "sigma": 0.2, "max_k": 150, "slack": 50}
    selector = Selector(targets, SelectorConfig(**settings))
    ids = [f"d{k:04}" for k in range(4000)]
    gone: set[str] = set()
    for start in range(0, 4000, 400):
        selector.add(ids[start : start + 400], vectors[start : start + 400])
        revision = selector.refresh()
        gone |= set(revision.ids[:5])
        selector.remove(revision.ids[:5])
    left = [k for k in range(4000) if ids[k] not in gone]
    fold = selector._core.density._fold
    assert fold.basis is not None
    assert fold.width < 64
    expected = select(vectors[left], targets, ids=[ids[k] for k in left], **settings)
    assert selector.refresh().digest == expected.digest


# -- short rows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sigma", "reasons"), [(0.45, ("short",)), (0.39, ())])
def test_a_short_row_is_exact_only_while_nothing_that_it_lost_can_crowd_what_the_plan_used(sigma, reasons):
    angles = {"near": 0.1, "removed": 0.2, "lost": 0.5}
    vectors = {name: row(np.cos(angle), np.sin(angle)) for name, angle in angles.items()}
    settings = {"budget": 1, "spread": 0.9, "max_k": 2, "slack": 0, "sigma": sigma}
    selector = Selector(row(1, 0), SelectorConfig(**settings))
    selector.add(list(vectors), np.concatenate(list(vectors.values())))
    selector.refresh()
    selector.remove(["removed"])
    left = ["near", "lost"]
    truth = select(np.concatenate([vectors[name] for name in left]), row(1, 0), ids=left, **settings)
    assert selector.refresh().reasons == reasons
    # "lost" lies 0.397 from "near": with the wider kernel it takes mass away from it.
    assert (truth.support == 1) == (not reasons)
    assert (selector.refresh().support == truth.support) == (not reasons)
