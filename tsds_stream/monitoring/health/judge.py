"""The judgement: whether a run is healthy, what is the matter, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tsds_stream.monitoring.health import flow, process, selection
from tsds_stream.monitoring.health.sentence import doing
from tsds_stream.monitoring.health.verdict import Health, Warning, down, lowered

if TYPE_CHECKING:
    from tsds_stream.records import Json

_OF_A_LIVE_STREAM = (
    flow.embedder_failing,
    flow.source_absent,
    selection.revision_stale,
    flow.falling_behind,
    process.checkpoint_stale,
    process.memory_high,
    selection.stream_drift,
)
_OF_A_SELECTION = (
    selection.recall_low,
    selection.plan_truncated,
    selection.not_exact,
    selection.short_of_budget,
    selection.target_uncovered,
)


def judge(status: Json | None, now: int) -> Health:
    """How the run of a status document is.

    A stream without documents is healthy, and so is a run that has just begun, that catches up, or that has finished:
    what it is doing is said, and what cannot be known yet is not judged.

    Args:
        status: the document; None: there is none.
        now: milliseconds since the epoch.
    """
    if status is None:
        return Health("down", "Down: nothing is known of a run; none has begun, or it has not told its status yet.")
    failed = process.failure(status, now)
    if failed is not None:
        return down(failed)
    warnings = sorted(_warnings(status, now), key=lambda one: one.severity != "critical")
    if not warnings:
        return Health("healthy", f"Healthy: {doing(status, now)}.")
    more = f" {_more(len(warnings) - 1)}" if len(warnings) > 1 else ""
    return Health("degraded", f"Degraded: {lowered(warnings[0].sentence)}{more}", tuple(warnings))


def _warnings(status: Json, now: int) -> Iterator[Warning]:
    phase = status["process"]["phase"]
    if phase == "live":
        for rule in _OF_A_LIVE_STREAM:
            yield from rule(status, now)
    elif phase == "replaying":
        yield from process.memory_high(status, now)
        yield from flow.embedder_failing(status, now)
    if phase in ("live", "stopping", "stopped"):
        yield from flow.dead_letters(status, now)
        yield from _of_selections(status["sets"].items(), drift=phase == "live")


def _of_selections(sets: Iterable[tuple[str, Json]], *, drift: bool) -> Iterator[Warning]:
    for name, one in sets:
        if not one["revision"]:
            continue
        if drift:
            yield from selection.selection_drift(name, one)
        for rule in _OF_A_SELECTION:
            yield from rule(name, one)


def _more(number: int) -> str:
    return "(And one more warning.)" if number == 1 else f"(And {number} more warnings.)"
