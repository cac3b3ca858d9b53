"""The judgement of a run: what is trouble, what is not, and that each trouble says what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.samples import HOUR, MINUTE, NOW, SECOND, empty, failing, sample, two_sets
from tsds_stream.monitoring import thresholds
from tsds_stream.monitoring.health import Health, judge

Json = dict[str, Any]
Change = Callable[[Json], object]


def judged(change: Change, now: int = NOW) -> Health:
    status = sample()
    change(status)
    return judge(status, now)


def codes(health: Health) -> list[str]:
    return [one.code for one in health.warnings]


def lag(status: Json, now: float, before: float, seconds: float) -> None:
    status["flow"]["lag"] = {"records": now, "seconds": seconds}
    at = status["history"]["columns"].index("lag_records")
    for row in status["history"]["rows"]:
        row[at] = before


def history(status: Json, **columns: list[float]) -> None:
    """More columns, the last values of which are these; the others are their first."""
    for name, values in columns.items():
        status["history"]["columns"].append(name)
        rows = status["history"]["rows"]
        for k, row in enumerate(rows):
            row.append(values[max(0, len(values) - len(rows) + k)])


def watch(status: Json, **changes: object) -> None:
    status["sets"]["default"]["watch"].update(changes)


def one(status: Json, **changes: object) -> None:
    status["sets"]["default"].update(changes)


def drifts(status: Json, score: float, ready: bool = True) -> None:
    for signal in status["drift"]["signals"]:
        if signal["signal"] == "embedding":
            signal.update(score=score, ready=ready)


TROUBLE: dict[str, list[tuple[str, Change]]] = {
    "falling_behind": [("it grows", lambda s: lag(s, 900_000.0, 700_000.0, 600.0))],
    "source_absent": [
        ("records wait", lambda s: s["flow"].update(last_read=NOW - 6 * MINUTE, queued_documents=0)),
        (
            "bytes wait",
            lambda s: s["flow"].update(last_read=NOW - 6 * MINUTE, queued_documents=0, lag={"bytes": 10.0}),
        ),
    ],
    "checkpoint_stale": [
        ("documents were read since", lambda s: s["checkpoints"].update(last=NOW - 12 * MINUTE)),
        ("the disk is full", lambda s: s["checkpoints"].update(error="no space left on device")),
        ("there never was one", lambda s: s["checkpoints"].update(error="no space left on device", last=0)),
    ],
    "revision_stale": [("no heartbeat", lambda s: s["publishing"].update(heartbeat=NOW - 121 * SECOND))],
    "dead_letters": [
        ("since the start", lambda s: s["flow"].update(dead_letters={"json": 20_000})),
        (
            "lately, after a long good life",
            lambda s: (
                s["flow"].update(dead_letters={"json": 1_000}),
                history(s, dead_letters=[0.0], documents_read=[1_233_700.0]),
            ),
        ),
    ],
    "embedder_failing": [
        ("it is out", lambda s: s["embedder"].update(out=True, since=NOW - 61 * SECOND, error="refused"))
    ],
    "recall_low": [("measured", lambda s: s["sets"]["default"]["index"].update(kind="hnsw", recall=0.94))],
    "plan_truncated": [("one row", lambda s: one(s, truncated=1, exact=False, reasons=["truncated"]))],
    "not_exact": [
        ("it lost copies", lambda s: one(s, exact=False, reasons=["capacity"])),
        ("it lost more", lambda s: one(s, exact=False, reasons=["short", "saturated", "count", "unheard_of"])),
    ],
    "short_of_budget": [("after long", lambda s: one(s, short_of_budget=True, size=800))],
    "target_uncovered": [("6 of 100", lambda s: (watch(s, uncovered=6), one(s, targets_active=100)))],
    "selection_drift": [("at the line", lambda s: watch(s, selection_drift={"score": 1.0}))],
    "stream_drift": [("at the line", lambda s: drifts(s, 1.0))],
    "memory_high": [("nearly all", lambda s: s["process"].update(resident_bytes=7_500_000_000))],
}
CASES = [(code, change) for code, found in TROUBLE.items() for _, change in found]


@pytest.mark.parametrize(
    ("code", "change"), CASES, ids=[f"{code}: {why}" for code, found in TROUBLE.items() for why, _ in found]
)
def test_trouble_degrades_and_says_what_to_do(code: str, change: Change):
    health = judged(change)
    assert (health.state, codes(health)) == ("degraded", [code])
    warning = health.warnings[0]
    assert warning.sentence.endswith(".")
    assert warning.action.endswith(".")
    assert len(warning.action) > 40
    assert health.sentence.lower() == f"degraded: {warning.sentence}".lower()


QUIET: dict[str, Change] = {
    "a quiet stream needs no new checkpoint": lambda s: (
        s["flow"].update(documents_per_second=0.0, last_read=NOW - 30 * HOUR, lag={"records": 0.0, "seconds": 0.0}),
        s["checkpoints"].update(last=NOW - 30 * HOUR),
        s["history"].update(rows=[[row[0], 0.0, *row[2:]] for row in s["history"]["rows"]]),
    ),
    "the first document after a long silence": lambda s: (
        s["flow"].update(documents_per_second=0.1),
        s["checkpoints"].update(last=NOW - 30 * HOUR),
        s["history"].update(rows=[[row[0], 0.0, *row[2:]] for row in s["history"]["rows"]]),
    ),
    "a slow checkpoint interval": lambda s: (
        s["checkpoints"].update(last=NOW - 12 * MINUTE),
        s["configuration"].update(checkpoint_interval=300.0),
    ),
    "catching up": lambda s: lag(s, 900_000.0, 2_000_000.0, 4000.0),
    "a lag that nothing is known to compare with": lambda s: (
        lag(s, 900_000.0, 0.0, 4000.0),
        s["history"].update(rows=[]),
    ),
    "the rest of a corpus is not a lag": lambda s: (
        lag(s, 900_000.0, 700_000.0, 4000.0),
        s["configuration"].update(follow=False),
    ),
    "a small lag that grows": lambda s: lag(s, 4000.0, 0.0, 3.0),
    "an embedder that was out for a moment": lambda s: s["embedder"].update(out=True, since=NOW - 5 * SECOND),
    "records wait while the embedder is slow": lambda s: s["flow"].update(last_read=NOW - 6 * MINUTE),
    "a handful of dead letters": lambda s: s["flow"].update(dead_letters={"json": 9}, documents_read=100),
    "an old burst of dead letters": lambda s: (
        s["flow"].update(dead_letters={"json": 200_000}),
        history(s, dead_letters=[200_000.0], documents_read=[1_000_000.0]),
    ),
    "sigma is not settled yet": lambda s: one(s, exact=False, reasons=["provisional"]),
    "an approximate index was chosen, and its recall is good": lambda s: (
        one(s, exact=False, reasons=["approximate_density"]),
        s["sets"]["default"]["index"].update(recall=0.99),
    ),
    "few documents have come": lambda s: one(s, short_of_budget=True, size=300, documents_seen=3000),
    "nothing to be near to yet": lambda s: (
        watch(s, uncovered=100),
        one(s, short_of_budget=True, documents_seen=3000),
    ),
    "drift that is not sure yet": lambda s: drifts(s, 7.0, ready=False),
    "a selection that is not known well enough": lambda s: watch(s, selection_drift={"score": 9.0, "ready": False}),
    "drift is not looked for": lambda s: s.update(drift={"state": "off"}),
    "the limit of memory is not known": lambda s: s["process"].update(memory_limit_bytes=None),
    "nothing has been published yet": lambda s: (
        one(s, revision=0, watch=None, index=None),
        s["publishing"].update(heartbeat=0),
    ),
    "a restored set that was not computed anew": lambda s: one(s, watch=None, index=None, targets_active=0),
    "no sets": lambda s: s.update(sets={}),
}


@pytest.mark.parametrize("change", QUIET.values(), ids=QUIET)
def test_what_is_no_trouble_raises_no_alarm(change: Change):
    health = judged(change)
    assert (health.state, codes(health)) == ("healthy", [])


SENTENCES: list[tuple[Change, str]] = [
    (lambda s: None, "live, 1,240 documents/s, nothing waiting; revision 42 of default published 12 s ago"),
    (
        lambda s: s["flow"].update(documents_per_second=0.0, last_read=NOW - 3 * HOUR, lag={}),
        "live and quiet, the last document came 3 hours ago; revision 42 of default published 12 s ago",
    ),
    (
        lambda s: (lag(s, 900_000.0, 2_000_000.0, 4000.0), s["sets"].clear()),
        "live, 1,240 documents/s, catching up: 900,000 records wait; no revision yet",
    ),
    (
        lambda s: (lag(s, 40_000.0, 2_000_000.0, 32.0), s["sets"].clear()),
        "live, 1,240 documents/s, 40,000 records wait, 32 s behind; no revision yet",
    ),
    (
        lambda s: (s["flow"].update(lag={"bytes": 17_000_000_000.0}), s["sets"].clear()),
        "live, 1,240 documents/s, catching up: 17.0 GB wait; no revision yet",
    ),
    (
        lambda s: (
            s["flow"].update(lag={"bytes": 17_000_000_000.0}),
            s["configuration"].update(follow=False),
            s["sets"].clear(),
        ),
        "live, 1,240 documents/s, 17.0 GB are left; no revision yet",
    ),
    (
        lambda s: (s["flow"].update(last_read=0), s["sets"].clear()),
        "live, no document has come yet; no revision yet",
    ),
    (
        lambda s: (s["process"].update(phase="replaying"), s["flow"].update(replayed=1, lag={"records": 2_500_000.0})),
        "reading again what was published before: 1 document so far, 2.5 million records wait",
    ),
    (
        lambda s: s["process"].update(phase="stopping"),
        "stopping: what was read is published and the state written; revision 42 of default published 12 s ago",
    ),
    (
        lambda s: s["process"].update(phase="stopped"),
        "stopped on request 0 s ago; revision 42 of default published 12 s ago",
    ),
    (
        lambda s: (s["process"].update(phase="stopped"), s["configuration"].update(follow=False)),
        "finished 0 s ago; revision 42 of default published 12 s ago",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), SENTENCES, ids=[sentence[:40] for _, sentence in SENTENCES])
def test_the_sentence_says_what_it_does(change: Change, sentence: str):
    assert judged(change).sentence == f"Healthy: {sentence}."


def test_a_fresh_start_is_healthy():
    assert judge(empty(), NOW).sentence == "Healthy: starting for 2 s; nothing is read yet."


def test_the_newest_revision_of_several_sets_is_named():
    status = two_sets()
    status["sets"]["chess-openings"].update(exact=True, truncated=0, reasons=[], created=NOW - SECOND)
    assert "revision 7 of chess-openings, the newest of 2 sets, published 1 s ago" in judge(status, NOW).sentence


DOWN: dict[str, tuple[Change, int, str]] = {
    "it failed": (
        lambda s: s["process"].update(phase="stopped", exit="no broker answers"),
        NOW + 3 * MINUTE,
        "Down: the process ended 3 minutes ago: no broker answers. Do what the sentence says, then start it again",
    ),
    "it is gone": (
        lambda s: None,
        NOW + 3 * MINUTE,
        "Down: nothing was heard from process 4711 for 3 minutes: it is gone, or stuck.",
    ),
    "its loop hangs": (
        lambda s: s["process"].update(ticked=NOW - 61 * SECOND),
        NOW,
        "Down: process 4711 runs, but has not taken a step for 1 minute.",
    ),
    "it never gets going": (
        lambda s: s["process"].update(phase="starting", ticked=0, started=NOW - 11 * MINUTE),
        NOW,
        "Down: process 4711 runs, but has been starting for 11 minutes.",
    ),
}


@pytest.mark.parametrize(("change", "now", "beginning"), DOWN.values(), ids=DOWN)
def test_a_run_that_does_not_get_on_is_down(change: Change, now: int, beginning: str):
    health = judged(change, now)
    assert (health.state, codes(health)) == ("down", ["stalled"])
    assert health.sentence.startswith(beginning)


def test_a_start_may_take_minutes():
    change = lambda s: s["process"].update(phase="starting", ticked=0, started=NOW - 9 * MINUTE)  # noqa: E731
    assert judged(change).state == "healthy"


def test_without_a_document_it_is_down():
    assert judge(None, NOW).state == "down"


def test_a_finished_run_stays_finished():
    status = sample()
    status["process"].update(phase="stopped")
    status["publishing"]["heartbeat"] = NOW - HOUR
    drifts(status, 3.0)
    assert judge(status, NOW + 24 * HOUR).state == "healthy"


def test_a_finished_run_still_says_what_is_wrong_with_its_selection():
    status = sample()
    status["process"].update(phase="stopped")
    one(status, truncated=3, exact=False, reasons=["truncated"])
    assert codes(judge(status, NOW + 24 * HOUR)) == ["plan_truncated"]


def test_what_stops_the_stream_comes_first_and_the_rest_is_counted():
    health = judge(failing(), NOW)
    assert health.state == "degraded"
    assert [one.severity for one in health.warnings] == ["critical"] + ["warning"] * (len(health.warnings) - 1)
    assert health.sentence.startswith("Degraded: the embedder has not answered for 9 minutes")
    assert health.sentence.endswith(f"(And {len(health.warnings) - 1} more warnings.)")
    assert {one.set for one in health.warnings} == {None, "default", "chess-openings"}


def test_the_advice_of_the_selector_becomes_the_action():
    found = {one.code: one for one in judge(failing(), NOW).warnings if one.set == "default"}
    assert found["plan_truncated"].action.startswith("Raise max_k to 2048. Options of")


def test_a_judgement_is_plain_data():
    told = judge(failing(), NOW).as_json()
    assert json.loads(json.dumps(told)) == told
    assert told["warnings"][1]["runbook"] == "FallingBehind"


def test_a_judgement_changes_nothing():
    status = failing()
    judge(status, NOW)
    assert status == failing()


def test_every_threshold_is_used():
    package = Path(thresholds.__file__).parent
    code = "".join(path.read_text() for of in ("health", "serve") for path in (package / of).glob("*.py"))
    assert [name for name in vars(thresholds) if name.isupper() and not re.search(rf"\b{name}\b", code)] == []
