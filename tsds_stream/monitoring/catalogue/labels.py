"""The labels of all metrics. None of them ever holds the id of a document or of a target."""

from __future__ import annotations

from typing import Final

from tsds_stream.monitoring.catalogue.metric import Label

MOST_GROUPS: Final = 32
OTHER_GROUPS: Final = "(other)"
NO_GROUP: Final = "(none)"

TARGET_SET: Final = Label("target_set", "name of the target set")
DRIFT_SET: Final = Label("target_set", "name of the target set; empty for signals of the whole stream")
PHASE: Final = Label("phase", "what the process does", ("starting", "replaying", "live", "stopping", "stopped"))
STAGE: Final = Label("stage", "step of the loop", ("read", "embed", "select", "refresh", "publish", "checkpoint"))
REASON: Final = Label(
    "reason",
    "why a record cannot be used",
    (
        *("decode", "encoding", "not_an_object", "nesting", "id", "no_text", "no_embedding", "text", "embedding"),
        *("tokens", "timestamp", "meta", "weight", "group", "deleted", "too_large"),
        *("empty", "refused", "non_finite", "zero", "precomputed"),  # these five are said by embedders
    ),
)
TOPIC: Final = Label("topic", "name of the topic")
PARTITION: Final = Label("partition", "number of the partition")
INEXACT: Final = Label(
    "reason",
    "why the selection is not exact",
    ("truncated", "short", "provisional", "approximate_density", "saturated", "capacity", "count"),
)
CAUSE: Final = Label(
    "cause", "what made a document come or go", ("arrivals", "retractions", "expiry", "targets", "configuration")
)
DIRECTION: Final = Label("direction", "whether it came or went", ("added", "removed"))
TARGET_STATE: Final = Label("state", "whether it takes part, or waits for the past to be read", ("active", "pending"))
SINCE: Final = Label("since", "the revision that is compared with", ("previous", "hour", "day"))
GROUP: Final = Label(
    "group", f"group of targets; the {MOST_GROUPS} largest, and `{OTHER_GROUPS}` for the rest together"
)
SHARE: Final = Label("kind", "what the targets ask for, or what the selection gives", ("asked", "selected"))
SIGNAL: Final = Label(
    "signal", "what is compared with the baseline", ("distance", "groups", "length", "embedding", "mean")
)
WINDOW: Final = Label("window", "the last documents that are compared", ("short", "long"))
SHARE_WINDOW: Final = Label("window", "the documents that are counted", ("baseline", "short", "long"))
DRIFT_STATE: Final = Label("state", "how far the comparison has come", ("off", "warming", "baseline", "watching"))
