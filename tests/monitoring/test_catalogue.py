"""The declarations: names that users of Prometheus expect, values that the code really has, a reference of them all."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from tests.cli_cases import ROOT, tsds
from tsds_stream.engine.intake import REASONS as REJECTED
from tsds_stream.engine.statistics import BOUNDS, STAGES, Phase
from tsds_stream.fields import Reason
from tsds_stream.monitoring.catalogue import GROUPS, METRICS, PREFIX, Metric
from tsds_stream.monitoring.catalogue.labels import INEXACT, PHASE, REASON, STAGE
from tsds_stream.selection.settings import Mode
from tsds_stream.selection.standing import Standing
from tsds_stream.summary import REASONS as INEXACT_REASONS

BASE_UNITS = ("seconds", "bytes", "ratio")
RESERVED_ENDINGS = ("_count", "_sum", "_bucket", "_created")
OTHER_UNITS = re.compile(r"(^|_)(ms|milliseconds|minutes|hours|days|kb|mb|kilobytes|megabytes|percent|age)(_|$)")
OF_A_RECORD = {"id", "document", "document_id", "target", "target_id", "text", "key"}


def name_of(metric: Metric) -> str:
    return metric.name


# -- names --------------------------------------------------------------------------------------------------------


def test_no_series_is_declared_twice():
    counted = Counter(name for metric in METRICS for name in {metric.full_name, *metric.series})
    assert [name for name, count in counted.items() if count > 1] == []


@pytest.mark.parametrize("metric", METRICS, ids=name_of)
def test_names_follow_the_conventions(metric: Metric):
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", metric.name)
    assert metric.full_name.startswith(PREFIX)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_info") == (metric.kind == "info")
    assert not metric.name.endswith(RESERVED_ENDINGS)
    assert not OTHER_UNITS.search(metric.name), "base units; and moments, not ages"
    assert not set(metric.name.split("_")) & {"gauge", "counter", "histogram", "summary"}


@pytest.mark.parametrize("metric", METRICS, ids=name_of)
def test_base_units_end_the_name(metric: Metric):
    ending = metric.name.removesuffix("_total").rpartition("_")[2]
    assert ending == metric.unit or not {ending, metric.unit} & set(BASE_UNITS)
    assert "timestamp" not in metric.name or metric.name.endswith("_timestamp_seconds")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))


@pytest.mark.parametrize("metric", METRICS, ids=name_of)
def test_labels_are_few_and_told(metric: Metric):
    names = [label.name for label in metric.labels]
    assert len(names) == len(set(names)) <= 4
    assert not set(names) & {"le", "quantile", "job", "instance", *OF_A_RECORD}
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)
    assert all(label.meaning and not label.meaning.endswith(".") for label in metric.labels)


@pytest.mark.parametrize("metric", METRICS, ids=name_of)
def test_the_help_is_a_sentence(metric: Metric):
    assert metric.help[:1].isalnum() or metric.help.startswith("Σ")
    assert metric.help.endswith(".")
    assert "\n" not in metric.help


# -- one definition of each fact ------------------------------------------------------------------------------------


def test_durations_are_counted_by_the_declared_buckets():
    assert {metric.buckets for metric in METRICS if metric.kind == "histogram"} == {BOUNDS}


def test_label_values_are_those_of_the_code():
    assert STAGE.values == STAGES
    assert PHASE.values == get_args(Phase)
    assert INEXACT.values == tuple(INEXACT_REASONS)
    [described] = [metric for metric in METRICS if metric.name == "target_set_info"]
    values = {label.name: label.values for label in described.labels}
    assert values["mode"] == get_args(Mode)
    assert set(values["index"]) == set(get_args(resolved(Standing, "kind")))


def resolved(owner: type, field: str) -> Any:
    return get_type_hints(owner)[field]


def test_every_reason_for_a_dead_letter_is_known():
    """Those of records have a type; those of embedders stand where they are given."""
    embedders = {
        str(node.args[0].value)
        for path in (ROOT / "tsds_stream" / "embedding").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Failure"
        if isinstance(node.args[0], ast.Constant)
    }
    assert embedders
    assert {code for code, _ in REJECTED.values()} <= set(get_args(Reason))
    assert set(REASON.values) == set(get_args(Reason)) | embedders
    assert len(REASON.values) == len(set(REASON.values))


# -- the reference ------------------------------------------------------------------------------------------------


def test_the_reference_has_every_metric_once_with_its_labels():
    page = tsds("metrics", "--reference").stdout
    for group in GROUPS:
        assert f"\n## {group.title}\n" in page
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert [row[0].strip("| `") for row in rows] == [metric.name for metric in METRICS]
    assert all(len(row) == 5 for row in rows)
    for row, metric in zip(rows, METRICS, strict=True):
        assert re.findall(r"`(\w+)`", row[3]) == [label.name for label in metric.labels]
        assert metric.help.replace("|", "\\|") in row[4]


def test_declarations_need_nothing_that_a_plain_installation_lacks():
    catalogue = ROOT / "tsds_stream" / "monitoring" / "catalogue"
    imported = {line for path in catalogue.glob("*.py") for line in imports(path)}
    assert not imported & {"prometheus_client", "waitress", "numpy"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
