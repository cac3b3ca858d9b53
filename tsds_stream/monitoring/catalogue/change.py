"""Is the selection changing, and does it still fit the target; is the stream changing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from tsds_stream.monitoring.catalogue.labels import (
    DRIFT_SET,
    DRIFT_STATE,
    GROUP,
    MOST_GROUPS,
    NO_GROUP,
    OTHER_GROUPS,
    SHARE,
    SHARE_WINDOW,
    SIGNAL,
    SINCE,
    TARGET_SET,
    WINDOW,
)
from tsds_stream.monitoring.catalogue.metric import Group, Json, Labels, Metric, Read, Reading
from tsds_stream.monitoring.catalogue.reading import at, chosen, parts_per_set, per_set, sets, value


def _bounded(name: str, kinds: Sequence[str], rows: Iterable[tuple[str, Sequence[float]]]) -> dict[Labels, Reading]:
    """Shares by (set, group, kind) of rows (group, share per kind); groups beyond the largest are added up."""
    found: dict[Labels, float] = {}
    for rank, (group, shares) in enumerate(sorted(rows, key=lambda row: (-(row[1][0] or 0), row[0]))):
        label = group if rank < MOST_GROUPS else OTHER_GROUPS
        for kind, share in zip(kinds, shares, strict=False):
            found[name, label, kind] = found.get((name, label, kind), 0.0) + (share or 0.0)
    return dict(found)


def _group_shares(status: Json) -> Mapping[Labels, Reading]:
    found: dict[Labels, Reading] = {}
    for name, one in sets(status):
        groups = at(one, "watch", "groups") or ()
        rows = ((row["group"] or NO_GROUP, [row[kind] for kind in SHARE.values]) for row in groups)
        found |= _bounded(name, SHARE.values, rows)
    return found


def _stream_shares(status: Json) -> Mapping[Labels, Reading]:
    found: dict[Labels, Reading] = {}
    for name, groups in (at(status, "drift", "groups") or {}).items():
        windows = [window for window in SHARE_WINDOW.values if groups.get(window)]
        shares = zip(*(groups[window] for window in windows), strict=False)
        rows = zip((label or NO_GROUP for label in groups["labels"]), shares, strict=False)
        found |= _bounded(name, windows, rows)
    return found


def _signals(status: Json) -> Iterable[Json]:
    return at(status, "drift", "signals") or ()


def _per_signal(part: str) -> Read:
    return lambda status: {(one["set"], one["signal"], one["window"]): one[part] for one in _signals(status)}


def _in_window(window: str) -> Callable[[Json], int]:
    return lambda status: max((one["documents"] for one in _signals(status) if one["window"] == window), default=0)


CHANGE: Final = Group(
    "Change and fit of the selection",
    "Whether the selection changes, and whether it still is what the targets ask for. Absent before a revision.",
    (
        Metric("selection_total_variation", "gauge", "",
               "Total variation, 0 to 1, between the probabilities of the last revision and of an earlier one.",
               parts_per_set("watch", parts={"previous": "tv", "hour": "tv_hour", "day": "tv_day"}),
               (TARGET_SET, SINCE)),
        Metric("selection_turnover_ratio", "gauge", "ratio",
               "1 - Jaccard: share of the documents of two revisions together that only one of them has.",
               parts_per_set("watch", parts={"previous": "turnover", "hour": "turnover_hour", "day": "turnover_day"}),
               (TARGET_SET, SINCE)),
        Metric("selection_drift_score", "gauge", "", "Statistic / threshold of the change; from 1 on, it is an alarm.",
               per_set("watch", "selection_drift", "score"), (TARGET_SET,)),
        Metric("selection_drift_statistic", "gauge", "", "How far the selection has moved.",
               per_set("watch", "selection_drift", "statistic"), (TARGET_SET,)),
        Metric("selection_drift_threshold", "gauge", "", "How far it moves in an unchanged stream, hardly ever more.",
               per_set("watch", "selection_drift", "threshold"), (TARGET_SET,)),
        Metric("selection_drift_ready", "gauge", "", "1 when there is enough evidence for a score.",
               per_set("watch", "selection_drift", "ready"), (TARGET_SET,)),
        Metric("transport_cost_trend", "gauge", "", "Relative change of the transport cost per hour; growing is worse.",
               per_set("watch", "cost_trend"), (TARGET_SET,)),
        Metric("group_share_ratio", "gauge", "ratio",
               "Share of a group among the targets, and of the probability of documents that are nearest to it.",
               _group_shares, (TARGET_SET, GROUP, SHARE)),
        Metric("group_distance", "gauge", "", "Total variation, 0 to 1, between the shares asked for and selected.",
               per_set("watch", "group_distance"), (TARGET_SET,)),
        Metric("uncovered_targets", "gauge", "targets", "Active targets that no selected document is near.",
               per_set("watch", "uncovered"), (TARGET_SET,)),
        Metric("coverage_distance", "gauge", "", "Distance up to which a selected document is near a target.",
               per_set("watch", "coverage_distance"), (TARGET_SET,)),
        Metric("source_concentration", "gauge", "",
               "Herfindahl index of the probability by `meta.source`: 1 when all is from one; absent without sources.",
               per_set("watch", "source_concentration"), (TARGET_SET,)),
    ),
)  # fmt: skip

DRIFT: Final = Group(
    "Drift of the stream",
    "Whether what arrives is still what it was: two rolling windows against a frozen baseline.",
    (
        Metric("stream_drift_score", "gauge", "", "Statistic / threshold; from 1 on, an alarm. Absent until ready.",
               _per_signal("score"), (DRIFT_SET, SIGNAL, WINDOW)),
        Metric("stream_drift_statistic", "gauge", "", "Distance of the window from the baseline.",
               _per_signal("statistic"), (DRIFT_SET, SIGNAL, WINDOW)),
        Metric("stream_drift_threshold", "gauge", "",
               "Distance that windows of an unchanged stream keep below, but for the configured false alarms.",
               _per_signal("threshold"), (DRIFT_SET, SIGNAL, WINDOW)),
        Metric("stream_drift_ready", "gauge", "", "1 when there is enough evidence for a score.",
               _per_signal("ready"), (DRIFT_SET, SIGNAL, WINDOW)),
        Metric("stream_drift_documents", "gauge", "documents", "Documents in the window.",
               lambda status: {(window,): _in_window(window)(status) for window in WINDOW.values}, (WINDOW,)),
        Metric("stream_group_share_ratio", "gauge", "ratio",
               "Share of the documents whose nearest target is of the group.", _stream_shares,
               (TARGET_SET, GROUP, SHARE_WINDOW)),
        Metric("drift_state", "gauge", "", "1 for how far the comparison has come, 0 for the others.",
               chosen(DRIFT_STATE.values, "drift", "state"), (DRIFT_STATE,)),
        Metric("drift_baseline_documents", "gauge", "documents", "Documents of the frozen baseline; absent before.",
               value("drift", "baseline", "documents")),
        Metric("drift_looked_at_documents_total", "counter", "documents", "Documents that were looked at for drift.",
               value("drift", "looked_at")),
    ),
)  # fmt: skip
