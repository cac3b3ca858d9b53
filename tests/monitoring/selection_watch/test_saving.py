"""A watch that was saved goes on; one that cannot be read begins anew."""

from __future__ import annotations

import numpy as np
import pytest

from tests.monitoring.selection_watch.cases import Story
from tests.selection.selector_cases import DOCUMENTS, IDS, TARGETS
from tsds_stream import SelectorConfig
from tsds_stream.monitoring.selection_watch import SelectionWatch, load, save

SAVED_NOT = {"churn"}  # counters since the start of the process, as all others are


@pytest.fixture
def story() -> Story:
    story = Story(TARGETS, SelectorConfig(budget=20, calibration=100))
    for start in range(0, 600, 20):
        story.add(IDS[start : start + 20], DOCUMENTS[start : start + 20], source=f"s{start % 3}")
        story.publish(after=200_000)
    return story


def test_the_document_is_the_same_before_anything_new_is_published(story, tmp_path):
    path = tmp_path / "monitoring" / "watch.npz"
    save(story.watch, path)
    watch = SelectionWatch()
    assert load(watch, path)
    before, after = story.document(), watch.document(story.now)
    assert after is not None
    assert after.keys() == before.keys()
    for name in before.keys() - SAVED_NOT:
        expected = pytest.approx(before[name], abs=1e-6) if isinstance(before[name], float) else before[name]
        assert after[name] == expected, name
    assert before["tv_hour"] is not None
    assert before["cost_trend"] is not None
    assert watch.pace.windows == story.watch.pace.windows != []


def test_a_watch_that_has_seen_nothing_can_be_saved(tmp_path):
    save(SelectionWatch(), tmp_path / "watch.npz")
    watch = SelectionWatch()
    assert load(watch, tmp_path / "watch.npz")
    assert watch.document(1) is None


def test_a_file_that_is_missing_or_damaged_changes_nothing(story, tmp_path):
    path = tmp_path / "watch.npz"
    assert not load(SelectionWatch(), path)
    save(story.watch, path)
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"x" * 100, whole[:200] + b"?" * 64 + whole[264:]):
        path.write_bytes(damaged)
        watch = SelectionWatch()
        assert not load(watch, path)
        assert watch.document(story.now) is None


def test_any_flipped_bit_is_noticed_or_harmless(story, tmp_path):
    path = tmp_path / "watch.npz"
    save(story.watch, path)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    ends = np.r_[0:600, len(whole) - 600 : len(whole)]
    for place in (*random.choice(ends, 300), *random.integers(0, len(whole), 300)):
        flipped = bytes([whole[place] ^ (1 << random.integers(8))])
        path.write_bytes(whole[:place] + flipped + whole[place + 1 :])
        watch = SelectionWatch()
        if not load(watch, path):
            assert watch.document(story.now) is None, place


def test_a_configured_distance_of_coverage_precedes_the_saved_one(story, tmp_path):
    save(story.watch, tmp_path / "watch.npz")
    watch = SelectionWatch(coverage_distance=0.5)
    assert load(watch, tmp_path / "watch.npz")
    assert watch.coverage.distance == 0.5
