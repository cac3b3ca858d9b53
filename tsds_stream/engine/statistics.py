"""What the engine has done so far, as plain numbers that a monitor or a progress bar may read at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Phase = Literal["starting", "replaying", "live", "stopping", "stopped"]


@dataclass(slots=True)
class SetStatistics:
    """One target set."""

    revision: int = 0  # number of the last published one
    size: int = 0
    added: int = 0  # since the start, over all revisions
    removed: int = 0
    exact: bool = False
    reasons: tuple[str, ...] = ()
    admitted: int = 0
    targets_active: int = 0
    targets_pending: int = 0


@dataclass(slots=True)
class Statistics:
    """Counters only grow; times are seconds spent, moments are wall-clock milliseconds.

    Each field has one writer thread, so there is no lock; a reader may see two fields of different moments.
    """

    phase: Phase = "starting"
    documents_read: int = 0
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
    missing_payloads: int = 0  # selected documents whose text was no longer held
    commits: int = 0
    checkpoints: int = 0
    checkpoint_failures: int = 0
    checkpoint_seconds: float = 0.0  # of the last one
    checkpoint_bytes: int = 0  # of the last one
    last_read: int = 0
    last_commit: int = 0
    last_checkpoint: int = 0
    read_seconds: float = 0.0
    embed_seconds: float = 0.0
    select_seconds: float = 0.0
    refresh_seconds: float = 0.0
    publish_seconds: float = 0.0
    queued_documents: int = 0
    lag: dict[str, float] = field(default_factory=dict)
    sets: dict[str, SetStatistics] = field(default_factory=dict)


Progress = Callable[[Statistics], None]  # called from the engine's thread a few times per second
