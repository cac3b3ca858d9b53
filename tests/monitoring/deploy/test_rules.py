"""The rules for Prometheus are sound, ask for what exists, and each alert has an owner, a remedy and its stories."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.monitoring.deploy.files import PROMETHEUS, RULES, STORIES, alerts, recorded, rules, sections
from tests.monitoring.prometheus import tool
from tests.monitoring.promql import problems

ALERTS = {
    *("Stalled", "FallingBehind", "SourceAbsent", "CheckpointStale", "RevisionStale", "DeadLetters", "EmbedderFailing"),
    *("RecallLow", "PlanTruncated", "SelectionDrift", "StreamDrift", "TargetUncovered", "MemoryHigh"),
}


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tool("promtool"), *map(str, words)], capture_output=True, text=True, cwd=PROMETHEUS)


@pytest.mark.parametrize(
    "words",
    [("check", "rules", "--lint-fatal", RULES), ("test", "rules", STORIES), ("check", "config", "prometheus.yml")],
    ids=lambda words: " ".join(words[:2]),
)
def test_promtool_finds_nothing_wrong(words: tuple[str | Path, ...]):
    done = promtool(*words)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_metrics_and_labels_that_exist(rule: dict[str, str]):
    assert problems(rule["expr"], recorded()) == []


def test_a_metric_that_is_misspelt_in_a_rule_would_be_found():
    expressions = [rule["expr"] for rule in alerts()]
    assert problems(expressions[0].replace("loop:idle", "loop:idel"), recorded())
    assert problems(expressions[-1].replace("target_set", "set"), recorded())


def test_every_trouble_that_somebody_is_called_for_has_an_alert():
    assert {rule["alert"] for rule in alerts()} == {f"TsdsStream{name}" for name in ALERTS}


@pytest.mark.parametrize(
    "rule", alerts(), ids=lambda rule: f"{rule['alert']} {rule['labels'].get('cause', '')}".strip()
)
def test_an_alert_says_whom_it_calls_why_and_what_to_do(rule: dict[str, dict[str, str]]):
    name = str(rule["alert"]).removeprefix("TsdsStream")
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["labels"]["owner"] in ("on-call", "data-lead")
    assert rule["labels"]["severity"] == "warning" or rule["labels"]["owner"] == "on-call"  # only they are woken
    assert "for" in rule or rule["labels"].get("cause") == "restarting"  # which looks back by itself
    assert rule["annotations"]["runbook_url"] == f"deploy/RUNBOOK.md#{name.lower()}"
    assert rule["annotations"]["summary"].endswith(tuple("abcdefghijklmnopqrstuvwxyz}"))
    assert rule["annotations"]["description"].endswith((".", ")."))
    section = sections()[name]
    for question in ("**What it means", "**How to look", "**What to do"):
        assert question in section


def test_every_alert_has_a_story_in_which_it_fires_and_one_in_which_it_does_not():
    fires: dict[str, set[str]] = {}
    keeps_quiet = set()
    for story in yaml.safe_load(STORIES.read_text())["tests"]:
        instances = set(re.findall(r'(?:instance|target_set|signal)="([^"]+)"', str(story["input_series"])))
        for case in story.get("alert_rule_test", ()):
            told = str(case["exp_alerts"])
            if case["exp_alerts"]:
                fires.setdefault(case["alertname"], set()).update(
                    alert["exp_labels"].get("cause", "") for alert in case["exp_alerts"]
                )
            if any(name not in told for name in instances):
                keeps_quiet.add(case["alertname"])
    assert fires == _causes()
    assert keeps_quiet == set(fires)


def _causes() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for rule in alerts():
        found.setdefault(rule["alert"], set()).add(rule["labels"].get("cause", ""))
    return found


def test_what_an_alert_needs_is_recorded_in_its_own_group_before_it():
    """Groups are evaluated beside each other: what another one records may be of the round before."""
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        known: set[str] = set()
        for rule in group["rules"]:
            needed = {name for name in recorded() if re.search(rf"{name}\b", rule["expr"])}
            assert needed <= known, rule.get("alert", rule.get("record"))
            known.add(rule.get("record", ""))
