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
from deploy.grafana.selection_internals import internals
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
    for row in internals():
        made = made.with_row(row)
    return made


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
