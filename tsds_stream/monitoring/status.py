"""The status document: all that is known of a run at one moment, as plain data.

Page, metrics, terminal and `status.json` show nothing else, and compute nothing but words from it. Times are
milliseconds since the epoch, 0 for never; missing numbers are null.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict
from math import ceil, isfinite
from typing import Final

from tsds_stream.engine.statistics import BOUNDS, Histogram, Latency, SetStatistics, Statistics
from tsds_stream.records import Json
from tsds_stream.selection.settings import SelectorConfig

FORMAT: Final = 1
_RECENT = 60_000  # milliseconds over which quantiles of the latency are taken
_RATE_OVER = 10_000  # milliseconds over which documents per second are counted


class Rate:
    """Documents per second over the last seconds."""

    def __init__(self) -> None:
        self._looks: deque[tuple[int, int]] = deque()

    def at(self, now: int, count: int) -> float:
        """The rate, given the counter's value of this moment. Where the clock was set back it is counted anew."""
        if self._looks and now < self._looks[-1][0]:
            self._looks.clear()
        self._looks.append((now, count))
        while len(self._looks) > 2 and now - self._looks[1][0] >= _RATE_OVER:
            self._looks.popleft()
        began, before = self._looks[0]
        return 1000 * (count - before) / (now - began) if now > began else 0.0


def flow_of(s: Statistics, documents_per_second: float) -> Json:
    """What goes through."""
    return {
        "documents_read": s.documents_read,
        "bytes_read": s.bytes_read,
        "documents_applied": s.documents_applied,
        "retractions": s.retractions,
        "unknown_retractions": s.unknown_retractions,
        "duplicates": s.duplicates,
        "replayed": s.replayed,
        "embedded": s.embedded,
        "backfilled": s.backfilled,
        "dead_letters": dict(s.dead_letters),
        "queued_documents": s.queued_documents,
        "last_read": s.last_read,
        "documents_per_second": documents_per_second,
        "lag": dict(s.lag),
        "partition_lag": dict(s.partition_lag),
        "missing_payloads": s.missing_payloads,
    }


def parts_of(s: Statistics, now: int) -> Json:
    """What the engine says of its stages, its embedder, its sink and its checkpoints."""
    return {
        "stages": {stage: histogram_of(durations) for stage, durations in s.stages.items()},
        "latency": latency_of(s.latency, now),
        "embedder": {
            "outages": s.embedder_outages,
            "out": s.embedder_out > 0,
            "since": s.embedder_out,
            "error": s.embedder_error,
        },
        "publishing": {
            "commits": s.commits,
            "failed": s.failed_commits,
            "last_commit": s.last_commit,
            "heartbeat": s.last_heartbeat,
            "records": s.published_records,
            "oversized": s.oversized,
            "seconds": s.commit_seconds,
        },
        "checkpoints": {
            "count": s.checkpoints,
            "failures": s.checkpoint_failures,
            "last": s.last_checkpoint,
            "seconds": s.checkpoint_seconds,
            "bytes": s.checkpoint_bytes,
            "error": s.checkpoint_error,
        },
    }


def set_of(one: SetStatistics, config: SelectorConfig, watch: Json | None) -> Json:
    """One target set: what is published, and what the last computation said."""
    last = one.last
    return {
        "revision": one.revision,
        "created": one.created,
        "size": one.size,
        "budget": config.budget,
        "token_budget": config.token_budget,
        "added": one.added,
        "removed": one.removed,
        "last_added": one.last_added,
        "last_removed": one.last_removed,
        "exact": one.exact,
        "reasons": list(one.reasons),
        "short_of_budget": last is not None and last.short_of_budget,
        "documents_seen": one.documents_seen if last is None else last.documents_seen,
        "admitted": one.admitted,
        "targets_active": one.targets_active if last is None else last.targets_active,
        "targets_pending": one.targets_pending if last is None else last.targets_pending,
        "support": 0 if last is None else last.support,
        "s": None if last is None else _number(last.s),
        "alpha": None if last is None else _number(last.alpha),
        "sigma": None if last is None else _number(last.sigma),
        "calibrated": one.calibrated,
        "tau": None if last is None else _number(last.tau),
        "transport_cost": None if last is None else _number(last.transport_cost),
        "effective_sample_size": None if last is None else _number(last.effective_sample_size),
        "truncated": 0 if last is None else last.truncated,
        "short": 0 if last is None else last.short,
        "digest": one.digest,
        "mode": config.mode,
        "advice": [] if last is None else [[notice.code, notice.sentence] for notice in last.warnings],
        "index": {**asdict(one.standing), "recall": one.recall, "recall_at": one.recall_at},
        "watch": watch,
    }


def histogram_of(durations: Histogram) -> Json:
    """Counts by bucket; the bounds are those of every histogram here."""
    counts = list(durations.counts)
    return {"bounds": list(BOUNDS), "counts": counts, "sum": durations.sum, "count": sum(counts)}


def latency_of(latency: Latency, now: int) -> Json:
    """The histogram, and quantiles of the last minute."""
    recent = sorted(seconds for moment, seconds in latency.recent.copy() if now - moment <= _RECENT)
    quantiles = None
    if recent:
        p50, p99 = (recent[max(ceil(share * len(recent)) - 1, 0)] for share in (0.5, 0.99))
        quantiles = {"p50": p50, "p99": p99, "count": len(recent)}
    return {**histogram_of(latency.histogram), "recent": quantiles}


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and isfinite(value) else None
