"""The numbers that the engine runs by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """Times are seconds. What is not in the settings tree has one good value."""

    interval: float = 1.0  # between two revisions
    publish_share: float = 0.1  # of the engine's time for revisions while documents wait: filling shortlists cost much
    weight_change: float = 0.05
    checkpoint_interval: float = 30.0
    positions_interval: float = 10.0  # positions are committed at least so often while something is read
    heartbeat_interval: float = 10.0
    targets_interval: float = 1.0  # between two looks at the target files
    standing_interval: float = 1.0  # between two looks at the insides of the selectors
    recall_interval: float = 60.0  # between two measurements of an approximate index, which take time
    summary_interval: float = 60.0  # between two log lines about what was done
    tell_interval: float = 15.0  # between two log lines about how far a replay or a re-reading is
    shutdown: float = 60.0  # for all steps of leaving together
    batch: int = 1024  # records
    queue_documents: int = 4096  # each of two queues
    queue_bytes: int = 64 * 1024 * 1024
    backfill_share: float = 0.3  # of the engine's time, while live documents wait
