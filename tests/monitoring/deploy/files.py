"""What lies in `deploy/prometheus` and `deploy/grafana`: rules, dashboards, their expressions, the runbook."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.monitoring.promql import labels_in

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "tsds-stream.rules.yml"
STORIES = PROMETHEUS / "tsds-stream.test.yml"
RUNBOOK = DEPLOY / "RUNBOOK.md"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
EVERYTHING = {"job": "tsds-stream.*", "instance": ".+", "target_set": ".*"}  # what "All" stands for in the dashboards

Json = dict[str, Any]


class Asked(NamedTuple):
    """An expression of a dashboard, as it stands there."""

    dashboard: str
    panel: str
    expression: str


def rules() -> list[Json]:
    """Recording and alerting rules, in their order."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[Json]:
    return [rule for rule in rules() if "alert" in rule]


def recorded() -> dict[str, frozenset[str]]:
    """The recording rules, with the labels that they keep."""
    found: dict[str, frozenset[str]] = {}
    for rule in rules():
        if "record" in rule:
            found[rule["record"]] = labels_in(rule["expr"], found)
    return found


def dashboard(path: Path) -> Json:
    return dict(json.loads(path.read_text()))


def panels(board: Json) -> Iterator[Json]:
    """All but rows, also those in collapsed rows."""
    for panel in board["panels"]:
        if panel["type"] != "row":
            yield panel
        yield from panel.get("panels", ())


def asked() -> list[Asked]:
    """Every expression of every dashboard."""
    return [
        Asked(path.stem, panel["title"], target["expr"])
        for path in DASHBOARDS
        for panel in panels(dashboard(path))
        for target in panel.get("targets", ())
    ]


def marks() -> list[Asked]:
    """The same of what is marked in all panels at the time when it happened."""
    return [
        Asked(path.stem, mark["name"], mark["expr"])
        for path in DASHBOARDS
        for mark in dashboard(path).get("annotations", {}).get("list", ())
    ]


def sections() -> dict[str, str]:
    """The text of each section of the runbook."""
    parts = re.split(r"^## (.+)$", RUNBOOK.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))
