"""A monitor on real runs: what the status document says is what has happened, and watching never harms the run."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.engine_fakes import ListLog
from tests.monitoring.runs import settings_of, watched_run
from tsds_stream.config import Settings
from tsds_stream.engine import Engine
from tsds_stream.exit_status import CommandError
from tsds_stream.lock import WriterLock
from tsds_stream.monitoring.monitor import Monitor
from tsds_stream.streams.revisions import open_revision

Json = dict[str, Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Json]]:
    root = tmp_path_factory.mktemp("watched")
    return root, watched_run(root)


def small(root: Path) -> Settings:
    """A run over a hundred documents."""
    tree = settings_of(root, {})
    (root / "documents").mkdir(parents=True)
    lines = (json.dumps({"id": f"d{k}", "text": f"word{k % 7} and {k % 11}"}) for k in range(100))
    (root / "documents" / "all.jsonl").write_text("\n".join(lines) + "\n")
    (root / "targets.jsonl").write_text(json.dumps({"id": "t", "text": "word1"}) + "\n")
    tree["target_sets"] = [{"name": "default", "targets": str(root / "targets.jsonl"), "budget": 5}]
    return Settings.model_validate(tree)


def finish(settings: Settings, **options: Any) -> tuple[Json, ListLog]:
    """Run to the end; the last status document, and the log."""
    log = ListLog()
    with Monitor(settings, log, interval=0.05, **options) as monitor:
        Engine.from_settings(settings, log=log, observer=monitor).run()
    return stored(settings), log


def stored(settings: Settings) -> Json:
    found: Json = json.loads((Path(settings.state.directory) / "status.json").read_bytes())
    return found


def test_the_last_document_says_what_is_published(run: tuple[Path, list[Json]]) -> None:
    root, seen = run
    last = seen[-1]
    assert last["process"]["phase"] == "stopped"
    assert last["process"]["exit"] is None
    assert json.loads((root / "state" / "status.json").read_bytes()) == last
    for name, one in last["sets"].items():
        revision = open_revision(root / "selection", name)
        record = revision.record
        assert (one["revision"], one["size"], one["digest"]) == (record["revision"], record["size"], record["digest"])
        assert (one["exact"], one["reasons"]) == (record["exact"], record["reasons"])
        assert one["added"] - one["removed"] == one["size"]
        assert {entry["id"] for entry in one["watch"]["entered"]} & set(revision.ids)
        assert sum(group["asked"] for group in one["watch"]["groups"]) == pytest.approx(1.0)


def test_what_was_read_is_applied_or_a_dead_letter(run: tuple[Path, list[Json]]) -> None:
    _, seen = run
    flow = seen[-1]["flow"]
    assert flow["documents_applied"] > 4000
    assert flow["documents_applied"] + sum(flow["dead_letters"].values()) == flow["documents_read"]
    assert flow["lag"]["bytes"] == 0
    assert set(flow["dead_letters"]) == {"decode", "no_text"}


def test_counters_only_grow(run: tuple[Path, list[Json]]) -> None:
    _, seen = run
    for before, after in pairwise(seen):
        for name in ("documents_read", "documents_applied", "bytes_read", "retractions", "embedded"):
            assert after["flow"][name] >= before["flow"][name]
        for name, one in before["sets"].items():
            assert after["sets"][name]["revision"] >= one["revision"]
            assert after["sets"][name]["added"] >= one["added"]


def test_a_restart_goes_on_with_the_baseline_that_was_frozen(tmp_path: Path) -> None:
    settings = with_drift(small(tmp_path))
    first, _ = finish(settings)
    assert first["drift"]["state"] == "watching"
    more = "\n".join(json.dumps({"id": f"e{k}", "text": f"word{k % 7} and {k % 11}"}) for k in range(30))
    (tmp_path / "documents" / "more.jsonl").write_text(more + "\n")
    second, _ = finish(settings)
    assert second["drift"]["baseline"] == first["drift"]["baseline"]
    assert second["drift"]["looked_at"] == first["drift"]["looked_at"] + 30
    assert second["sets"]["default"]["watch"]["coverage_distance"] is not None


def with_drift(settings: Settings, **options: Any) -> Settings:
    """Small windows, and every document looked at."""
    small_windows = {"warmup": 0, "baseline": 100, "short_window": 20, "long_window": 40, "rate": 1e6}
    drift = settings.monitoring.drift.model_copy(update=small_windows | options)
    monitoring = settings.monitoring.model_copy(update={"drift": drift})
    return settings.model_copy(update={"monitoring": monitoring})


def test_the_baseline_of_another_run_counts_from_the_moment_it_is_named(tmp_path: Path) -> None:
    other = with_drift(small(tmp_path / "other"))
    theirs, _ = finish(other)
    file = Path(other.state.directory) / "monitoring" / "drift.npz"
    settings = small(tmp_path / "own")
    own, _ = finish(with_drift(settings))
    assert own["drift"]["baseline"]["source"] == "stream"
    found, log = finish(with_drift(settings, baseline_file=file))
    assert found["drift"]["baseline"] == {**theirs["drift"]["baseline"], "source": "file"}
    again, _ = finish(with_drift(settings, baseline_file=file))
    assert again["drift"]["baseline"] == found["drift"]["baseline"]
    kept, log = finish(with_drift(small(tmp_path / "third"), baseline_file=tmp_path / "nothing"))
    assert kept["drift"]["baseline"]["source"] == "stream"
    assert "the baseline cannot be used" in log.events("error")


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    settings = small(tmp_path)
    (tmp_path / "targets.jsonl").write_text("")
    with pytest.raises(CommandError, match="no target example"):
        finish(settings)
    found = stored(settings)
    assert found["process"]["phase"] == "stopped"
    assert "no target example" in found["process"]["exit"]


def test_who_does_not_get_the_state_directory_leaves_its_status_alone(tmp_path: Path) -> None:
    settings = small(tmp_path)
    before, _ = finish(settings)
    root = Path(settings.state.directory)
    with WriterLock(root / "lock", "The state"), pytest.raises(CommandError, match="has a writer already"):
        finish(settings)
    assert stored(settings) == before


def test_a_watcher_that_fails_ends_nothing(tmp_path: Path) -> None:
    def fail(status: Json) -> None:
        raise RuntimeError("nobody looks")

    found, log = finish(small(tmp_path), watchers=[fail])
    assert found["sets"]["default"]["size"] == 5
    assert ("error", "monitoring failed") in [(level, event) for level, event, _ in log.lines]


def test_watching_can_be_switched_off(tmp_path: Path) -> None:
    settings = small(tmp_path)
    drift = settings.monitoring.drift.model_copy(update={"enabled": False})
    settings = settings.model_copy(update={"monitoring": settings.monitoring.model_copy(update={"drift": drift})})
    found, _ = finish(settings)
    assert found["drift"]["state"] == "off"
    assert found["sets"]["default"]["watch"] is None
    assert not (tmp_path / "state" / "monitoring").exists()


def test_what_one_watch_has_learnt_is_kept_where_that_of_another_cannot_be(tmp_path: Path) -> None:
    settings = small(tmp_path)
    kept = tmp_path / "state" / "monitoring"
    (kept / "drift.npz").mkdir(parents=True)
    last, _ = finish(settings)
    assert last["process"]["exit"] is None
    assert {path.name for path in kept.glob("selection-*.npz")} == {f"selection-{name}.npz" for name in last["sets"]}
