"""What the engine has done so far, as plain numbers that a monitor or a progress bar may read at any time."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from tsds_stream.selection.revision import Revision
from tsds_stream.selection.standing import Standing

Phase = Literal["starting", "replaying", "live", "stopping", "stopped"]
Stage = Literal["read", "embed", "select", "refresh", "publish", "checkpoint"]

STAGES: Final[tuple[Stage, ...]] = ("read", "embed", "select", "refresh", "publish", "checkpoint")
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_RECENT = 1024  # latencies kept for quantiles


@dataclass(slots=True)
class Histogram:
    """Durations in seconds.

    Attributes:
        counts: how many were at most `BOUNDS[k]` and more than the bound before; the last one: more than all bounds.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    sum: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds


@dataclass(slots=True)
class Latency:
    """From a record to the publication that reflects it first.

    Attributes:
        recent: (moment in milliseconds, seconds) of the last ones, oldest first.
    """

    histogram: Histogram = field(default_factory=Histogram)
    recent: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def observe(self, now: int, moments: Iterable[int]) -> None:
        """Records of these moments (milliseconds) are reflected from now on."""
        for moment in moments:
            seconds = max(0.0, (now - moment) / 1000)
            self.histogram.observe(seconds)
            self.recent.append((now, seconds))


@dataclass(slots=True)
class SetStatistics:
    """One target set.

    Attributes:
        last: as it was computed last; its numbers are of the selector, those here of what is published.
        standing: of the selector's insides at about the same time.
        recall: share of true neighbours that an approximate index finds, at `recall_at`.
    """

    revision: int = 0  # number of the last published one
    created: int = 0
    size: int = 0
    added: int = 0  # since the start, over all revisions
    removed: int = 0
    last_added: int = 0
    last_removed: int = 0
    digest: str | None = None
    exact: bool = False
    reasons: tuple[str, ...] = ()
    documents_seen: int = 0
    admitted: int = 0
    targets_active: int = 0
    targets_pending: int = 0
    calibrated: bool = False
    last: Revision | None = None
    standing: Standing = field(default_factory=Standing)
    recall: float | None = None
    recall_at: int = 0


@dataclass(slots=True)
class Statistics:
    """Counters only grow; times are seconds spent, moments are wall-clock milliseconds.

    Each field has one writer thread, so there is no lock; a reader may see two fields of different moments.
    """

    phase: Phase = "starting"
    ticked: int = 0  # the main loop has turned
    documents_read: int = 0  # records, also those that cannot be used
    bytes_read: int = 0
    documents_applied: int = 0  # adds and retractions that reached the selectors
    retractions: int = 0
    unknown_retractions: int = 0
    duplicates: int = 0
    replayed: int = 0
    embedded: int = 0
    backfilled: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)  # by reason
    embedder_outages: int = 0
    embedder_out: int = 0  # since when it does not answer; 0: it does
    embedder_error: str | None = None
    missing_payloads: int = 0  # selected documents whose text was no longer held
    commits: int = 0
    failed_commits: int = 0
    published_records: int = 0  # of documents, revisions and dead letters
    oversized: int = 0  # records that were sent without their body
    commit_seconds: float = 0.0  # of the last one
    checkpoints: int = 0
    checkpoint_failures: int = 0
    checkpoint_error: str | None = None  # of the last one, if it failed
    checkpoint_seconds: float = 0.0  # of the last one
    checkpoint_bytes: int = 0  # of the last one
    last_read: int = 0
    last_commit: int = 0
    last_heartbeat: int = 0  # everything read up to then is in effect
    last_checkpoint: int = 0
    stages: dict[Stage, Histogram] = field(default_factory=lambda: {stage: Histogram() for stage in STAGES})
    latency: Latency = field(default_factory=Latency)
    queued_documents: int = 0
    lag: dict[str, float] = field(default_factory=dict)
    partition_lag: dict[str, int] = field(default_factory=dict)  # by "topic/partition"
    sets: dict[str, SetStatistics] = field(default_factory=dict)


Progress = Callable[[Statistics], None]  # called from the engine's thread a few times per second
