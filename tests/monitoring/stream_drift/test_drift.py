"""From warm-up to alarm: stories of a stream."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import orjson
import pytest

from tests.monitoring.stream_drift.streams import DIMENSION, SMALL, documents, make, reference, topics, unit, watching
from tsds_stream.monitoring.stream_drift import DriftOptions, Reference, StreamDrift

NEW = topics(3, seed=1234)


def of_sets(drift: StreamDrift, name: str) -> list[dict]:
    return [entry for entry in drift.document()["signals"] if entry["set"] == name]


def test_the_states_follow_one_another_and_tell_what_is_missing():
    drift = make()
    assert drift.document()["state"] == "warming"
    for count, state, needed in ((20, "baseline", 500), (499, "baseline", 1), (1, "watching", 0), (50, "watching", 0)):
        drift.add(*documents(count, seed=count), now_ms=count)
        document = drift.document()
        assert (document["state"], document["needed"]) == (state, needed)
    assert document["looked_at"] == 570
    assert document["baseline"] == {"documents": 500, "began": 499, "ended": 1, "source": "stream"}


def test_every_signal_is_listed_from_the_start_and_is_json():
    before, after = make().document(), watching().document()
    key = [(e["signal"], e["set"], e["window"], e["measure"]) for e in before["signals"]]
    assert key == [(e["signal"], e["set"], e["window"], e["measure"]) for e in after["signals"]]
    assert len(set(key)) == 10
    assert not any(e["ready"] or e["score"] for e in before["signals"])
    assert orjson.loads(orjson.dumps(after)) == after
    assert after["groups"]["task"]["labels"] == ["group 0", "group 1"]


def test_an_unchanged_stream_raises_no_alarm():
    drift = watching()
    for seed in range(1, 9):
        drift.add(*documents(250, seed), now_ms=0)
        assert drift.alarms() == []


def test_a_new_topic_does_and_the_short_window_is_first():
    drift = watching()
    drift.add(*documents(200, 1), now_ms=0)
    vectors, lengths = documents(200, 2, centres=NEW)
    first = {}
    for start in range(0, 200, 5):
        drift.add(vectors[start : start + 5], lengths[start : start + 5], now_ms=0)
        for entry in drift.alarms():
            first.setdefault((entry["signal"], entry["window"]), start + 5)
            assert entry["score"] >= 1
            assert entry["statistic"] >= entry["threshold"]
    assert first["embedding", "short"] < first["embedding", "long"]
    assert {signal for signal, _ in first} >= {"embedding", "mean"}
    assert "length" not in {signal for signal, _ in first}


def test_longer_documents_alarm_by_their_length_alone():
    drift = watching()
    vectors, lengths = documents(250, 2)
    drift.add(vectors, 10 * lengths, now_ms=0)
    assert {entry["signal"] for entry in drift.alarms()} == {"length"}


def test_changed_targets_give_their_set_new_signals_and_leave_the_others_alone():
    drift = watching(code=reference(4, 3), task=reference())
    drift.add(*documents(250, 5), now_ms=0)
    before = drift.document()
    drift.replace("task", Reference(NEW, ["a", "b", "c"]), now_ms=7)
    after = drift.document()
    for name in ("", "code"):
        assert [e for e in after["signals"] if e["set"] == name] == [e for e in before["signals"] if e["set"] == name]
    assert [e["documents"] for e in of_sets(drift, "task")] == [0] * 4
    assert after["groups"]["task"]["labels"] == ["a", "b", "c"]
    drift.add(*documents(200, 6), now_ms=8)
    fresh = watching(code=reference(4, 3), task=Reference(NEW, ["a", "b", "c"]))
    fresh.add(*documents(250, 5), now_ms=0)
    fresh.add(*documents(200, 6), now_ms=8)
    assert drift.document() == fresh.document()


def test_targets_may_change_before_there_is_a_baseline():
    drift = make()
    drift.replace("task", Reference(NEW, ["a", "b", "c"]), now_ms=0)
    drift.add(*documents(570, 1), now_ms=0)
    assert drift.document()["groups"]["task"]["labels"] == ["a", "b", "c"]


def test_a_baseline_serves_another_stream_at_once():
    drift = watching()
    other = StreamDrift(SMALL, DIMENSION, {"task": reference()}, drift.baseline)
    assert other.document()["state"] == "watching"
    assert other.document()["baseline"]["source"] == "file"
    part = documents(250, 4)
    for one in (drift, other):
        one.add(*part, now_ms=0)
    assert other.document()["signals"] == drift.document()["signals"]


TINY = DriftOptions(warmup=0, baseline=50, short_window=1, long_window=3)


@pytest.mark.parametrize(
    ("options", "references"),
    [
        (TINY, {"task": reference()}),
        (replace(SMALL, baseline=100, short_window=400, long_window=900), {"task": reference(1)}),
        (SMALL, {}),
        (SMALL, {"task": Reference(np.zeros((0, DIMENSION), np.float32), [])}),
        (SMALL, {"task": Reference(topics(3), ["one", "one", "one"])}),
    ],
    ids=["tiny windows", "windows longer than the baseline", "no sets", "no targets", "one group"],
)
def test_odd_shapes_are_compared_without_alarm(options, references):
    drift = StreamDrift(options, DIMENSION, references)
    for seed in range(3):
        drift.add(*documents(800, seed), now_ms=0)
    assert all(entry["ready"] for entry in drift.document()["signals"])
    assert drift.alarms() == []


def test_documents_that_are_all_the_same_are_no_alarm_and_others_are():
    drift = make()
    vectors, lengths = np.repeat(topics(1), 10_000, axis=0), np.full(10_000, 77)
    drift.add(vectors, lengths, now_ms=0)
    assert [entry["statistic"] for entry in drift.document()["signals"]] == [0.0] * 10
    drift.add(*documents(3, 1), now_ms=0)
    drift.add(vectors[:2], lengths[:2], now_ms=0)
    assert drift.alarms() == []  # three documents are not a change
    drift.add(*documents(50, 1), now_ms=0)
    assert {entry["signal"] for entry in drift.alarms()} >= {"length", "embedding", "mean", "distance"}


def test_copies_are_equal_in_whatever_batches_they_come():
    vectors = unit(np.random.default_rng(2).standard_normal((41, 256)))
    drift = StreamDrift(SMALL, 256, {"task": Reference(vectors[1:], ["a"] * 40)})
    copies = np.repeat(vectors[:1], SMALL.warmup + SMALL.baseline + 2 * SMALL.long_window, axis=0)
    drift.add(copies, np.full(len(copies), 77), now_ms=0)
    assert [entry["statistic"] for entry in drift.document()["signals"]] == [0.0] * 10


def test_one_dimension():
    drift = StreamDrift(SMALL, 1, {"task": Reference(np.ones((2, 1), np.float32), ["a", "b"])})
    random = np.random.default_rng(0)
    for _ in range(3):
        drift.add(unit(random.standard_normal((300, 1))), random.integers(1, 999, 300), now_ms=0)
    assert drift.alarms() == []
    drift.add(np.ones((60, 1), np.float32), random.integers(1, 999, 60), now_ms=0)
    assert {entry["signal"] for entry in drift.alarms()} >= {"embedding", "mean"}


def test_options_that_cannot_be_are_refused_all_at_once():
    with pytest.raises(ValueError, match=r"warmup is -1.*baseline is 5.*windows are 9 and 3.*false_alarm_rate is 2"):
        DriftOptions(warmup=-1, baseline=5, short_window=9, long_window=3, false_alarm_rate=2)


def test_rows_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="3 lengths and vectors of shape"):
        make().add(np.ones((2, DIMENSION), np.float32), np.ones(3, np.int64), now_ms=0)
    with pytest.raises(ValueError, match="do not match"):
        Reference(np.ones((2, 3), np.float32), ["a"])
