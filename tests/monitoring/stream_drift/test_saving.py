"""What survives a restart, and what does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.monitoring.stream_drift.streams import DIMENSION, SMALL, documents, make, reference, topics
from tsds_stream.monitoring.stream_drift import (
    DriftFileError,
    Reference,
    StreamDrift,
    load,
    load_baseline,
    save,
)

SETS = {"task": reference()}


@pytest.mark.parametrize("place", [0, 300, 520, 523, 900])
def test_a_restart_changes_nothing(tmp_path: Path, place: int):
    vectors, lengths = documents(1000, 3)
    straight, stopped = make(), make()
    straight.add(vectors, lengths, now_ms=5)
    stopped.add(vectors[:place], lengths[:place], now_ms=5)
    save(tmp_path / "drift.npz", stopped)
    loaded = load(tmp_path / "drift.npz", SMALL, DIMENSION, SETS)
    assert loaded.reason is None
    assert loaded.drift is not None
    assert loaded.drift.document() == stopped.document()
    loaded.drift.add(vectors[place:], lengths[place:], now_ms=5)
    assert loaded.drift.document() == straight.document()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a run with full windows."""
    drift = make()
    drift.add(*documents(1000, 3), now_ms=5)
    path = tmp_path_factory.mktemp("state") / "drift.npz"
    save(path, drift)
    return path


def test_no_file_is_no_problem(tmp_path: Path):
    loaded = load(tmp_path / "drift.npz", SMALL, DIMENSION, SETS)
    assert (loaded.drift, loaded.reason) == (None, None)


@pytest.mark.parametrize(
    ("options", "dimension", "says"),
    [
        (replace(SMALL, baseline=600), DIMENSION, "another baseline"),
        (replace(SMALL, warmup=1, seed=3), DIMENSION, "another warmup and seed"),
        (SMALL, 5, "another dimension of the embeddings"),
    ],
)
def test_what_does_not_fit_is_left_with_a_reason(kept, options, dimension, says):
    loaded = load(kept, options, dimension, SETS)
    assert loaded.drift is None
    assert loaded.reason is not None
    assert says in loaded.reason


def test_damage_is_noticed_or_harmless(kept: Path, tmp_path: Path):
    whole = kept.read_bytes()
    damaged = tmp_path / "drift.npz"
    sound = load(kept, SMALL, DIMENSION, SETS).drift
    assert sound is not None
    for content in (b"", b"nonsense", whole[:-1], whole[: len(whole) // 2]):
        damaged.write_bytes(content)
        loaded = load(damaged, SMALL, DIMENSION, SETS)
        assert loaded.drift is None
        assert "A new baseline is taken." in (loaded.reason or "")
    of_the_version = whole.rindex(b"PK\x01\x02") + 6
    damaged.write_bytes(whole[:of_the_version] + b"\xff" + whole[of_the_version + 1 :])
    assert load(damaged, SMALL, DIMENSION, SETS).drift is None
    for place in range(200, len(whole) - 2000, len(whole) // 40):
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        loaded = load(damaged, SMALL, DIMENSION, SETS)
        # harmless: for example the time of day in the header of a member
        assert loaded.drift is None or loaded.drift.document() == sound.document(), place


def test_changed_targets_empty_the_windows_of_their_set_only(kept: Path):
    loaded = load(kept, SMALL, DIMENSION, {"task": Reference(topics(3, 5), ["a", "b", "c"])})
    assert loaded.drift is not None
    assert "The targets of task" in (loaded.reason or "")
    ready = {entry["signal"]: entry["ready"] for entry in loaded.drift.document()["signals"]}
    assert ready == {"length": True, "embedding": True, "mean": True, "distance": False, "groups": False}


def test_other_windows_and_another_rate_keep_the_baseline(kept: Path):
    rarer = load(kept, replace(SMALL, false_alarm_rate=0.0001), DIMENSION, SETS)
    other = load(kept, replace(SMALL, long_window=300), DIMENSION, SETS)
    same = load(kept, SMALL, DIMENSION, SETS)
    assert rarer.drift
    assert other.drift
    assert same.drift
    for usual, strict in zip(same.drift.document()["signals"], rarer.drift.document()["signals"], strict=True):
        assert strict["statistic"] == usual["statistic"]
        assert strict["threshold"] > usual["threshold"]
    assert other.drift.document()["state"] == "watching"
    assert not any(entry["ready"] for entry in other.drift.document()["signals"])
    assert "windows have other sizes" in (other.reason or "")


def test_a_baseline_goes_to_another_run(kept: Path, tmp_path: Path):
    first = StreamDrift(SMALL, DIMENSION, SETS, load_baseline(kept, DIMENSION))
    assert first.document()["baseline"] == {"documents": 500, "began": 5, "ended": 5, "source": "file"}
    save(tmp_path / "again.npz", first)
    again = load(tmp_path / "again.npz", replace(SMALL, baseline=700), DIMENSION, SETS)
    assert again.drift is not None
    assert again.drift.document()["baseline"]["source"] == "file"


def test_a_file_without_a_usable_baseline_is_refused(kept: Path, tmp_path: Path):
    with pytest.raises(DriftFileError, match="does not exist"):
        load_baseline(tmp_path / "none.npz", DIMENSION)
    with pytest.raises(DriftFileError, match="vectors of 8 dimensions"):
        load_baseline(kept, 9)
    save(tmp_path / "young.npz", make())
    with pytest.raises(DriftFileError, match="no complete baseline"):
        load_baseline(tmp_path / "young.npz", DIMENSION)
