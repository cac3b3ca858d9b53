"""The check of dashboards and alerts finds what does not exist, and nothing else."""

from __future__ import annotations

import pytest

from tests.monitoring.promql import Matcher, Selector, filled_in, labels_in, problems, selectors

RECORDED = {"tsds_stream:stage_duration_seconds:p99": {"job", "stage"}}


@pytest.mark.parametrize(
    "expression",
    [
        "tsds_stream_lag_records",
        "up == 0 or absent(up)",
        "sum by (job) (rate(tsds_stream_documents_read_total[5m])) > 0",
        'increase(tsds_stream_dead_letters_total{reason!~"no_text|empty"}[1h]) > 10',
        'max_over_time((tsds_stream_stream_drift_score{window="long"} > 1)[30m:1m])',
        "histogram_quantile(0.99, sum by (le, stage) (rate(tsds_stream_stage_duration_seconds_bucket[5m])))",
        "tsds_stream_latency_seconds_sum / tsds_stream_latency_seconds_count",
        'tsds_stream_selection_inexact{reason="short"} * on (target_set) group_left (mode) tsds_stream_target_set_info',
        'tsds_stream:stage_duration_seconds:p99{stage="embed"}',
        'sum by (place) (label_join(tsds_stream_partition_lag_records, "place", "/", "topic", "partition"))',
        'tsds_stream_stream_drift_score{target_set=~".*", signal!=""}',
    ],
)
def test_what_exists_is_no_problem(expression: str):
    assert problems(expression, RECORDED) == []


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("tsds_stream_lag", "there is no metric tsds_stream_lag"),
        ("tsds_stream_latency_seconds", "there is no metric"),  # a histogram has none of its bare name
        ("rate(tsds_stream_documents_read[5m])", "there is no metric"),
        ("tsds_stream:unknown:rate5m", "there is no metric"),
        ('{job="tsds"}', "there is no metric (without a name)"),
        ('tsds_stream_lag_records{target_set="a"}', "has no label target_set; it has instance, job"),
        ('tsds_stream_phase{phase="alive"}', "never has phase='alive'; it can be starting, "),
        ('tsds_stream_phase{phase=~"live|replay"}', "never has phase='replay'"),
        ("sum by (job) (sum by (instance) (tsds_stream_revision))", "the label job"),
        ("sum by (set) (tsds_stream_revision)", "nothing there has the label set"),
        ("tsds_stream_revision / on (group) tsds_stream_targets", "nothing there has the label group"),
        ("tsds_stream_revision * on (target_set) group_left (kind) tsds_stream_target_set_info", "the label kind"),
        ("sum(", "sum("),
    ],
)
def test_what_does_not_exist_is_told(expression: str, said: str):
    told = problems(expression, RECORDED)
    assert len(told) == 1
    assert said in told[0]


def test_selectors_are_found_wherever_they_stand():
    expression = 'quantile by (x) (0.5, -a{b="c"}) or (max_over_time(d{e!~"f"}[1h:5m] offset 1h) unless g)'
    assert selectors(expression) == [
        Selector("a", (Matcher("b", "=", "c"),)), Selector("d", (Matcher("e", "!~", "f"),)), Selector("g", ()),
    ]  # fmt: skip


def test_a_recording_rule_keeps_the_labels_of_its_by_or_of_its_metrics():
    assert labels_in("sum by (le, stage) (rate(tsds_stream_stage_duration_seconds_bucket[5m]))") == {"le", "stage"}
    assert labels_in("rate(tsds_stream_dead_letters_total[5m])") == {"job", "instance", "reason"}
    assert labels_in("sum(tsds_stream_lag_records)") == frozenset()
    assert labels_in("sum without (job) (tsds_stream_targets)") == {"instance", "target_set", "state"}
    assert labels_in("topk(3, tsds_stream_revision)") == {"job", "instance", "target_set"}
    assert labels_in("histogram_quantile(0.9, rate(tsds_stream_latency_seconds_bucket[5m]))") == {"job", "instance"}
    assert labels_in("tsds_stream_lag_records and on (job) tsds_stream_revision") == {"job", "instance"}


def test_variables_are_filled_in_by_their_whole_names():
    filled = filled_in('rate(a{b=~"$set", c="${settle}"}[$__rate_interval])', {"set": "x|y", "settle": "z"})
    assert filled == 'rate(a{b=~"x|y", c="z"}[5m])'
