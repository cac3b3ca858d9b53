"""What the status file of a state directory says, together with the lock of that directory."""

from __future__ import annotations

from pathlib import Path

from tests.monitoring.samples import HOUR, NOW, SECOND, Json, sample
from tsds_stream.lock import WriterLock, holder_of
from tsds_stream.monitoring.health import judge, judge_stored

HOLDER = "process 4711 on a-host"


def stopped(error: str | None = None) -> Json:
    status = sample()
    status["process"].update(phase="stopped", exit=error)
    return status


def test_a_run_that_holds_the_lock_is_judged_by_its_document():
    assert judge_stored(sample(), NOW, HOLDER) == judge(sample(), NOW)


def test_a_run_that_was_killed_is_down_however_fresh_its_document():
    health = judge_stored(sample(), NOW + SECOND, None)
    assert health.state == "down"
    assert health.sentence.startswith("Down: process 4711 ended without a word; it was last heard of 1 s ago.")
    assert health.warnings[0].code == "stalled"


def test_a_finished_run_needs_no_lock():
    assert judge_stored(stopped(), NOW + 24 * HOUR, None) == judge(stopped(), NOW + 24 * HOUR)
    assert judge_stored(stopped(), NOW + 24 * HOUR, None).state == "healthy"


def test_a_failed_run_says_why():
    health = judge_stored(stopped("no space is left"), NOW, None)
    assert (health.state, "no space is left" in health.sentence) == ("down", True)


def test_a_run_that_begins_after_another_one_has_ended_is_starting():
    for before in (stopped(), stopped("no space is left"), sample()):
        health = judge_stored(before, NOW + HOUR, "process 4712 on a-host")
        assert (health.state, health.sentence.split(";")[0]) == ("healthy", "Healthy: starting")


def test_a_process_that_holds_the_lock_and_tells_nothing_is_stuck():
    health = judge_stored(sample(), NOW + 20 * SECOND, HOLDER)
    assert health.sentence.startswith("Down: process 4711 runs, but has not told its status for 20 s: it is stuck.")


def test_asking_for_the_holder_of_a_lock_leaves_it_alone(tmp_path: Path):
    path = tmp_path / "lock"
    assert holder_of(path) is None
    with WriterLock(path, "This"):
        before = path.read_bytes()
        assert (holder_of(path) or "").startswith("process ")
        assert path.read_bytes() == before
    assert holder_of(path) is None
    WriterLock(path, "This").close()  # asking did not keep it
