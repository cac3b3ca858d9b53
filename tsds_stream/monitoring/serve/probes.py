"""Answers for those who start and stop processes: is it alive, is it ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsds_stream.monitoring.serve.newest import Newest
from tsds_stream.monitoring.thresholds import LOOP_DEAD, STARTING_STALLED
from tsds_stream.monitoring.wording import duration

if TYPE_CHECKING:
    from tsds_stream.records import Json

_SLOW = {"starting", "stopping"}  # models are loaded and topics read back; checkpoints are written
_PHASES = {
    "starting": "the state is being restored",
    "replaying": "documents that were read before are being read again",
    "stopping": "the process is stopping",
    "stopped": "the process has stopped",
}


def alive(newest: Newest) -> tuple[bool, str]:
    """Whether the main loop turns, and a sentence.

    A broker or an embedder that does not answer lets it turn: a restart of this process would not help them. Ages are
    differences of one clock each, so that a clock that is set does not end a process.
    """
    snapshot, age = newest.snapshot, newest.waiting
    if snapshot is None:
        return age < STARTING_STALLED, f"starting: nothing has come from the stream for {duration(age)}"
    process = snapshot.status["process"]
    age += max(0, snapshot.status["created"] - (process["ticked"] or process["started"])) / 1000
    limit = STARTING_STALLED if process["phase"] in _SLOW else LOOP_DEAD
    return age < limit, f"{process['phase']}: the main loop took its last step {duration(age)} ago"


def lacking(status: Json | None) -> list[str]:
    """What is missing until the selection can be used, as sentences; nothing: it is ready."""
    if status is None:
        return ["nothing has come from the stream yet"]
    phase = status["process"]["phase"]
    found = [] if phase == "live" else [_PHASES.get(phase, f"the phase is {phase}")]
    if not status["sets"]:
        found.append("no target set is known yet")
    found += [f"target set {name} has no revision yet" for name, one in status["sets"].items() if not one["revision"]]
    return found
