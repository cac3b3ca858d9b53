"""Causes, what entered and left, and the edges, with a real selector."""

from __future__ import annotations

import numpy as np
import orjson
import pytest

from tests.monitoring.selection_watch.cases import Story
from tests.selection.selector_cases import DOCUMENTS, IDS, TARGETS, cloud
from tsds_stream import SelectorConfig
from tsds_stream.monitoring.selection_watch import SelectionWatch, recent
from tsds_stream.monitoring.selection_watch import notice as notices

CONFIG = SelectorConfig(budget=40, calibration=200)


@pytest.fixture
def story() -> Story:
    story = Story(TARGETS, CONFIG)
    story.add(IDS, DOCUMENTS)
    story.publish()
    return story


def churn(story: Story) -> dict[str, dict[str, int]]:
    """Without the causes of nothing."""
    counts = story.document()["churn"]
    assert set(counts) == {"arrivals", "retractions", "expiry", "targets", "configuration"}
    return {cause: both for cause, both in counts.items() if any(both.values())}


def test_before_the_first_revision_there_is_no_document():
    story = Story(TARGETS, CONFIG)
    assert story.publish() is None
    assert story.watch.document(story.now) is None


def test_the_first_revision_is_made_of_arrivals(story):
    document = story.document()
    assert churn(story) == {"arrivals": {"added": 40, "removed": 0}}
    assert document["tv"] is document["turnover"] is document["tv_hour"] is document["cost_trend"] is None
    assert document["left"] == []
    assert document["selection_drift"]["score"] is None
    assert document["groups"][0]["group"].startswith("cluster")
    assert not document["named_groups"]
    assert sum(one["asked"] for one in document["groups"]) == pytest.approx(1)
    orjson.dumps(document)


def test_what_entered_is_shown_with_its_text_and_its_nearest_target(story):
    entered = story.document()["entered"]
    assert len(entered) == 10
    near = story.selector.nearest_targets([one["id"] for one in entered], 1)
    for one, (target,) in zip(entered, near, strict=True):
        assert one["text"] == f"text of {one['id']}"
        assert one["nearest"] == list(target)
        assert (one["revision"], one["cause"], one["time"]) == (1, "arrivals", story.now)
    p = [one["probability"] for one in entered]
    assert p == sorted(p, reverse=True)
    assert p[0] == max(story.notice.revision.probabilities)


def test_retracted_members_and_those_that_take_their_places(story):
    gone = story.notice.revision.ids[:6]
    story.remove([*gone, "never seen"])
    notice = story.publish()
    assert set(notice.left) >= set(gone)
    left = {one["id"]: one["cause"] for one in story.document()["left"]}
    assert all(left[name] == "retractions" for name in gone)
    counts = churn(story)
    assert counts["retractions"] == {"added": 6, "removed": 6}
    assert counts["arrivals"]["added"] == 40 + len(notice.left) - 6


def test_a_member_that_was_retracted_and_came_back_in_time_never_left(story):
    name = story.notice.revision.ids[0]
    vector = story.selector.vectors([name])
    story.remove([name])
    story.add([name], vector)
    story.add(["another"], cloud(1, seed=9))
    story.publish()
    assert "retractions" not in churn(story)


def test_a_member_whose_new_version_is_far_away_left_because_of_arrivals():
    story = Story(TARGETS, SelectorConfig(budget=20, calibration=200, max_k=30, slack=2))
    story.add(IDS, DOCUMENTS)
    name = story.publish().revision.ids[0]
    far = -story.selector.vectors([name])
    story.remove([name])
    story.add([name], far)  # its last record counts
    notice = story.publish()
    assert name in notice.left
    assert not story.selector.holds([name])[0]
    assert notice.gone == {}
    assert churn(story).keys() == {"arrivals"}


def test_expired_members_are_told_from_those_that_were_pushed_out():
    story = Story(TARGETS, SelectorConfig(budget=20, calibration=10, ttl=1000, refill="auto"))
    expired: set[str] = set()
    for k in range(30):
        names = [f"d{k * 20 + i}" for i in range(20)]
        story.add(names, cloud(20, seed=k), timestamps=[k * 100 + i for i in range(20)])
        members = set() if story.notice is None else set(story.notice.revision.ids)
        cutoff = k * 100 + 19 - 1000
        old = {name for name in members if (number := int(name[1:])) // 20 * 100 + number % 20 <= cutoff}
        notice = story.publish()
        if notice is not None:
            assert {name for name, cause in notice.gone.items() if cause == "expiry"} == old
            assert old <= set(notice.left)
            expired |= old
    assert churn(story)["expiry"]["removed"] == len(expired) > 10
    assert churn(story)["arrivals"]["removed"] > 0


def test_a_member_that_is_told_again_with_a_later_time_lives_longer():
    story = Story(TARGETS, SelectorConfig(budget=9, calibration=10, ttl=1000, refill="auto"))
    story.add(["a", "b"], TARGETS[:2], timestamps=[0, 0])
    story.publish()
    story.add(["a", "c"], TARGETS[[0, 2]], timestamps=[900, 900])
    story.add(["d"], cloud(1, seed=4), timestamps=[1500])
    notice = story.publish()
    assert notice.gone == {"b": "expiry"}
    story.add(["e"], -TARGETS[:1], timestamps=[1850])
    assert "a" in story.notice.revision.ids
    story.add(["f"], -TARGETS[:1], timestamps=[1950])
    assert story.publish().gone["a"] == "expiry"


def test_other_targets_and_another_budget_are_causes_of_their_own(story):
    story.selector.remove_targets(story.selector.target_ids[:4])
    story.journal.targets_changed()
    notice = story.publish()
    assert notice.retargeted
    assert churn(story)["targets"] == {"added": len(notice.entered), "removed": len(notice.left)}
    story.restart(SelectorConfig(budget=60, calibration=200), story.watch)
    notice = story.publish()
    assert notice.reconfigured
    assert not notice.retargeted
    assert churn(story)["configuration"] == {"added": len(notice.entered), "removed": len(notice.left)}
    assert len(notice.entered) - len(notice.left) == 20


def test_a_restart_is_no_cause(story):
    story.restart()
    story.add(["new"], TARGETS[:1])
    notice = story.publish()
    assert not notice.reconfigured
    assert not notice.retargeted
    assert notice.arrived == {"new"}
    assert notice.vectors is not None  # of who was not sent again it is not known what is near
    document = story.document()
    assert sum(one["selected"] for one in document["groups"]) == pytest.approx(1)
    assert (story.watch.members.target >= 0).all()
    assert all(one["text"] is None for one in document["left"])


def test_texts_are_kept_of_the_last_members_only(monkeypatch):
    monkeypatch.setattr(recent, "_TEXTS", 30)
    story = Story(TARGETS, CONFIG)
    story.add(IDS, DOCUMENTS)
    story.publish()
    for k in range(20):
        story.add([f"n{k}-{i}" for i in range(30)], cloud(30, seed=100 + k))
        story.publish()
        assert len(story.watch.recent._texts) <= 30
    left = story.document()["left"]
    assert len(left) == 10
    assert {one["text"] for one in left} <= {None, *(f"text of {one['id']}" for one in left)}


def test_arrivals_that_nobody_holds_are_forgotten(monkeypatch, story):
    monkeypatch.setattr(notices, "_MOST_ARRIVALS", 300)
    story.publish()
    story.journal._tidy_at = 300
    for k in range(12):
        story.add([f"far{k}-{i}" for i in range(100)], -np.abs(cloud(100, seed=k)) - TARGETS.mean(0) * 9)
    held = sum(name.startswith("far") for name, _ in story.selector.held())
    assert len(story.journal._arrived) <= max(2 * held, 300) + 100
    assert not any(name in story.journal._arrived for name in ("far0-0",) if not story.selector.holds([name])[0])


def test_everything_retracted_leaves_an_empty_document(story):
    story.remove(IDS)
    story.publish()
    document = story.document()
    assert document["tv"] is None
    assert document["turnover"] == 1
    assert document["group_distance"] is None
    assert document["uncovered"] == len(TARGETS)
    assert document["uncovered_targets"][0]["nearest"] is document["uncovered_targets"][0]["distance"] is None
    assert churn(story)["retractions"]["removed"] == 40
    orjson.dumps(document)


def test_a_configured_distance_of_coverage_is_taken(story):
    story.restart(watch=SelectionWatch(coverage_distance=1e-3))
    story.add(["here"], TARGETS[:1])
    story.publish()
    document = story.document()
    assert document["coverage_distance"] == 1e-3
    assert document["uncovered"] == len(TARGETS) - 1
    assert [one["distance"] for one in document["uncovered_targets"]] == sorted(
        (one["distance"] for one in document["uncovered_targets"]), reverse=True
    )


def test_groups_that_are_renamed_are_shown_before_the_next_revision():
    story = Story(TARGETS, SelectorConfig(budget=20), groups=["old"] * len(TARGETS))
    story.add(IDS, DOCUMENTS)
    story.publish()
    before = story.document()
    story.one.groups = dict.fromkeys(story.one.groups, "new")
    story.watch.regrouped(story.journal.targets_changed())
    after = story.document()
    assert [one["group"] for one in before["groups"]] == ["old"]
    assert after["groups"] == [{**one, "group": "new"} for one in before["groups"]]
    assert {one["group"] for one in after["uncovered_targets"]} <= {"new"}
    assert {**after, "groups": 0, "uncovered_targets": 0} == {**before, "groups": 0, "uncovered_targets": 0}
