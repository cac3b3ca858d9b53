"""What Prometheus calls somebody for is what `tsds-stream status` holds for trouble, at the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.monitoring.deploy.files import Json, alerts
from tests.monitoring.deploy.judging import Growth, code_of, firing, with_history
from tests.monitoring.samples import NOW, sample, two_sets
from tsds_stream.monitoring import thresholds
from tsds_stream.monitoring.health import judge

Change = Callable[[Json], Any]
BELOW, ABOVE = 0.8, 1.3  # of a threshold
GROWS: Growth = {"lag.records": 1000.0, "documents_read": 60_000.0}
READS: Growth = {"documents_read": 60_000.0, "bytes_read": 9e6}


def ago(seconds: float) -> int:
    return NOW - int(seconds * 1000)


def silent(factor: float) -> Change:
    return lambda s: (
        s.update(created=ago(factor * thresholds.STATUS_SILENT)),
        s["process"].update(ticked=s["created"]),
    )


def starting(factor: float) -> Change:
    moment = ago(factor * thresholds.STARTING_STALLED)
    return lambda s: s["process"].update(phase="starting", started=moment, ticked=moment)


def checkpoint(factor: float, interval: float = 30.0) -> Change:
    limit = max(thresholds.CHECKPOINT_STALE, thresholds.CHECKPOINT_STALE_INTERVALS * interval)
    return lambda s: (
        s["checkpoints"].update(last=ago(factor * limit)),
        s["configuration"].update(checkpoint_interval=interval),
    )


def behind(factor: float) -> Change:
    return lambda s: s["flow"].update(lag={"records": 900_000.0, "seconds": factor * thresholds.LAG_HIGH})


def letters(factor: float) -> Growth:
    return {**READS, "dead_letters.text": factor * thresholds.DEAD_LETTERS_SHARE * READS["documents_read"]}


def many_letters(status: Json) -> None:
    status["flow"]["documents_read"] = 10_000_000
    status["flow"]["dead_letters"] = {"text": 100_000}


def uncovered(factor: float, **of_set: Any) -> Change:
    number = factor * thresholds.UNCOVERED_SHARE * 1000
    return lambda s: (
        s["sets"]["default"].update(targets_active=1000, **of_set),
        s["sets"]["default"]["watch"].update(uncovered=int(number)),
    )


def in_set(**changes: Any) -> Change:
    return lambda s: s["sets"]["default"].update(changes)


def drift(score: float, ready: bool = True) -> Change:
    return lambda s: s["drift"]["signals"][-1].update(score=score, ready=ready)


def recall(factor: float) -> Change:
    found = 1 - factor * (1 - thresholds.RECALL_LOW)
    return lambda s: s["sets"]["default"]["index"].update(kind="hnsw", recall=found)


def selection_drift(factor: float) -> Change:
    drift = {"statistic": 0.1, "threshold": 0.1, "score": factor * thresholds.DRIFT_SCORE}
    return lambda s: s["sets"]["default"]["watch"].update(selection_drift=drift)


def at(factor: float) -> dict[str, tuple[Change, Growth]]:
    """Documents whose one value is so far below or above its threshold."""

    def read(age: float) -> Change:
        return lambda s: s["flow"].update(last_read=ago(age), queued_documents=0)

    return {
        "loop": (lambda s: s["process"].update(ticked=ago(factor * thresholds.LOOP_STALLED)), {}),
        "silent": (silent(factor), {}),
        "starting": (starting(factor), {}),
        "source": (read(factor * thresholds.SOURCE_SILENT), {}),
        "heartbeat": (lambda s: s["publishing"].update(heartbeat=ago(factor * thresholds.HEARTBEAT_STALE)), {}),
        "checkpoint": (checkpoint(factor), READS),
        "rare checkpoint": (checkpoint(factor, interval=120.0), READS),
        "lag": (behind(factor), GROWS),
        "letters": (many_letters, letters(factor)),
        "recall": (recall(factor), {}),
        "memory": (lambda s: s["process"].update(resident_bytes=int(factor * thresholds.MEMORY_HIGH * 8e9)), {}),
        "uncovered": (uncovered(factor), {}),
        "stream drift": (drift(factor * thresholds.DRIFT_SCORE), {}),
        "selection drift": (selection_drift(factor), {}),
    }


def filling(status: Json) -> None:
    uncovered(9.0, short_of_budget=True, documents_seen=9000, budget=1000)(status)
    status["flow"].update(documents_applied=9000)


def cases() -> dict[str, tuple[Json, Growth]]:
    """Documents on both sides of each threshold, and those whose circumstances excuse them."""
    found: dict[str, tuple[Change, Growth]] = {"healthy": (lambda s: None, READS)}
    found |= {f"{name} below": case for name, case in at(BELOW).items()}
    found |= {f"{name} above": case for name, case in at(ABOVE).items()}
    found |= {
        "lag high and shrinking": (behind(ABOVE), {"lag.records": -1000.0, "documents_read": 60_000.0}),
        "source quiet": (lambda s: s["flow"].update(last_read=ago(900), lag={"records": 0.0, "seconds": 0.0}), {}),
        "checkpoint old, stream quiet": (lambda s: (checkpoint(ABOVE)(s), s["flow"].update(last_read=ago(900))), {}),
        "embedder out": (
            lambda s: (s["embedder"].update(out=True, since=ago(900)), s["flow"].update(last_read=ago(900))),
            {},
        ),
        "lists too short": (in_set(truncated=4), {}),
        "filling": (filling, {}),
        "drift not ready": (drift(3.0, ready=False), {}),
        "finished": (lambda s: s["process"].update(phase="stopped", ticked=ago(900)), {}),
    }
    return {name: (_changed(change), growth) for name, (change, growth) in found.items()}


def _changed(change: Change) -> Json:
    status = sample()
    status["flow"]["dead_letters"] = {"text": 4}
    change(status)
    return status


def test_the_rules_raise_what_the_judgement_tells(tmp_path: Path):
    told = cases()
    known = {code_of(rule["alert"]) for rule in alerts()}
    wanted = {
        name: {one.code for one in judge(with_history(status, growth), NOW).warnings} & known
        for name, (status, growth) in told.items()
    }
    assert set().union(*wanted.values()) == known  # each of them is in some case
    assert firing(told, tmp_path) == wanted


def test_they_are_as_grave_as_the_judgement_says():
    grave = {code_of(rule["alert"]): rule["labels"]["severity"] for rule in alerts()}
    told = {
        one.code: one.severity
        for status, growth in cases().values()
        for one in judge(with_history(status, growth), NOW).warnings
    }
    assert {code: told[code] for code in grave} == grave


def test_of_two_sets_only_the_one_in_trouble_is_named(tmp_path: Path):
    status = two_sets()
    status["flow"]["dead_letters"] = {"text": 4}
    assert firing({"two": (status, {})}, tmp_path) == {"two": {"plan_truncated"}}
