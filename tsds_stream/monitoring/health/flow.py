"""Whether documents come in and can be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tsds_stream.monitoring import thresholds
from tsds_stream.monitoring.health.history import value_before
from tsds_stream.monitoring.health.verdict import Warning
from tsds_stream.monitoring.wording import duration, plural, waiting

if TYPE_CHECKING:
    from tsds_stream.records import Json


def falling_behind(status: Json, now: int) -> Iterator[Warning]:
    """The lag is high and grows. After a restart it is high and shrinks: that is not told."""
    behind = seconds_behind(status)
    if not status["configuration"]["follow"] or (behind is not None and behind <= thresholds.LAG_HIGH):
        return
    if lag_grows(status, now):
        lag = waiting(status["flow"]["lag"])
        long = f" ({duration(behind)} behind)" if behind is not None else ""
        sentence = f"Falling behind: {lag}{long}, and the lag grows."
        action = (
            "The stage that takes longest is the one to look at (stages on the status page): the embedder, the disk or "
            "the broker. Give the process more processor time, or fewer targets, a smaller max_k, a longer "
            "publish.interval. Nothing is lost while the topic keeps its records."
        )
        yield Warning("falling_behind", "warning", sentence, action)


def source_absent(status: Json, now: int) -> Iterator[Warning]:
    """Records wait and are not read, and not because the embedder is out."""
    flow = status["flow"]
    seen = max(flow["last_read"], status["process"]["started"])
    silent = (now - seen) / 1000
    waits = any(flow["lag"].get(what) for what in ("records", "bytes"))
    if waits and silent > thresholds.SOURCE_SILENT and not status["embedder"]["out"] and not flow["queued_documents"]:
        sentence = f"{waiting(flow['lag']).capitalize()}, but none was read for {duration(silent)}."
        action = (
            "See whether the broker, or the disk with the documents, answers and this user may read from it; the log "
            "says what was tried. Restart the process when the source is back and reading does not go on by itself."
        )
        yield Warning("source_absent", "critical", sentence, action)


def dead_letters(status: Json, now: int) -> Iterator[Warning]:
    """More than a few records cannot be used: lately, where the history tells, or since the start."""
    flow = status["flow"]
    letters, read = sum(flow["dead_letters"].values()), flow["documents_read"]
    moment = now - int(thresholds.DEAD_LETTERS_WINDOW * 1000)
    before = value_before(status, "dead_letters", moment), value_before(status, "documents_read", moment)
    if before[0] is not None and before[1] is not None:
        letters, read = letters - before[0], read - before[1]
    share = letters / max(read, letters, 1)
    if letters >= thresholds.DEAD_LETTERS_LEAST and share > thresholds.DEAD_LETTERS_SHARE:
        worst = sorted(flow["dead_letters"], key=lambda reason: -flow["dead_letters"][reason])[:3]
        window = f"of the last {duration(thresholds.DEAD_LETTERS_WINDOW)}"
        lately = window if before[0] is not None else "since the start"
        told = f"{plural(int(letters), 'dead letter')}: {', '.join(worst)}"
        sentence = f"{share:.1%} of the records {lately} could not be used ({told})."
        action = (
            "tsds-stream dead-letters list (with the selection directory, or --config) shows them with reasons; mend "
            "the producer, then tsds-stream dead-letters retry. Everything else goes on meanwhile."
        )
        yield Warning("dead_letters", "warning", sentence, action)


def embedder_failing(status: Json, now: int) -> Iterator[Warning]:
    """Nothing can be embedded, so nothing new can be selected."""
    embedder = status["embedder"]
    out = (now - embedder["since"]) / 1000 if embedder["since"] else 0.0
    if embedder["out"] and out > thresholds.EMBEDDER_OUT:
        why = f": {embedder['error']}" if embedder["error"] else ""
        sentence = f"The embedder has not answered for {duration(out)}{why}."
        action = (
            "See to the embedding server. Documents wait meanwhile and nothing is lost; it is tried again by itself, "
            "no restart is needed."
        )
        yield Warning("embedder_failing", "critical", sentence, action)


def lag_grows(status: Json, now: int) -> bool:
    """Whether more waits than some minutes ago; False where the history does not reach back so far."""
    lag, moment = status["flow"]["lag"], now - int(thresholds.LAG_WINDOW * 1000)
    for what in ("records", "bytes", "seconds"):
        before = value_before(status, f"lag_{what}", moment) if what in lag else None
        if before is not None:
            return bool(lag[what] > before)
    return False


def seconds_behind(status: Json) -> float | None:
    """How far behind the stream is: as the source says, or by what waits and the present speed; None: unknown."""
    flow = status["flow"]
    lag, speed = flow["lag"], flow["documents_per_second"]
    if "seconds" in lag:
        return float(lag["seconds"])
    waits = lag.get("records", 0.0)
    if lag.get("bytes") and flow["bytes_read"]:
        waits = lag["bytes"] * flow["documents_read"] / flow["bytes_read"]
    if not waits:
        return 0.0
    return waits / speed if speed else None
