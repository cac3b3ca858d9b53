"""Status documents as Prometheus would have scraped them for a while, and which alerts its rules raise of them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring.deploy.files import RULES, Json, rules
from tests.monitoring.prometheus import tool
from tests.monitoring.promql import selectors
from tests.monitoring.samples import MINUTE, NOW
from tsds_stream.monitoring.exposition import render

MINUTES = 40  # longer than any `for` and any range together
Growth = Mapping[str, float]  # of `name` or `section.name` of the document's flow, per minute


def firing(cases: Mapping[str, tuple[Json, Growth]], folder: Path) -> dict[str, set[str]]:
    """The codes of the alerts that fire after forty minutes in which each document kept its ages, and grew as told."""
    series = [line for name, (status, growth) in cases.items() for line in _series(name, status, growth)]
    nothing = {"expr": 'ALERTS{alertstate="firing"}', "eval_time": f"{MINUTES}m", "exp_samples": []}
    story = {"interval": "1m", "input_series": series, "promql_expr_test": [nothing]}
    file = folder / "judging.test.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [story]}))
    done = subprocess.run([tool("promtool"), "test", "rules", str(file)], capture_output=True, text=True)
    said = (done.stdout + done.stderr).partition("got:")[2]
    assert said, done.stdout + done.stderr  # at least what is absent fires
    found: dict[str, set[str]] = {name: set() for name in cases}
    for labels in re.findall(r"\{([^{}]*)\}", said):
        alert = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if "instance" in alert:
            found[alert["instance"]].add(code_of(alert["alertname"]))
    return found


def code_of(alertname: str) -> str:
    """`TsdsStreamFallingBehind` is what the judgement calls falling_behind."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", alertname.removeprefix("TsdsStream")).lower()


def before(status: Json, growth: Growth, minutes: float) -> Json:
    """The document of so many minutes earlier, in a run that went on as it does now."""
    flow = deepcopy(status["flow"])
    for place, per_minute in growth.items():
        *sections, name = place.split(".")
        part = flow
        for section in sections:
            part = part[section]
        part[name] -= per_minute * minutes
    return {**status, "flow": flow}


def _series(instance: str, status: Json, growth: Growth) -> list[Json]:
    """What rules ask for, over that time: moments keep their age, what grows grows evenly, the rest stands."""
    then, now = _values(before(status, growth, MINUTES)), _values(status)
    assert then.keys() == now.keys()
    found = []
    for (name, labels), last in now.items():
        first, step = then[name, labels], (last - then[name, labels]) / MINUTES
        if name == "tsds_stream_start_timestamp_seconds":  # the one moment that does not move on
            first, step = last - NOW / 1000 + MINUTES * 60, 0.0
        elif name.endswith("_timestamp_seconds") and last:
            first, step = last - NOW / 1000, 60.0
        told = ",".join(f"{key}={json.dumps(value)}" for key, value in labels)
        series = f'{name}{{job="tsds-stream",instance="{instance}",{told}}}'
        found.append({"series": series, "values": f"{first:.6f}{step:+.6f}x{MINUTES}"})
    return found


@cache
def _asked_for() -> frozenset[str]:
    return frozenset(one.metric for rule in rules() for one in selectors(rule["expr"]))


def _values(status: Json) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    wanted = _asked_for()
    return {
        (sample.name, tuple(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(render(status)[0].decode())
        for sample in family.samples
        if sample.name in wanted
    }


def with_history(status: Json, growth: Growth) -> Json:
    """The document with the history that the judgement looks back into, minute by minute."""
    columns = ["time", "documents_per_second", "lag_records", "lag_seconds", "dead_letters", "documents_read"]
    rows = []
    for minutes in range(MINUTES, -1, -1):
        flow = before(status, growth, minutes)["flow"]
        lag = [flow["lag"].get("records"), flow["lag"].get("seconds")]
        letters = sum(flow["dead_letters"].values())
        rows.append([NOW - minutes * MINUTE, flow["documents_per_second"], *lag, letters, flow["documents_read"]])
    return {**status, "history": {"columns": columns, "rows": rows}}
