"""For the data lead: did what we train on change, when, why, and is it still what we asked for?"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as boards

from deploy.grafana.panels import (
    BLUE,
    GREEN,
    RED,
    YELLOW,
    age,
    board,
    fold,
    number,
    numbered,
    of,
    of_drift,
    of_sets,
    rows_of,
    series,
    with_variables,
)
from deploy.grafana.runbook import see
from tsds_stream.monitoring import thresholds

LINE = thresholds.DRIFT_SCORE
ADDED, REMOVED = 'direction="added"', 'direction="removed"'
ASKED, SELECTED = 'kind="asked"', 'kind="selected"'
SHORT, LONG, BASELINE = 'window="short"', 'window="long"', 'window="baseline"'
STATES = {
    "0": ("", "transparent"),
    "1": ("off", BLUE),
    "2": ("warming up", YELLOW),
    "3": ("taking the baseline", YELLOW),
    "4": ("watching", GREEN),
}


def selection() -> boards.Dashboard:
    """The dashboard of the data lead."""
    made = board(
        "tsds-stream-selection",
        "tsds-stream: Selection and drift",
        "For whoever answers for the training data. Did what we train on change, when and why; is it still what we "
        "asked for; does the stream itself change? Scores are statistic / threshold: 1 is the alarm line everywhere.",
        "24h",
        ["data-lead"],
    )
    made = with_variables(made, sets=True).with_row(boards.Row("What is selected now?"))
    for panel in _now():
        made = made.with_panel(panel)
    made = made.with_row(boards.Row("Did it change, when, why?"))
    for panel in _changed():
        made = made.with_panel(panel)
    made = made.with_row(boards.Row("Is it still what we asked for?"))
    for panel in _fits():
        made = made.with_panel(panel)
    made = made.with_row(boards.Row("Is the stream changing?"))
    for panel in _stream():
        made = made.with_panel(panel)
    made = made.with_row(fold("Internals: drift of the stream", _drift()))
    made = made.with_row(fold("Internals: plan", _plan()))
    return made.with_row(fold("Internals: index", _index()))


def _now() -> list:
    return [
        number(
            "Revision",
            "Number of the last published revision of each set.",
            (of_sets("tsds_stream_revision"), "{{target_set}}"),
            named=True,
        ),
        number(
            "Last change",
            "Time since that revision was made. Long is normal in a quiet stream.",
            (age(of_sets("tsds_stream_revision_timestamp_seconds")), "{{target_set}}"),
            unit="s",
            none="none yet",
            named=True,
            decimals=0,
        ),
        number(
            "Of the budget",
            "Selected documents as a share of those asked for. Below 1: fewer fit." + see("ShortOfBudget"),
            (
                f"{of_sets('tsds_stream_selection_documents')} / ({of_sets('tsds_stream_selection_budget')} > 0)",
                "{{target_set}}",
            ),
            unit="percentunit",
            steps=((None, YELLOW), (1, GREEN)),
            none="no budget",
            named=True,
        ),
        number(
            "Exact",
            "Exact: bit for bit what a batch computation over all documents gives." + see("PlanTruncated", "NotExact"),
            (of_sets("tsds_stream_selection_exact"), "{{target_set}}"),
            words={"0": ("no", YELLOW), "1": ("yes", GREEN)},
            named=True,
        ),
        number(
            "Targets without a document",
            f"Share of targets that no selected document is near. Up to {thresholds.UNCOVERED_SHARE:.0%} is normal: "
            "some examples are odd." + see("TargetUncovered"),
            (of_sets("instance_target_set:tsds_stream_targets:uncovered_ratio"), "{{target_set}}"),
            unit="percentunit",
            steps=((None, GREEN), (thresholds.UNCOVERED_SHARE, RED)),
            named=True,
        ),
        number(
            "Drift, loudest",
            "The highest score of any signal. From 1 on there is an alarm." + see("StreamDrift", "SelectionDrift"),
            (
                f"max({of_drift('instance_target_set_signal:tsds_stream_stream_drift_score:max')})",
                "stream",
            ),
            (f"max({of_sets('tsds_stream_selection_drift_score')})", "selection"),
            steps=((None, GREEN), (0.8 * LINE, YELLOW), (LINE, RED)),
            none="not yet",
            named=True,
            decimals=2,
        ),
    ]


def _changed() -> list:
    churn = "tsds_stream_selection_churn_total"
    return [
        series(
            "Drift of the selection",
            "Score of the change of what is selected: 1 is as far as it moves by itself, hardly ever more."
            + see("SelectionDrift"),
            (of_sets("tsds_stream_selection_drift_score"), "{{target_set}}"),
            unit="none",
            line=LINE,
        ),
        series(
            "Turnover",
            "Share of the documents of two revisions together that only one of them has: the last one, and the one "
            "before, of an hour ago, of a day ago." + see("SelectionDrift"),
            (of_sets("tsds_stream_selection_turnover_ratio"), "{{target_set}}, since {{since}}"),
            unit="percentunit",
        ),
        series(
            "Total variation",
            "0: the same probabilities; 1: nothing in common. Unlike the turnover it weighs documents by what the plan "
            "gives them." + see("SelectionDrift"),
            (of_sets("tsds_stream_selection_total_variation"), "{{target_set}}, since {{since}}"),
            unit="none",
        ),
        series(
            "Came, by cause",
            "Documents per five minutes that came into the selection, and why. Arrivals are the normal cause."
            + see("SelectionDrift"),
            (f"increase({of_sets(churn, ADDED)}[5m])", "{{target_set}}, {{cause}}"),
            unit="short",
            stacked=True,
        ),
        series(
            "Left, by cause",
            "Documents per five minutes that left the selection, and why." + see("SelectionDrift"),
            (f"increase({of_sets(churn, REMOVED)}[5m])", "{{target_set}}, {{cause}}"),
            unit="short",
            stacked=True,
        ),
        series(
            "Size",
            "Selected documents, and how many are asked for." + see("ShortOfBudget"),
            (of_sets("tsds_stream_selection_documents"), "{{target_set}}, selected"),
            (of_sets("tsds_stream_selection_budget"), "{{target_set}}, asked for"),
            unit="short",
        ),
    ]


def _fits() -> list:
    share = "tsds_stream_group_share_ratio"
    return [
        series(
            "Share of each group: selected less asked for",
            "0: as asked. Above: the selection has more of it than the targets ask for. By the groups of targets, "
            "or by clusters of targets formed once." + see("SelectionDrift"),
            (
                f"{of_sets(share, SELECTED)} - ignoring (kind) {of_sets(share, ASKED)}",
                "{{target_set}}, {{group}}",
            ),
            unit="percentunit",
            minimum=None,
        ),
        series(
            "Distance from what was asked",
            "Total variation between the shares of the groups asked for and selected: 0 is as asked, 1 nothing of it.",
            (of_sets("tsds_stream_group_distance"), "{{target_set}}"),
            unit="none",
        ),
        series(
            "Transport cost",
            "Mean distance from the targets to what the plan gives them. It falls as better documents arrive, and "
            "never rises much by itself.",
            (of_sets("tsds_stream_transport_cost"), "{{target_set}}"),
            unit="none",
            minimum=None,
        ),
        series(
            "Trend of the cost",
            "Relative change per hour. Above 0 for long: what leaves is not replaced by its like.",
            (of_sets("tsds_stream_transport_cost_trend"), "{{target_set}}"),
            unit="percentunit",
            minimum=None,
        ),
        series(
            "Targets without a document",
            "Targets that no selected document is near. The status page lists them." + see("TargetUncovered"),
            (of_sets("instance_target_set:tsds_stream_targets:uncovered_ratio"), "{{target_set}}"),
            unit="percentunit",
            line=thresholds.UNCOVERED_SHARE,
        ),
        series(
            "Effective sample size",
            "As many documents of equal probability would be as diverse. Falling: few documents carry the plan.",
            (of_sets("tsds_stream_effective_sample_size"), "{{target_set}}"),
            unit="short",
        ),
        series(
            "Concentration by source",
            "Herfindahl index of the probability by meta.source: 1 when all is from one source. Only where documents "
            "name their source.",
            (of_sets("tsds_stream_source_concentration"), "{{target_set}}"),
            unit="none",
            maximum=1,
        ),
        rows_of(
            "Shares now",
            "What the targets ask for and what the selection gives, by group.",
            (of_sets(share), ""),
            unit="percentunit",
        ),
    ]


def _stream() -> list:
    score = "tsds_stream_stream_drift_score"
    return [
        number(
            "The comparison is",
            "Before it is watching there are no scores: the baseline is being taken.",
            (
                numbered("tsds_stream_drift_state", "state", ("off", "warming", "baseline", "watching")),
                "{{instance}}",
            ),
            words=STATES,
            span=6,
        ),
        number(
            "Baseline",
            "Documents of the frozen baseline that windows are compared with.",
            (of("tsds_stream_drift_baseline_documents"), "{{instance}}"),
            none="not taken yet",
            span=6,
        ),
        number(
            "Documents in the windows",
            "The short window notices sudden changes, the long one small ones.",
            (of("tsds_stream_stream_drift_documents"), "{{window}}"),
            span=12,
            named=True,
        ),
        series(
            "Scores in the short window",
            "Statistic / threshold of each signal: distance to the nearest target and share of groups per set; length, "
            "embedding and mean embedding of the whole stream." + see("StreamDrift"),
            (of_drift(score, SHORT), "{{signal}} {{target_set}}"),
            unit="none",
            line=LINE,
        ),
        series(
            "Scores in the long window",
            "The same over more documents: slower, and for smaller changes." + see("StreamDrift"),
            (of_drift(score, LONG), "{{signal}} {{target_set}}"),
            unit="none",
            line=LINE,
        ),
        series(
            "Groups in the stream",
            "Share of the documents of the short window whose nearest target is of the group." + see("StreamDrift"),
            (of_sets("tsds_stream_stream_group_share_ratio", SHORT), "{{target_set}}, {{group}}"),
            unit="percentunit",
            stacked=True,
        ),
        series(
            "Groups in the stream: now less baseline",
            "Which groups have grown (above 0) or shrunk since the baseline was taken." + see("StreamDrift"),
            (
                f"{of_sets('tsds_stream_stream_group_share_ratio', SHORT)} - ignoring (window) "
                f"{of_sets('tsds_stream_stream_group_share_ratio', BASELINE)}",
                "{{target_set}}, {{group}}",
            ),
            unit="percentunit",
            minimum=None,
        ),
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
        series("tau", "Documents are selected by their probability times this.",
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
