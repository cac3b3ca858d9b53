"""What a selector promises about documents, targets and its saved state."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tests.selection.selector_cases import DOCUMENTS, IDS, TARGETS, cloud, fed
from tsds_stream import Selector, SelectorConfig, select
from tsds_stream.selection.arithmetic import canonical


def test_unusable_records_are_rejected_with_a_reason_and_the_others_go_on():
    vectors = DOCUMENTS[:6].copy()
    vectors[1, 3] = np.nan
    vectors[2] = 0
    vectors[3, 0] = np.inf
    selector = Selector(TARGETS, SelectorConfig(budget=3, sigma=0.5))
    report = selector.add(["a", "b", "c", "d", "", "\ud800"], vectors)
    assert report.rejected == [(1, "non_finite"), (2, "zero"), (3, "non_finite"), (4, "id"), (5, "id")]
    assert report.accepted == 1
    assert report.held.tolist() == [0]
    assert selector.refresh().ids == ["a"]


@pytest.mark.parametrize(
    ("ids", "vectors", "columns"),
    [
        (["a"], np.ones((1, 15)), {}),
        (["a", "b"], np.ones((1, 16)), {}),
        (["a"], np.ones(16), {}),
        (["a"], np.ones((1, 16)), {"tokens": np.array([1, 2])}),
        (["a"], np.ones((1, 16)), {"tokens": np.array([-1])}),
        (["a"], np.ones((1, 16)), {"timestamps": np.array([[1]])}),
    ],
)
def test_shapes_that_do_not_fit_are_errors_and_change_nothing(ids, vectors, columns):
    selector = Selector(TARGETS)
    with pytest.raises(ValueError, match=r"shape|negative"):
        selector.add(ids, vectors, **columns)
    assert selector.documents_seen == 0


def test_columns_that_the_configuration_needs_are_required():
    with pytest.raises(ValueError, match="tokens"):
        Selector(TARGETS, SelectorConfig(token_budget=100)).add(["a"], DOCUMENTS[:1])
    with pytest.raises(ValueError, match="timestamp"):
        Selector(TARGETS, SelectorConfig(scope="corpus", ttl=5)).add(["a"], DOCUMENTS[:1])
    with pytest.raises(TypeError, match="integers"):
        Selector(TARGETS, SelectorConfig(token_budget=100)).add(["a"], DOCUMENTS[:1], tokens=np.array([1.5]))


def test_copies_raise_the_multiplicity_and_the_smallest_id_stands_for_them():
    selector = fed(100)
    chosen = selector.refresh().ids[0]
    vector = DOCUMENTS[IDS.index(chosen)]
    report = selector.add(["aaa", "zzz"], np.stack([vector, 4 * vector]))
    assert report.duplicates == 2
    assert report.admitted == 0
    revision = selector.refresh()
    assert "aaa" in revision.ids
    assert chosen not in revision.ids
    assert revision.multiplicities[revision.ids.index("aaa")] == 3
    assert selector.explain(chosen).representative == "aaa"
    selector.remove(["aaa"])
    assert chosen in selector.refresh().ids


def test_ten_thousand_copies_of_one_document_are_one_point():
    selector = fed(300)
    before = selector.refresh()
    name = before.ids[0]
    copies = np.repeat(DOCUMENTS[IDS.index(name)][None], 10_000, 0)
    selector.add([f"copy-{k:05}" for k in range(10_000)], copies)
    after = selector.refresh()
    assert after.multiplicities.max() == 10_001
    assert after.exact
    # Its density is its multiplicity (and neighbours'), so its weight m/ρ stays at most one.
    assert after.probabilities.max() < 2.5 * before.probabilities.max()


def test_redelivery_changes_nothing():
    selector = fed()
    first = selector.refresh()
    report = selector.add(IDS, DOCUMENTS)
    assert report.admitted == 0
    assert selector.refresh().digest == first.digest


def test_removing_reports_what_was_not_held():
    selector = fed(50)
    report = selector.remove(["doc-0001", "doc-0001", "never"])
    assert (report.removed, report.unknown) == (1, 2)


def test_names_beyond_max_ids_are_only_counted_and_the_revision_says_so():
    selector = Selector(TARGETS, SelectorConfig(budget=5, sigma=0.6, max_ids=60))
    selector.add(IDS[:50], DOCUMENTS[:50])
    assert selector.refresh().exact
    selector.add([f"copy-{k}" for k in range(100)], np.repeat(DOCUMENTS[:1], 100, 0))
    revision = selector.refresh()
    assert revision.reasons == ("capacity",)
    assert sum(1 for _ in selector.held()) <= 60


def test_canonical_bytes_are_taken_as_they_are():
    rows = canonical(DOCUMENTS)
    a = fed().refresh()
    selector = Selector(TARGETS, SelectorConfig(budget=20, sigma=0.6))
    selector.add(IDS, rows, canonical=True)
    assert selector.refresh().digest == a.digest


def test_memory_follows_the_shortlists_and_not_the_stream():
    selector = Selector(TARGETS, SelectorConfig(budget=10, sigma=0.5, max_k=32))
    most = 0
    rng = np.random.default_rng(5)
    for start in range(0, 60_000, 2_000):
        vectors = cloud(2_000, seed=100 + start)
        selector.add([f"{start}-{k}" for k in range(2_000)], vectors)
        if rng.random() < 0.5:
            selector.refresh()
        most = max(most, sum(1 for _ in selector.held()))
    selector.refresh()
    held = sum(1 for _ in selector.held())
    assert held <= 8 * (32 + 32 // 3 + 256)
    assert most <= 1 << 17


def test_identical_targets_merge_under_the_smallest_id_with_their_weights():
    twice = Selector(np.stack([TARGETS[0], TARGETS[1], 2 * TARGETS[0]]), SelectorConfig(budget=9, sigma=0.6),
                     target_ids=["b", "c", "a"], target_weights=[1, 1, 2])  # fmt: skip
    assert twice.target_ids == ["a", "c"]
    assert twice.active_targets == ["a", "b", "c"]
    once = Selector(TARGETS[:2], SelectorConfig(budget=9, sigma=0.6), target_ids=["a", "c"], target_weights=[3, 1])
    for selector in (twice, once):
        selector.add(IDS, DOCUMENTS)
    assert twice.refresh().digest == once.refresh().digest


@pytest.mark.parametrize(
    ("ids", "vectors", "weights", "message"),
    [
        (["a", "a"], TARGETS[:2], None, "distinct"),
        (["a"], TARGETS[:2], None, "shape"),
        (["a"], np.zeros((1, 16)), None, "zero"),
        (["a"], np.full((1, 16), np.nan), None, "non-finite"),
        (["a"], TARGETS[:1], [0.0], "positive"),
        (["a"], TARGETS[:1], [1.0, 2.0], "weights"),
        ([""], TARGETS[:1], None, "non-empty"),
    ],
)
def test_targets_that_cannot_be_used_are_errors(ids, vectors, weights, message):
    with pytest.raises(ValueError, match=message):
        Selector(vectors, target_ids=ids, target_weights=weights)
    selector = fed(50)
    with pytest.raises(ValueError, match=message):
        selector.add_targets(ids, vectors, weights)
    assert len(selector.active_targets) == 8


def test_a_late_target_waits_for_the_past_and_is_then_exact():
    selector = Selector(TARGETS[:4], SelectorConfig(budget=20, sigma=0.6, max_k=100), target_ids=["0", "1", "2", "3"])
    selector.add(IDS[:400], DOCUMENTS[:400])
    selector.refresh()
    selector.add_targets(["4", "5"], TARGETS[4:6])
    assert selector.pending_targets == ["4", "5"]
    assert selector.refresh().targets_pending == 2
    selector.add(IDS[400:], DOCUMENTS[400:])
    selector.backfill(IDS[:400], DOCUMENTS[:400])
    selector.finish_backfill()
    assert selector.pending_targets == []
    revision = selector.refresh()
    assert revision.exact
    assert revision.digest == select(DOCUMENTS, TARGETS[:6], ids=IDS, budget=20, sigma=0.6, max_k=100).digest
    with pytest.raises(ValueError, match="nothing to backfill"):
        selector.finish_backfill()
    with pytest.raises(KeyError, match="unknown targets"):
        selector.remove_targets(["9"])


def test_a_backfill_does_not_bring_back_what_changed_since():
    selector = Selector(TARGETS[:1], SelectorConfig(budget=5, sigma=0.6, max_k=700), target_ids=["0"])
    selector.add(IDS[:200], DOCUMENTS[:200])
    selector.add_targets(["1"], TARGETS[1:2])
    selector.remove(IDS[:50])
    selector.add(IDS[50:60], DOCUMENTS[300:310])
    selector.backfill(IDS[:200], DOCUMENTS[:200])
    selector.finish_backfill()
    live = np.concatenate([DOCUMENTS[300:310], DOCUMENTS[60:200]])
    expected = select(live, TARGETS[:2], ids=IDS[50:200], budget=5, sigma=0.6, max_k=700)
    assert selector.refresh().digest == expected.digest


def test_a_target_whose_past_cannot_be_read_is_provisional_while_its_row_is_short():
    selector = Selector(TARGETS[:1], SelectorConfig(budget=5, sigma=0.2, max_k=40, slack=0), target_ids=["0"])
    selector.add(IDS[:300], DOCUMENTS[:300])
    selector.add_targets(["1"], -TARGETS[:1])
    selector.finish_backfill(complete=False)
    assert "provisional" in selector.refresh().reasons


def test_corpus_scope_answers_late_targets_and_retractions_from_the_index():
    settings = {"scope": "corpus", "capacity": 10_000, "sigma": 0.6, "budget": 20, "max_k": 50, "slack": 0}
    selector = Selector(TARGETS[:4], SelectorConfig(**settings), target_ids=[str(k) for k in range(4)])
    selector.add(IDS, DOCUMENTS)
    selector.refresh()
    selector.add_targets(["4"], TARGETS[4:5])
    assert selector.pending_targets == []
    selector.remove(IDS[::3])
    left = np.ones(600, bool)
    left[::3] = False
    expected = select(DOCUMENTS[left], TARGETS[:5], ids=np.array(IDS)[left].tolist(), **settings)
    revision = selector.refresh()
    assert revision.exact
    assert revision.digest == expected.digest
    assert revision.live_documents == 400


def test_capacity_lets_the_oldest_go_and_says_so():
    selector = Selector(
        TARGETS, SelectorConfig(scope="corpus", capacity=200, min_distance=None, sigma=0.6, budget=5, max_k=10, slack=0)
    )
    for start in range(0, 600, 100):
        selector.add(IDS[start : start + 100], DOCUMENTS[start : start + 100])
        revision = selector.refresh()
    assert revision.reasons == ("capacity",)
    assert sum(1 for _ in selector.held()) <= 200


@pytest.mark.parametrize("kde_k", [1000, 2])
def test_the_graph_index_says_that_densities_are_approximate(kde_k):
    settings = {"budget": 20, "sigma": 1.0, "max_k": 600}
    exact = fed(**settings).refresh()
    selector = fed(**settings, index="hnsw", kde_k=kde_k)
    revision = selector.refresh()
    assert revision.reasons == (("approximate_density", "saturated") if kde_k == 2 else ("approximate_density",))
    if kde_k == 1000:
        assert set(revision.ids) == set(exact.ids)
        assert revision.densities == pytest.approx(exact.densities)
        assert selector.recall(sample=100) == 1
        assert fed(**settings).recall() is None
    else:
        assert selector.recall() < 0.9
    selector.remove(revision.ids[:10])
    selector.add(["x", "y"], DOCUMENTS[:2] + 0.01)
    assert selector.refresh().number == 2
    switched = fed(**settings, exact_limit=50).refresh()
    assert "approximate_density" in switched.reasons


def test_documents_expire_by_event_time():
    settings = {"scope": "corpus", "ttl": 100, "sigma": 0.6, "budget": 20}
    selector = fed(**settings)
    revision = selector.refresh()
    assert revision.live_documents == 100
    assert set(revision.ids) <= set(IDS[500:])
    report = selector.add(["late"], DOCUMENTS[:1], timestamps=np.array([499]))
    assert report.expired == 1
    assert not selector.holds(["late"])[0]


def test_a_loaded_selector_goes_on_where_the_saved_one_was(tmp_path):
    selector = fed(300, sigma="auto", calibration=200)
    revision = selector.refresh()
    selector.save(tmp_path / "state")
    loaded = Selector.load(tmp_path / "state")
    assert loaded.config == selector.config
    assert loaded.sigma == selector.sigma
    again = loaded.refresh()
    assert again.digest == revision.digest
    assert again.number == revision.number
    for one in (selector, loaded):
        one.add(IDS[300:], DOCUMENTS[300:])
    assert loaded.refresh().digest == selector.refresh().digest


def test_a_snapshot_is_not_touched_by_what_comes_later(tmp_path):
    selector = fed(300)
    digest = selector.refresh().digest
    snapshot = selector.snapshot()
    selector.add(IDS[300:], DOCUMENTS[300:])
    selector.refresh()
    thread = threading.Thread(target=snapshot.write, args=(tmp_path / "state",))
    thread.start()
    thread.join()
    assert Selector.load(tmp_path / "state").preview().digest == digest


def test_damaged_or_foreign_state_is_refused(tmp_path):
    fed(100).save(tmp_path / "state")
    with pytest.raises(OSError, match=r"selector\.json"):
        Selector.load(tmp_path)
    meta = tmp_path / "state" / "selector.json"
    text = meta.read_text()
    meta.write_text(text.replace('"format": 1', '"format": 99'))
    with pytest.raises(ValueError, match="format 99"):
        Selector.load(tmp_path / "state")
    meta.write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match="whole selector state"):
        Selector.load(tmp_path / "state")


def test_a_crowd_that_arrives_later_is_cut_at_kde_k_and_said_so():
    selector = fed(100, sigma=1.0, max_k=600, index="hnsw", kde_k=30)
    selector.refresh()
    near = DOCUMENTS[:1] + np.random.default_rng(0).normal(scale=0.01, size=(200, 16))
    selector.add([f"near-{k}" for k in range(200)], near)
    revision = selector.refresh()
    assert "saturated" in revision.reasons
    assert np.nanmax(revision.densities) <= 31
