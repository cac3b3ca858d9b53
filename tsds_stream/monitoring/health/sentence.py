"""The one sentence at the top: what the run is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsds_stream.monitoring import thresholds
from tsds_stream.monitoring.health.flow import seconds_behind
from tsds_stream.monitoring.wording import age, duration, plural, rate, waiting

if TYPE_CHECKING:
    from tsds_stream.records import Json

_QUIET = 60_000  # milliseconds without a document, after which their speed says less than their absence
_NEGLIGIBLE = 5.0  # seconds; what waits so short a time is just being read


def doing(status: Json, now: int) -> str:
    """`live, 1,240 documents/s, nothing waits; revision 42 of default published 12 s ago`, without a full stop."""
    phase = status["process"]["phase"]
    if phase == "starting":
        return f"starting for {duration((now - status['process']['started']) / 1000)}; nothing is read yet"
    if phase == "replaying":
        return _replaying(status)
    return "; ".join(part for part in (_reading(status, now), _published(status, now)) if part)


def _replaying(status: Json) -> str:
    flow = status["flow"]
    left = waiting(flow["lag"])
    done = f"reading again what was published before: {plural(flow['replayed'], 'document')} so far"
    return f"{done}, {left}" if left and left != "nothing waits" else done


def _reading(status: Json, now: int) -> str:
    flow, phase = status["flow"], status["process"]["phase"]
    if phase == "stopped":
        ended = age(status["created"], now)
        # A stream that is followed has no end: somebody asked for this one.
        return f"stopped on request {ended}" if status["configuration"]["follow"] else f"finished {ended}"
    if phase == "stopping":
        return "stopping: what was read is published and the state written"
    if not flow["last_read"]:
        return "live, no document has come yet"
    if now - flow["last_read"] > _QUIET and not flow["documents_per_second"]:
        return f"live and quiet, the last document came {age(flow['last_read'], now)}"
    return ", ".join(part for part in (f"live, {rate(flow['documents_per_second'])} documents/s", _lag(status)) if part)


def _lag(status: Json) -> str:
    if not status["configuration"]["follow"]:
        return waiting(status["flow"]["lag"], follow=False)
    left, behind = waiting(status["flow"]["lag"]), seconds_behind(status)
    if not left or (behind is not None and behind <= _NEGLIGIBLE):
        return "nothing waiting" if left else ""
    if behind is None:
        return left
    return f"{left}, {duration(behind)} behind" if behind <= thresholds.LAG_HIGH else f"catching up: {left}"


def _published(status: Json, now: int) -> str:
    published = {name: one for name, one in status["sets"].items() if one["revision"]}
    if not published:
        return "no revision yet"
    name = max(published, key=lambda name: published[name]["created"])
    one = published[name]
    others = len(status["sets"]) - 1
    of = f"{name}, the newest of {others + 1} sets," if others else name
    return f"revision {one['revision']} of {of} published {age(one['created'], now)}"
