"""What Prometheus is given: both of its formats, valid, stable, bounded, whatever a stream contains."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed_text

from tests.monitoring.prometheus import linted, stored
from tests.monitoring.samples import empty, failing, sample, two_sets
from tsds_stream.monitoring.catalogue import METRICS, Json
from tsds_stream.monitoring.exposition import render

OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
SAMPLES = [sample, two_sets, empty, failing]
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples_of(status: Json, accept: str = "") -> Samples:
    """Every sample of the exposition, as a client library reads it."""
    body = render(status, accept)[0].decode()
    families = list(parsed_openmetrics(body) if accept else parsed_text(body))
    found: list[Any] = [one for family in families for one in family.samples]
    told = {(one.name, tuple(sorted(one.labels.items()))): one.value for one in found}
    assert len(told) == len(found), "a series occurs twice"
    return told


def labels_of(status: Json, name: str, label: str) -> list[str]:
    return sorted({dict(labels)[label] for (series, labels) in samples_of(status) if series == f"tsds_stream_{name}"})


# -- formats ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", SAMPLES)
def test_promtool_finds_nothing_to_say(status: Callable[[], Json]):
    assert linted(render(status())[0]) == ""


@pytest.mark.parametrize("status", SAMPLES)
def test_prometheus_stores_every_sample_of_the_openmetrics_form(status: Callable[[], Json], tmp_path: Path):
    assert stored(render(status(), OPENMETRICS)[0], tmp_path) == ""


@pytest.mark.parametrize("status", SAMPLES)
def test_both_forms_have_the_same_samples(status: Callable[[], Json]):
    assert samples_of(status(), OPENMETRICS) == samples_of(status())


def test_openmetrics_says_the_unit_and_ends():
    body, content_type = render(sample(), OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert body.endswith(b"\n# EOF\n")
    assert b"# UNIT tsds_stream_read_bytes bytes\n" in body
    assert b"# TYPE tsds_stream_build info\n" in body


@pytest.mark.parametrize(
    "accept", ["", "*/*", "text/html", "text/plain;version=one;q=x", "a" * 10_000, ";;,,==;", "\x00é"]
)
def test_whoever_asks_for_nothing_known_gets_the_text_format(accept: str):
    body, content_type = render(sample(), accept)
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert body == render(sample())[0]


@pytest.mark.parametrize("version", ["one", "", "1.0.0.0.0", "-1", "9" * 5000, "1.0.0;escaping=allow-utf-8"])
def test_a_version_that_is_none_is_answered_all_the_same(version: str):
    body, content_type = render(sample(), f"application/openmetrics-text;version={version}")
    assert body.endswith(b"# EOF\n") == content_type.startswith("application/openmetrics-text")
    assert b"tsds_stream_revision{" in body


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_equal_documents_give_equal_bytes_in_whatever_order_they_were_made(accept: str):
    assert render(two_sets(), accept) == render(turned(two_sets()), accept)


def turned(value: Any) -> Any:
    """The same with the entries of every object in the opposite order."""
    if isinstance(value, dict):
        return {name: turned(below) for name, below in reversed(value.items())}
    return [turned(below) for below in value] if isinstance(value, list) else value


def test_a_document_of_two_sets_and_many_partitions_is_rendered_quickly():
    """Processor time, at best of five: a second has room for a hundred scrapes even if nothing were cached."""
    status = two_sets()
    status["flow"]["partition_lag"] = {f"documents/{number}": number for number in range(32)}
    times = []
    for _ in range(5):
        began = time.process_time()
        render(status)
        times.append(time.process_time() - began)
    assert min(times) < 0.1


# -- values -------------------------------------------------------------------------------------------------------


def test_values_are_those_of_the_document():
    status = two_sets()
    found = samples_of(status)

    def at(name: str, **labels: str) -> float:
        return found[f"tsds_stream_{name}", tuple(sorted(labels.items()))]

    assert at("read_bytes_total") == 1.7e9
    assert at("loop_timestamp_seconds") == status["process"]["ticked"] / 1000
    assert at("dead_letters_total", reason="text") == 1
    assert at("partition_lag_records", topic="documents", partition="1") == 30
    assert at("assigned_partitions") == 2
    assert at("stage_duration_seconds_bucket", stage="publish", le="0.025") == 20
    assert at("stage_duration_seconds_bucket", stage="publish", le="0.01") == 0
    assert at("latency_seconds_count") == at("latency_seconds_bucket", le="+Inf") == 53
    assert at("latency_seconds_sum") == pytest.approx(28.6)
    assert at("selection_inexact", target_set="chess-openings", reason="truncated") == 1
    assert at("selection_inexact", target_set="default", reason="truncated") == 0
    assert at("selection_churn_total", target_set="default", cause="retractions", direction="removed") == 20
    assert at("selection_turnover_ratio", target_set="default", since="hour") == 0.11
    assert at("group_share_ratio", target_set="default", group="databases", kind="selected") == 0.47
    assert at("stream_drift_score", target_set="", signal="mean", window="long") == 0.4
    assert at("stream_drift_documents", window="long") == 5000
    assert at("configuration_info", source="kafka", sink="kafka", embedder=status["configuration"]["embedder"],
              digest=status["configuration"]["digest"]) == 1  # fmt: skip


def test_counters_and_known_label_values_are_there_from_the_start():
    status = empty()
    found = samples_of(status)
    names = {name for name, _ in found}
    for metric in METRICS:
        if metric.kind in ("counter", "histogram"):
            assert names.issuperset(metric.series), metric.name
    assert {"decode", "no_text", "refused"} <= set(labels_of(status, "dead_letters_total", "reason"))
    assert len(labels_of(status, "selection_churn_total", "cause")) == 5


def test_what_is_not_known_is_absent_and_never_nan():
    status = empty()
    names = {name for name, _ in samples_of(status)}
    assert "tsds_stream_index_recall_ratio" not in names
    assert "tsds_stream_transport_cost" not in names
    assert "tsds_stream_selection_turnover_ratio" not in names
    assert b"NaN" not in render(status)[0]
    status["sets"]["default"]["transport_cost"] = float("nan")
    assert b"NaN" not in render(status)[0]


def test_a_document_that_lacks_parts_is_no_error():
    assert samples_of({})
    for part in sample():
        assert samples_of({name: value for name, value in sample().items() if name != part}), part


def test_reasons_that_are_new_are_told_too():
    status = sample()
    status["flow"]["dead_letters"]["moonlight"] = 2
    assert samples_of(status)["tsds_stream_dead_letters_total", (("reason", "moonlight"),)] == 2


# -- hostile and large label values -------------------------------------------------------------------------------

HOSTILE = [
    'say "no"',
    "a\nb",
    "back\\slash",
    "}\n# EOF\n",
    "é漢字🦜",
    "\x00\x07",
    "half \ud800 a pair",
    "x" * 10_000,
    "",
    " ",
]


@pytest.mark.parametrize("group", HOSTILE)
def test_hostile_group_names_are_escaped_and_bounded(group: str, tmp_path: Path):
    status = sample()
    status["sets"]["default"]["watch"]["groups"] = [{"group": group, "asked": 1.0, "selected": 1.0}]
    status["drift"]["groups"] = {"default": {"labels": [group], "baseline": [1.0], "short": [1.0], "long": [1.0]}}
    for accept in ("", OPENMETRICS):
        shares = {labels: value for (name, labels), value in samples_of(status, accept).items() if "share" in name}
        [told] = {dict(labels)["group"] for labels in shares if "group" in dict(labels)}
        assert 0 < len(told) <= 100
        assert told == group or group in ("", "half \ud800 a pair") or len(group) > 100
    assert linted(render(status)[0]) == ""
    assert stored(render(status, OPENMETRICS)[0], tmp_path) == ""


def test_long_names_stay_apart():
    status = sample()
    status["sets"]["default"]["watch"]["groups"] = [
        {"group": "x" * 500 + end, "asked": 0.5, "selected": 0.5} for end in ("a", "b")
    ]
    assert len(labels_of(status, "group_share_ratio", "group")) == 2


def test_many_groups_are_bounded_and_their_shares_stay_whole():
    status = sample()
    groups = [{"group": f"group {k}", "asked": 1 / 500, "selected": k / 124_750} for k in range(500)]
    status["sets"]["default"]["watch"]["groups"] = groups
    labels = [f"group {k}" for k in range(500)]
    status["drift"]["groups"]["default"] = dict(labels=labels, **dict.fromkeys(("baseline", "short"), [1 / 500] * 500))
    assert len(labels_of(status, "group_share_ratio", "group")) == 33
    assert len(labels_of(status, "stream_group_share_ratio", "group")) == 33
    found = samples_of(status)
    for kind in ("asked", "selected"):
        shares = [value for (name, labels), value in found.items()
                  if name == "tsds_stream_group_share_ratio" and ("kind", kind) in labels]  # fmt: skip
        assert sum(shares) == pytest.approx(1.0)


def test_no_label_holds_the_id_of_a_document_or_of_a_target():
    status = two_sets()
    mark = "unmistakable"
    for one in status["sets"].values():
        one["watch"] = marked(one["watch"], mark)
    status["events"] = marked(status["events"], mark)
    body = render(status)[0].decode()
    assert mark not in body
    assert body == render(two_sets())[0].decode()


def marked(value: Any, mark: str, name: str = "") -> Any:
    """The same with every id, text and nearest target replaced."""
    if isinstance(value, dict):
        return {key: marked(below, mark, key) for key, below in deepcopy(value).items()}
    if isinstance(value, list) and name != "nearest":
        return [marked(below, mark, name) for below in value]
    return mark if name in ("id", "text", "nearest") else value
