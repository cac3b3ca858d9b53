"""What is selected, per target set: the revision, its exactness, the plan behind it and the index under it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tsds_stream.monitoring.catalogue.labels import CAUSE, DIRECTION, INEXACT, TARGET_SET, TARGET_STATE
from tsds_stream.monitoring.catalogue.metric import Group, Json, Label, Labels, Metric, Reading
from tsds_stream.monitoring.catalogue.reading import at, moment_per_set, parts_per_set, per_set, sets


def _inexact(status: Json) -> Mapping[Labels, Reading]:
    return {
        (name, reason): reason in (at(one, "reasons") or ()) for name, one in sets(status) for reason in INEXACT.values
    }


def _churn(status: Json) -> Mapping[Labels, Reading]:
    return {
        (name, cause, direction): at(one, "watch", "churn", cause, direction) or 0
        for name, one in sets(status)
        for cause in CAUSE.values
        for direction in DIRECTION.values
    }


def _described(status: Json) -> Mapping[Labels, Reading]:
    return {(name, at(one, "mode") or "", at(one, "index", "kind") or ""): 1 for name, one in sets(status)}


SELECTION: Final = Group(
    "Selection",
    "What is selected for each target set, as it was published last.",
    (
        Metric("revision", "gauge", "", "Number of the last published revision; 0: none.", per_set("revision"),
               (TARGET_SET,)),
        Metric("revision_timestamp_seconds", "gauge", "seconds",
               "When the last revision was made; 0: never. A quiet stream makes none: see the publication heartbeat.",
               moment_per_set("created"), (TARGET_SET,)),
        Metric("selection_documents", "gauge", "documents", "Documents that are selected.", per_set("size"),
               (TARGET_SET,)),
        Metric("selection_budget", "gauge", "documents", "Documents that are asked for; absent without such a budget.",
               per_set("budget"), (TARGET_SET,)),
        Metric("selection_token_budget", "gauge", "tokens", "Tokens that are asked for; absent without such a budget.",
               per_set("token_budget"), (TARGET_SET,)),
        Metric("selection_short_of_budget", "gauge", "", "1 when fewer documents are selected than asked for.",
               per_set("short_of_budget"), (TARGET_SET,)),
        Metric("selection_exact", "gauge", "",
               "1 when the selection is bit for bit what a batch computation over all documents gives.",
               per_set("exact"), (TARGET_SET,)),
        Metric("selection_inexact", "gauge", "", "1 for each reason why the selection is not exact.", _inexact,
               (TARGET_SET, INEXACT)),
        Metric("selection_added_total", "counter", "documents", "Documents that came into the selection.",
               per_set("added"), (TARGET_SET,)),
        Metric("selection_removed_total", "counter", "documents", "Documents that left the selection.",
               per_set("removed"), (TARGET_SET,)),
        Metric("selection_churn_total", "counter", "documents", "Documents that came or left, by what caused it.",
               _churn, (TARGET_SET, CAUSE, DIRECTION)),
        Metric("admitted_points_total", "counter", "points",
               "Distinct embeddings that came onto the shortlist of a target.", per_set("admitted"), (TARGET_SET,)),
        Metric("targets", "gauge", "targets", "Examples of the task.",
               parts_per_set(parts={"active": "targets_active", "pending": "targets_pending"}),
               (TARGET_SET, TARGET_STATE)),
        Metric("target_set_info", "info", "", "How documents are selected for the set.", _described,
               (TARGET_SET, Label("mode", "how the sample is drawn", ("coordinated", "turns", "top", "multinomial")),
                Label("index", "kind of the index", ("exact", "hnsw", "none")))),
    ),
)  # fmt: skip

PLAN: Final = Group(
    "Plan",
    "The transport plan behind the selection, as it was computed last.",
    (
        Metric("transport_cost", "gauge", "", "Mean distance from the targets to what the plan gives them.",
               per_set("transport_cost"), (TARGET_SET,)),
        Metric("plan_mass", "gauge", "", "s: the mass up to which each target draws on its shortlist.", per_set("s"),
               (TARGET_SET,)),
        Metric("plan_alpha", "gauge", "", "alpha, as configured, or as `auto` implies it.", per_set("alpha"),
               (TARGET_SET,)),
        Metric("plan_rounds", "gauge", "", "Times that the plan was solved until every density it needs was known.",
               per_set("index", "rounds"), (TARGET_SET,)),
        Metric("kernel_width", "gauge", "", "sigma: distance within which documents crowd each other.",
               per_set("sigma"), (TARGET_SET,)),
        Metric("sample_threshold", "gauge", "",
               "tau, with mode = coordinated: documents are drawn by their probability times this.",
               per_set("tau"), (TARGET_SET,)),
        Metric("effective_sample_size", "gauge", "documents",
               "1 / Σ p²: as many documents of equal probability would be as diverse.",
               per_set("effective_sample_size"), (TARGET_SET,)),
        Metric("support_points", "gauge", "points", "Distinct embeddings that the plan gives mass.",
               per_set("support"), (TARGET_SET,)),
        Metric("weight_spread", "gauge", "", "Standard deviation of the sampling weights of selected documents.",
               per_set("index", "weight_spread"), (TARGET_SET,)),
        Metric("mean_reach", "gauge", "points", "Mean number of shortlist entries that the plan gives a target.",
               per_set("index", "mean_reach"), (TARGET_SET,)),
        Metric("plan_truncated_rows", "gauge", "targets",
               "Targets whose shortlist ends before the plan does: `max_k` is too small.", per_set("truncated"),
               (TARGET_SET,)),
        Metric("plan_truncated_ratio", "gauge", "ratio", "The same, as a share of the active targets.",
               per_set("watch", "truncated_share"), (TARGET_SET,)),
        Metric("short_rows", "gauge", "targets", "Targets whose shortlist has lost documents that cannot be replaced.",
               per_set("short"), (TARGET_SET,)),
        Metric("shortlist_deficit_entries", "gauge", "entries", "Entries that these shortlists lack.",
               per_set("index", "shortlist_deficit"), (TARGET_SET,)),
    ),
)  # fmt: skip

INDEX: Final = Group(
    "Index",
    "The nearest neighbours that densities are computed from.",
    (
        Metric("index_points", "gauge", "points", "Distinct embeddings in the index.", per_set("index", "indexed"),
               (TARGET_SET,)),
        Metric("index_settled_points", "gauge", "points", "Those whose density is known exactly and maintained.",
               per_set("index", "settled"), (TARGET_SET,)),
        Metric("index_candidates", "gauge", "points", "Distinct embeddings on the shortlist of at least one target.",
               per_set("index", "candidates"), (TARGET_SET,)),
        Metric("index_saturated_points", "gauge", "points",
               "Points with more neighbours than `kde_k`, whose density is too low.", per_set("index", "saturated"),
               (TARGET_SET,)),
        Metric("index_tombstones", "gauge", "points", "Points of the graph that are deleted and still take room.",
               per_set("index", "tombstones"), (TARGET_SET,)),
        Metric("index_recall_ratio", "gauge", "ratio",
               "Share of true neighbours that an approximate index finds, measured against exact search on a sample; "
               "absent until measured, and for an exact index.", per_set("index", "recall"), (TARGET_SET,)),
        Metric("index_recall_timestamp_seconds", "gauge", "seconds", "When the recall was measured last; 0: never.",
               moment_per_set("index", "recall_at"), (TARGET_SET,)),
    ),
)  # fmt: skip
