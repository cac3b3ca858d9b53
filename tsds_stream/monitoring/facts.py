"""What a status document says, in a few words per fact, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tsds_stream.monitoring.health.flow import seconds_behind
from tsds_stream.monitoring.wording import age, amount, duration, plural, rate, size, waiting

if TYPE_CHECKING:
    from tsds_stream.records import Json

_SHORTLY = 1.0  # seconds behind that nobody needs to be told of


class Drift(NamedTuple):
    """The loudest signal, or how far it is from one.

    Attributes:
        score: 1 is the alarm line; None: not known yet.
    """

    words: str
    score: float | None = None


def speed(status: Json) -> str:
    """`1,240 documents/s`; empty once it has ended."""
    if status["process"]["phase"] == "stopped":
        return ""
    return f"{rate(status['flow']['documents_per_second'])} documents/s"


def done(status: Json) -> str:
    """`1,234,700 read`, and during a replay how many of them again."""
    flow = status["flow"]
    if status["process"]["phase"] == "replaying":
        return f"{flow['replayed']:,} read again"
    return f"{flow['documents_read']:,} read"


def lag(status: Json) -> str:
    """`40 records wait`, with the time behind where it is worth a word; empty where nothing is known."""
    follow = status["configuration"]["follow"]
    left, behind = waiting(status["flow"]["lag"], follow), seconds_behind(status)
    if follow and left and behind is not None and behind >= _SHORTLY:
        return f"{left} ({duration(behind)} behind)"
    return left


def latency(status: Json) -> str:
    """Time from a record to the revision that reflects it, over the last minute; empty without records."""
    recent = status["latency"]["recent"]
    return f"{seconds(recent['p50'])} (median), {seconds(recent['p99'])} (99th percentile)" if recent else ""


def seconds(value: float) -> str:
    """`12 ms`, `0.5 s`, `3 minutes`."""
    if value < 0.1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 10 else duration(value)


def embedder(status: Json, now: int) -> str:
    """Whether it answers."""
    one = status["embedder"]
    if one["out"]:
        why = f": {one['error']}" if one["error"] else ""
        return f"has not answered for {duration((now - one['since']) / 1000)}{why}"
    return "answers" + (f"; {plural(one['outages'], 'outage')} since the start" if one["outages"] else "")


def checkpoint(status: Json, now: int) -> str:
    """The last one."""
    one = status["checkpoints"]
    if not one["last"]:
        return "none yet"
    return f"{age(one['last'], now)}, {size(one['bytes'])} in {seconds(one['seconds'])}"


def memory(status: Json) -> str:
    """What the process holds, of what it may hold."""
    used, limit = status["process"]["resident_bytes"], status["process"].get("memory_limit_bytes")
    return f"{size(used)} of {size(limit)}" if limit else size(used)


def members(one: Json) -> str:
    """`1,000 of 1,000 documents`."""
    return f"{one['size']:,} of {one['budget']:,} documents" if one["budget"] else plural(one["size"], "document")


def change(one: Json) -> str:
    """`+7 -7`: of the last revision; empty where this process has made none."""
    if not one["last_added"] and not one["last_removed"]:
        return ""
    return f"+{one['last_added']:,} -{one['last_removed']:,}"


def exactness(one: Json) -> str:
    """`exact`, or why not."""
    if not one["revision"]:
        return ""
    return "exact" if one["exact"] else f"not exact: {', '.join(one['reasons'])}"


def stream_drift(status: Json) -> Drift:
    """The loudest signal that is sure, or when there will be one."""
    drift = status["drift"]
    if drift["state"] == "off":
        return Drift("off")
    if drift["state"] in ("warming", "baseline"):
        return Drift(f"learning what is usual, {amount(drift['needed'])} documents to go")
    ready = [signal for signal in drift["signals"] if signal["ready"] and signal["score"] is not None]
    if not ready:
        return Drift("waiting for enough documents")
    worst = max(ready, key=lambda signal: signal["score"])
    where = " ".join(part for part in (worst["signal"], worst["set"] and f"of {worst['set']}") if part)
    return Drift(f"{worst['score']:.1f} ({where}, {worst['window']} window)", worst["score"])


def selection_drift(one: Json) -> Drift:
    """How unusual the changes of a selection are."""
    drift = (one["watch"] or {}).get("selection_drift") or {}
    score = drift.get("score")
    return Drift("") if score is None or not drift.get("ready", True) else Drift(f"{score:.1f}", score)
