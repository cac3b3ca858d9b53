"""What a selector promises to those who call it: revisions, settings, explanations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.selection.selector_cases import DOCUMENTS, IDS, TARGETS, cloud, fed
from tsds_stream import Selector, SelectorConfig, select
from tsds_stream.selection.arithmetic import canonical


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
    selector = fed(mode="coordinated")
    revision = selector.refresh()
    ids, p = selector.probabilities()
    assert ids == sorted(ids)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert len(ids) == revision.support
    mass = dict(zip(ids, p.tolist(), strict=True))
    assert [mass[name] for name in revision.ids] == revision.probabilities.tolist()
    assert (selector.densities(revision.ids) == revision.densities).all()


def test_support_smaller_than_the_budget_is_published_whole_and_flagged():
    settings = {"budget": 100, "sigma": 0.6, "max_k": 400, "mode": "coordinated"}
    revision = select(DOCUMENTS, TARGETS, alpha=0.95, **settings)
    assert revision.short_of_budget
    assert len(revision) == revision.support < 100
    assert "short_of_budget" in {notice.code for notice in revision.warnings}
    filled = select(DOCUMENTS, TARGETS, alpha=revision.filling_alpha, **settings)
    assert len(filled) == 100


def test_one_text_or_an_iterator_in_place_of_a_list_is_named():
    with pytest.raises(ValueError, match="documents must be a list of texts"):
        select("one text", TARGETS)
    with pytest.raises(ValueError, match="targets must be a list of texts"):
        select(DOCUMENTS, iter(TARGETS))


def test_the_advice_for_an_unfilled_budget_is_one_that_helps():
    def advice(**settings) -> str:
        revision = select(DOCUMENTS[:60], TARGETS, **{"sigma": 0.6, "mode": "coordinated", **settings})
        return "".join(notice.sentence for notice in revision.warnings if notice.code == "short_of_budget")

    assert "lower alpha" in advice(budget=50, alpha=0.999, max_k=400)
    assert advice(budget=61, max_k=400).endswith("there are no others, apart from copies")
    assert advice(budget=61, max_k=3).endswith("the shortlists hold no more; raise max_k")
    assert advice(budget=60, max_k=400) == ""  # full
    assert advice(budget=50, max_k=400, min_distance=1.3).endswith("lower min_distance, or raise spread")

    turns = {"mode": "turns", "min_distance": None}
    assert advice(budget=61, max_k=400, **turns).endswith("there are no others, apart from copies")
    assert advice(budget=61, max_k=3, **turns).endswith("raise max_k")
    assert advice(budget=60, max_k=400, **turns) == ""
    apart = advice(budget=50, max_k=400, mode="turns", sigma=1.3)
    assert "of 60 documents on the shortlists could be taken" in apart
    assert apart.endswith("lower min_distance")
    assert advice(budget=50, max_k=3, mode="turns", sigma=1.3).endswith("lower min_distance, or raise max_k")


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


def test_a_sigma_that_was_published_can_be_taken_up():
    selector = Selector(TARGETS, SelectorConfig(budget=20))
    assert selector.calibrate(0.55) == 0.55
    selector.add(IDS, DOCUMENTS)
    assert selector.refresh().sigma == 0.55
    with pytest.raises(ValueError, match="between"):
        Selector(TARGETS).calibrate(-1.0)


def test_a_numeric_sigma_is_never_calibrated():
    with pytest.raises(ValueError, match="only sigma = auto"):
        fed().calibrate()
    with pytest.raises(ValueError, match="at least one"):
        Selector(TARGETS).calibrate()


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
    many = select(DOCUMENTS, cloud(200, seed=3), budget=20, sigma=5.0, mode="coordinated")
    codes = {notice.code for notice in many.warnings}
    assert {"density_without_effect", "sigma_too_wide"} <= codes
    assert all(notice.sentence for notice in many.warnings)
    same = select(DOCUMENTS, cloud(200, seed=3), budget=20, sigma=5.0)
    assert {"sigma_too_wide"} == {notice.code for notice in same.warnings} - {"short_of_budget", "truncated"}
    among = select(TARGETS, TARGETS, budget=5, max_k=1, slack=0)
    assert "targets_among_documents" in {notice.code for notice in among.warnings}
    cut = select(DOCUMENTS, TARGETS, budget=500, sigma=0.5, max_k=5)
    assert cut.reasons == ("truncated",)
    assert cut.truncated > 0
    assert "truncated" in {notice.code for notice in cut.warnings}


def test_explanations_tell_each_state_apart():
    selector = fed(alpha=0.75, max_k=60, mode="coordinated")
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


def test_select_takes_texts():
    texts = [f"the socket listens on port {k}" for k in range(40)]
    texts += [f"bake the cake for {k} minutes" for k in range(40)]
    # They are near-copies of each other: sigma apart there would be two documents.
    revision = select(texts, ["network sockets", "listening on a port"], budget=10, min_distance=None)
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
