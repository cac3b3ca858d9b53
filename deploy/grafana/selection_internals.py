"""The insides of a selection: scores, plan and index."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as boards

from deploy.grafana.panels import (
    age,
    fold,
    of,
    of_drift,
    of_sets,
    rows_of,
    series,
)
from deploy.grafana.runbook import see


def internals() -> list[boards.Row]:
    """One row for each subject."""
    return [
        fold("Internals: drift of the stream", _drift()),
        fold("Internals: plan", _plan()),
        fold("Internals: index", _index()),
    ]


def _drift() -> list:
    name = "{{signal}} {{target_set}} {{window}}"
    return [
        series("Statistics", "Distance of the window from the baseline, each in its own measure.",
               (of_drift("tsds_stream_stream_drift_statistic"), name), unit="none"),
        series("Thresholds", "What windows of an unchanged stream keep below, by resampling the baseline.",
               (of_drift("tsds_stream_stream_drift_threshold"), name), unit="none"),
        series("Ready", "1 when there is enough evidence for a score; before, no signal can raise an alarm.",
               (of_drift("tsds_stream_stream_drift_ready"), name),
               (of_sets("tsds_stream_selection_drift_ready"), "selection {{target_set}}"), unit="none", maximum=1),
        series("Looked at", "Documents per second that are looked at for drift; [monitoring.drift] rate bounds it.",
               (f"rate({of('tsds_stream_drift_looked_at_documents_total')}[$__rate_interval])", "{{instance}}"),
               unit="ops"),
        series("Selection: statistic and threshold", "How far the selection has moved, and how far it does by itself.",
               (of_sets("tsds_stream_selection_drift_statistic"), "{{target_set}}, statistic"),
               (of_sets("tsds_stream_selection_drift_threshold"), "{{target_set}}, threshold"), unit="none"),
        series("Coverage distance", "Distance up to which a selected document is near a target.",
               (of_sets("tsds_stream_coverage_distance"), "{{target_set}}"), unit="none"),
    ]  # fmt: skip


def _plan() -> list:
    return [
        series("Targets whose list is too short", "Above 0 the selection is not exact." + see("PlanTruncated"),
               (of_sets("tsds_stream_plan_truncated_rows"), "{{target_set}}, truncated"),
               (of_sets("tsds_stream_short_rows"), "{{target_set}}, short"), unit="short"),
        series("Share of truncated targets", "The same as a share of the active targets." + see("PlanTruncated"),
               (of_sets("tsds_stream_plan_truncated_ratio"), "{{target_set}}"), unit="percentunit", maximum=1),
        series("Entries that lists lack", "Lost to retractions." + see("NotExact"),
               (of_sets("tsds_stream_shortlist_deficit_entries"), "{{target_set}}"), unit="short"),
        series("Targets", "Active ones take part; pending ones wait for the past to be read.",
               (of_sets("tsds_stream_targets"), "{{target_set}}, {{state}}"), unit="short"),
        series("s", "The mass up to which each target draws on its list: higher is more diverse, and farther away.",
               (of_sets("tsds_stream_plan_mass"), "{{target_set}}"), unit="none"),
        series("alpha", "As configured, or as `auto` implies it.",
               (of_sets("tsds_stream_plan_alpha"), "{{target_set}}"), unit="none", maximum=1),
        series("sigma", "Distance within which documents crowd each other; frozen after calibration.",
               (of_sets("tsds_stream_kernel_width"), "{{target_set}}"), unit="none"),
        series("tau", "With mode = coordinated, documents are drawn by their probability times this.",
               (of_sets("tsds_stream_sample_threshold"), "{{target_set}}"), unit="none"),
        series("Support and reach", "Distinct embeddings with mass, and entries per target, on average.",
               (of_sets("tsds_stream_support_points"), "{{target_set}}, support"),
               (of_sets("tsds_stream_mean_reach"), "{{target_set}}, mean reach"), unit="short"),
        series("Spread of the weights", "Standard deviation of the sampling weights of selected documents.",
               (of_sets("tsds_stream_weight_spread"), "{{target_set}}"), unit="none"),
        series("Rounds", "Times that the plan was solved until every density it needs was known.",
               (of_sets("tsds_stream_plan_rounds"), "{{target_set}}"), unit="none"),
        series("Documents came and left", "Per five minutes, all causes together.",
               (f"increase({of_sets('tsds_stream_selection_added_total')}[5m])", "{{target_set}}, came"),
               (f"increase({of_sets('tsds_stream_selection_removed_total')}[5m])", "{{target_set}}, left"),
               unit="short"),
        series("Short of the budget", "1 while fewer documents are selected than asked for." + see("ShortOfBudget"),
               (of_sets("tsds_stream_selection_short_of_budget"), "{{target_set}}"), unit="none", maximum=1),
        series("Tokens asked for", "Only where a budget of tokens is configured.",
               (of_sets("tsds_stream_selection_token_budget"), "{{target_set}}"), unit="short"),
    ]  # fmt: skip


def _index() -> list:
    return [
        series("Recall", "Share of true neighbours that an approximate index finds. Empty for an exact index."
               + see("RecallLow"),
               (of_sets("tsds_stream_index_recall_ratio"), "{{target_set}}"), unit="percentunit", maximum=1,
               minimum=None),
        series("Age of that measurement", "It is repeated while documents come.",
               (age(of_sets("tsds_stream_index_recall_timestamp_seconds")), "{{target_set}}"), unit="s"),
        series("Points", "Distinct embeddings: in the index, on a list, with a density that is known exactly.",
               (of_sets("tsds_stream_index_points"), "{{target_set}}, indexed"),
               (of_sets("tsds_stream_index_candidates"), "{{target_set}}, candidates"),
               (of_sets("tsds_stream_index_settled_points"), "{{target_set}}, settled"), unit="short"),
        series("Admitted", "Points per second that come onto a list; falls like 1 / documents as the stream goes on.",
               (f"rate({of_sets('tsds_stream_admitted_points_total')}[$__rate_interval])", "{{target_set}}"),
               unit="ops"),
        series("Saturated points, tombstones", "Saturated: more neighbours than kde_k, so the density is too low. "
               "Tombstones take room until the graph is rebuilt." + see("NotExact"),
               (of_sets("tsds_stream_index_saturated_points"), "{{target_set}}, saturated"),
               (of_sets("tsds_stream_index_tombstones"), "{{target_set}}, tombstones"), unit="short"),
        rows_of("How each set selects", "Mode of drawing and kind of index.",
                (of_sets("tsds_stream_target_set_info"), "")),
    ]  # fmt: skip
