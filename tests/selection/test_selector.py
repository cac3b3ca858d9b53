"""What a selector promises to those who call it."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from tsds_stream import Selector, SelectorConfig, select
from tsds_stream.selection.arithmetic import canonical

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(12, 16))


def cloud(n: int, seed: int = 1, centres: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (CENTRES[rng.integers(0, centres, n)] + 0.5 * rng.normal(size=(n, 16))).astype(np.float32)


TARGETS = cloud(8, seed=2, centres=3)
DOCUMENTS = cloud(600)
IDS = [f"doc-{k:04}" for k in range(600)]


def fed(n: int = 600, **settings: object) -> Selector:
    selector = Selector(TARGETS, SelectorConfig(**{"budget": 20, "sigma": 0.6, **settings}))
    columns = {"tokens": np.full(n, 10), "timestamps": np.arange(n)}
    selector.add(IDS[:n], DOCUMENTS[:n], **columns)
    return selector


# -- revisions ------------------------------------------------------------------------------------------------------


def test_there_is_no_revision_before_a_document():
    selector = Selector(TARGETS)
    assert selector.refresh() is None
    selector.add([], np.empty((0, 16)))
    assert selector.refresh() is None
    with pytest.raises(ValueError, match="no selection before"):
        selector.probabilities()


def test_refresh_returns_the_same_revision_while_nothing_changes():
    selector = fed()
    first = selector.refresh()
    assert first.number == 1
    assert selector.refresh() is first
    selector.add(["far"], -TARGETS[:1])
    assert selector.refresh() is first, "a document that reaches no shortlist changes nothing"
    assert selector.explain(first.ids[0]).state == "selected"
    assert selector.refresh() is first


def test_revisions_are_numbered_and_say_what_changed():
    selector = fed(300)
    first = selector.refresh()
    assert first.added == first.ids
    assert first.removed == []
    selector.add(IDS[300:], DOCUMENTS[300:])
    second = selector.refresh()
    assert second.number == 2
    assert sorted((set(first.ids) | set(second.added)) - set(second.removed)) == second.ids
    selector.renumber(7)
    selector.remove(second.ids[:1])
    assert selector.refresh().number == 8


def test_everything_retracted_leaves_an_empty_revision():
    selector = fed(50, max_k=1000)
    selector.refresh()
    assert selector.remove(IDS[:50]).removed == 50
    revision = selector.refresh()
    assert revision.ids == []
    assert revision.exact
    assert revision.short_of_budget


def test_probabilities_sum_to_one_and_agree_with_the_revision():
    selector = fed()
    revision = selector.refresh()
    ids, p = selector.probabilities()
    assert ids == sorted(ids)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert len(ids) == revision.support
    mass = dict(zip(ids, p.tolist(), strict=True))
    assert [mass[name] for name in revision.ids] == revision.probabilities.tolist()
    assert (selector.densities(revision.ids) == revision.densities).all()


def test_support_smaller_than_the_budget_is_published_whole_and_flagged():
    revision = select(DOCUMENTS, TARGETS, budget=100, sigma=0.6, alpha=0.95, max_k=400)
    assert revision.short_of_budget
    assert len(revision) == revision.support < 100
    assert "short_of_budget" in {notice.code for notice in revision.warnings}
    filled = select(DOCUMENTS, TARGETS, budget=100, sigma=0.6, alpha=revision.filling_alpha, max_k=400)
    assert len(filled) == 100


# -- documents ------------------------------------------------------------------------------------------------------


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


# -- sigma ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 7, 100, 600])
def test_calibration_depends_on_the_stream_and_not_on_its_batches(batch):
    selector = Selector(TARGETS, SelectorConfig(budget=20, calibration=250))
    for start in range(0, 600, batch):
        selector.add(IDS[start : start + batch], DOCUMENTS[start : start + batch])
    reference = Selector(TARGETS, SelectorConfig(budget=20, calibration=250))
    reference.add(IDS[:250], DOCUMENTS[:250])
    assert reference.calibrated
    assert selector.sigma == reference.sigma


def test_revisions_are_provisional_until_sigma_is_frozen():
    selector = Selector(TARGETS, SelectorConfig(budget=20))
    selector.add(IDS[:300], DOCUMENTS[:300])
    assert selector.refresh().reasons == ("provisional",)
    frozen = selector.calibrate()
    revision = selector.refresh()
    assert revision.exact
    assert revision.sigma == frozen == selector.sigma
    nearest = np.sqrt(((canonical(TARGETS)[:, None] - canonical(DOCUMENTS[:300])[None]) ** 2).sum(2)).min(1)
    assert frozen == pytest.approx(0.65 * np.median(nearest), rel=1e-6)


def test_a_numeric_sigma_is_never_calibrated():
    with pytest.raises(ValueError, match="only sigma = auto"):
        fed().calibrate()
    with pytest.raises(ValueError, match="at least one"):
        Selector(TARGETS).calibrate()


# -- settings -------------------------------------------------------------------------------------------------------


def test_all_impossible_settings_are_named_at_once():
    with pytest.raises(ValueError, match=r"(?s)tv.*alpha.*corpus.*capacity"):
        SelectorConfig(regularizer="tv", scope="corpus")
    with pytest.raises(ValueError, match=r"bugdet"):
        SelectorConfig(bugdet=3)


@pytest.mark.parametrize("changes", [{"budget": 7}, {"alpha": 0.4}, {"sigma": 0.9}, {"mode": "top"}, {"seed": 5},
                                     {"regularizer": "uniform"}, {"spread": 3.0}, {"min_distance": 0.8}])  # fmt: skip
def test_a_preview_is_what_a_selector_with_these_settings_selects(changes):
    selector = fed()
    before = selector.refresh()
    preview = selector.preview(**changes)
    fresh = fed(**changes).refresh()
    assert preview.number == 0
    if "seed" not in changes:
        assert preview.digest == fresh.digest
    assert selector.refresh() is before
    selector.reconfigure(SelectorConfig(**{"budget": 20, "sigma": 0.6, **changes}))
    assert selector.refresh().digest == fresh.digest


def test_structural_settings_need_the_documents_again():
    selector = fed()
    with pytest.raises(ValueError, match="max_k"):
        selector.preview(max_k=5)
    with pytest.raises(ValueError, match=r"slack.*read the documents again"):
        selector.reconfigure(SelectorConfig(budget=20, sigma=0.6, slack=3))


def test_warnings_are_data_and_sentences():
    many = select(DOCUMENTS, cloud(200, seed=3), budget=20, sigma=5.0)
    codes = {notice.code for notice in many.warnings}
    assert {"density_without_effect", "sigma_too_wide"} <= codes
    assert all(notice.sentence for notice in many.warnings)
    cut = select(DOCUMENTS, TARGETS, budget=500, sigma=0.5, max_k=5)
    assert cut.reasons == ("truncated",)
    assert cut.truncated > 0
    assert "truncated" in {notice.code for notice in cut.warnings}


# -- targets --------------------------------------------------------------------------------------------------------


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
    selector = Selector(TARGETS, SelectorConfig(scope="corpus", capacity=200, sigma=0.6, budget=5, max_k=10, slack=0))
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


# -- explanations ---------------------------------------------------------------------------------------------------


def test_explanations_tell_each_state_apart():
    selector = fed(alpha=0.75, max_k=60)
    revision = selector.refresh()
    ids, _ = selector.probabilities()
    selected = selector.explain(revision.ids[0])
    assert selected.state == "selected"
    assert selected.rank <= selected.threshold
    candidate = selector.explain(next(name for name in ids if name not in revision.ids))
    assert candidate.state == "candidate"
    assert candidate.rank > candidate.threshold
    held = [name for name, _ in selector.held()]
    idle = next(name for name in held if name not in ids)
    assert selector.explain(idle).state in {"shortlisted", "far"}
    assert selector.explain("never").state == "unknown"
    for name in (revision.ids[0], candidate.id, idle, "never"):
        assert all(line.endswith(".") for line in selector.explain(name).sentences())
    nearest = selector.nearest_targets([revision.ids[0]])[0]
    assert [near.id for near in selected.nearest] == [name for name, _ in nearest]
    assert [near.distance for near in selected.nearest] == [distance for _, distance in nearest]


def test_a_document_that_is_not_held_is_explained_by_its_embedding():
    selector = fed(max_k=20)
    selector.refresh()
    near = selector.explain_embedding(TARGETS[0] + 0.01)
    assert near.would_be_probability > 0
    far = selector.explain_embedding(-TARGETS[0])
    assert far.state == "far"
    assert far.would_be_probability == 0
    with pytest.raises(ValueError, match="zero"):
        selector.explain_embedding(np.zeros(16))


def test_an_estimated_probability_is_near_the_real_one():
    selector = fed(max_k=200)
    vector = cloud(1, seed=77, centres=3)[0]
    estimate = selector.explain_embedding(vector).would_be_probability
    selector.add(["it"], vector[None])
    ids, p = selector.probabilities()
    real = dict(zip(ids, p.tolist(), strict=True)).get("it", 0.0)
    assert estimate == pytest.approx(real, rel=0.5, abs=2e-3)


# -- state ----------------------------------------------------------------------------------------------------------


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


# -- batch ----------------------------------------------------------------------------------------------------------


def test_select_takes_texts():
    texts = [f"the socket listens on port {k}" for k in range(40)]
    texts += [f"bake the cake for {k} minutes" for k in range(40)]
    # They are near-copies of each other: with `kde` they would share the mass of two documents.
    revision = select(texts, ["network sockets", "listening on a port"], budget=10, regularizer="uniform")
    assert len(revision) == 10
    assert all(int(name) < 40 for name in revision.ids)


def test_select_says_which_document_cannot_be_used():
    bad = DOCUMENTS.copy()
    bad[5] = np.nan
    with pytest.raises(ValueError, match=r"'5' cannot be used: non-finite"):
        select(bad, TARGETS, budget=3)
    with pytest.raises(ValueError, match="nothing to select"):
        select(np.empty((0, 16)), TARGETS, budget=3)


def test_public_dataclasses_are_immutable():
    revision = fed(50).refresh()
    with pytest.raises(AttributeError):
        revision.number = 5
    assert replace(revision, number=5).number == 5
