"""Whether the run keeps up: throughput, lag, latency."""

from __future__ import annotations

from tsds_stream.monitoring.page import formatting
from tsds_stream.monitoring.page.charts import history, lines
from tsds_stream.monitoring.page.formatting import Formatter
from tsds_stream.monitoring.page.markup import Html, join, tag
from tsds_stream.monitoring.page.pieces import section, tile, tiles
from tsds_stream.monitoring.page.place import Place
from tsds_stream.monitoring.page.values import count, counted, shown, total, when

_LAGS: tuple[tuple[str, str, Formatter], ...] = (
    ("records", " records", formatting.count),
    ("bytes", "", formatting.size),
    ("seconds", "", formatting.seconds),
)


def keeping_up(status: Place, now: int) -> Html:
    """The section for whoever asks whether it is alive and keeps up."""
    return section(
        "flow",
        "Is it keeping up?",
        tiles(_throughput(status, now), _lag(status, now), _latency(status), _read(status, now)),
    )


def _throughput(status: Place, now: int) -> Html:
    rate = status["flow"]["documents_per_second"]
    series = history(status["history"].value, "documents_per_second")
    chart = lines("rate", "Documents per second over time", [series], now, form=formatting.figure, area=True)
    waiting = status["flow"]["queued_documents"]
    note = join(counted(waiting, "document"), " read and not yet applied") if waiting else None
    return tile("Throughput", join(shown(rate), tag("small", " documents/s")), note, chart=chart)


def _lag(status: Place, now: int) -> Html:
    lag, found = status["flow"]["lag"], []
    chart = None
    for unit, noun, form in _LAGS:
        if not lag[unit].known:
            continue
        found.append(join(shown(lag[unit], form), tag("small", noun) if noun else None))
        if chart is None:
            series = history(status["history"].value, f"lag_{unit}")
            chart = lines("lag", f"Lag in {unit} over time", [series], now, form=form, area=True)
    if not found:
        return tile("Lag", formatting.UNKNOWN, "not known, or not told by the source")
    behind = join(found[1], " behind") if len(found) > 1 else None
    return tile("Lag", found[0], behind, chart=chart)


def _latency(status: Place) -> Html:
    latency = status["latency"]
    recent = latency["recent"]
    note = "from a record's timestamp to the revision that reflects it"
    if not recent.known:
        return tile("Latency", formatting.UNKNOWN, "no new document became visible in the last minute", note)
    value = join(shown(recent["p50"], formatting.seconds), tag("small", " median"))
    tail = join(shown(recent["p99"], formatting.seconds), " at most for 99% of ", counted(recent["count"], "document"))
    return tile("Latency", value, tail, note)


def _read(status: Place, now: int) -> Html:
    flow = status["flow"]
    letters = flow["dead_letters"]
    dead = join(total(letters), " could not be used") if letters else "all could be used"
    last = join("last one ", when(flow["last_read"], now)) if flow["last_read"] else "none yet"
    return tile("Documents read", count(flow["documents_read"]), last, dead)
