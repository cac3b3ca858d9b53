"""How a run is by the status file of its state directory: the file outlives the process, the lock does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsds_stream.monitoring import thresholds
from tsds_stream.monitoring.health.judge import judge
from tsds_stream.monitoring.health.verdict import Health, Warning, down
from tsds_stream.monitoring.wording import age, duration

if TYPE_CHECKING:
    from tsds_stream.records import Json


def judge_stored(status: Json, now: int, holder: str | None) -> Health:
    """As `judge`, for a document that was found in a state directory.

    Args:
        holder: who holds the lock of the directory ("process 4711 on a-host"); None: nobody.
    """
    process = status["process"]
    ended = process["phase"] == "stopped" or bool(process["exit"])
    if holder is None:
        return judge(status, now) if ended else _killed(status, now)
    if ended or not holder.startswith(f"process {process['pid']} "):
        return starting(holder)
    silent = (now - status["created"]) / 1000
    if silent > thresholds.STATUS_SILENT:
        sentence = f"Process {process['pid']} runs, but has not told its status for {duration(silent)}: it is stuck."
        action = "Its log says what it did last. Restart it: it goes on where it stopped."
        return down(Warning("stalled", "critical", sentence, action))
    return judge(status, now)


def starting(holder: str) -> Health:
    """Of a process that has the lock of the state directory, and has not written its status."""
    return Health("healthy", f"Healthy: starting; {holder} has the state directory and has not told its status yet.")


def _killed(status: Json, now: int) -> Health:
    heard = age(status["created"], now)
    sentence = f"Process {status['process']['pid']} ended without a word; it was last heard of {heard}."
    action = "It was killed, its disk was full, or the machine went down. Start it again: it goes on where it stopped."
    return down(Warning("stalled", "critical", sentence, action))
