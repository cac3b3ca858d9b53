"""Whether the process runs, gets on, and keeps what it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tsds_stream.monitoring import thresholds
from tsds_stream.monitoring.health.history import first_flow_after
from tsds_stream.monitoring.health.verdict import Warning
from tsds_stream.monitoring.wording import age, duration, size

if TYPE_CHECKING:
    from tsds_stream.records import Json


def failure(status: Json, now: int) -> Warning | None:
    """Why nothing is selected or published any more; None while the process lives and its loop turns."""
    process = status["process"]
    if process["exit"]:
        ended = f"The process ended {age(status['created'], now)}: {_closed(process['exit'])}"
        action = "Do what the sentence says, then start it again: it goes on where it stopped."
        return Warning("stalled", "critical", ended, action)
    if process["phase"] == "stopped":
        return None
    silent = (now - status["created"]) / 1000
    if silent > thresholds.STATUS_SILENT:
        sentence = f"Nothing was heard from process {process['pid']} for {duration(silent)}: it is gone, or stuck."
        action = (
            f"See whether process {process['pid']} still runs. If not, start it again: it goes on where it stopped. "
            "If so, its log says what it waits for; if that does not help, kill it and start it again."
        )
        return Warning("stalled", "critical", sentence, action)
    starting = process["phase"] == "starting"
    still = (now - (process["ticked"] or process["started"])) / 1000
    if still > (thresholds.STARTING_STALLED if starting else thresholds.LOOP_STALLED):
        done = "has been starting" if starting else "has not taken a step"
        sentence = f"Process {process['pid']} runs, but {done} for {duration(still)}."
        action = (
            "Its log says what it did last. Is a disk, a broker or the embedder hanging? Restart the process: it goes "
            "on where it stopped."
        )
        return Warning("stalled", "critical", sentence, action)
    return None


def checkpoint_stale(status: Json, now: int) -> Iterator[Warning]:
    """The last checkpoint failed, or is old although documents were read since. A quiet stream needs no new one."""
    checkpoints = status["checkpoints"]
    last, error = checkpoints["last"], checkpoints["error"]
    action = (
        "See to space and permissions of the state directory "
        f"({status['configuration']['state']}); the log has the error. Until a checkpoint is written, a restart has to "
        "read again all that came since the last one. The selection itself is not affected."
    )
    if error:
        sentence = f"The last checkpoint could not be written: {error}; the newest one was written {age(last, now)}."
        if not last:
            sentence = f"No checkpoint could be written: {error}."
        yield Warning("checkpoint_stale", "warning", sentence, action)
        return
    limit = max(
        thresholds.CHECKPOINT_STALE,
        thresholds.CHECKPOINT_STALE_INTERVALS * status["configuration"]["checkpoint_interval"],
    )
    moved = first_flow_after(status, last) if last else None
    if moved is not None and (now - moved) / 1000 > limit and status["flow"]["last_read"] > last:
        sentence = f"The last checkpoint was written {age(last, now)}, and documents were read since."
        yield Warning("checkpoint_stale", "warning", sentence, action)


def memory_high(status: Json, now: int) -> Iterator[Warning]:
    """The process will soon be ended by the system."""
    used, limit = status["process"]["resident_bytes"], status["process"].get("memory_limit_bytes")
    if used and limit and used > thresholds.MEMORY_HIGH * limit:
        sentence = f"The process holds {size(used)} of the {size(limit)} of memory that it may use."
        action = (
            "Give it more memory, or bound what it keeps: max_ids, capacity or max_k of the target sets. The "
            "system ends a process that goes beyond; it would start again where it stopped."
        )
        yield Warning("memory_high", "warning", sentence, action)


def _closed(sentence: str) -> str:
    sentence = sentence.strip()
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
