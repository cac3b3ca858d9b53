"""The dashboards are what their code gives, ask for what exists, and explain themselves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kafka.fixtures import refuse
from tests.monitoring.deploy.files import (
    DASHBOARDS,
    DEPLOY,
    EVERYTHING,
    ROOT,
    Asked,
    alerts,
    asked,
    dashboard,
    marks,
    panels,
    recorded,
    rules,
    sections,
)
from tests.monitoring.promql import filled_in, problems, selectors
from tsds_stream.config import load_settings
from tsds_stream.monitoring.catalogue import METRICS

BOARDS = {path.stem: dashboard(path) for path in DASHBOARDS}
OF_READERS = ["operations", "selection"]
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in panels(board)]


def generate(*words: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    if find_spec("grafana_foundation_sdk") is None:
        refuse("grafana-foundation-sdk is not installed, which makes and reads the dashboards; it needs Python 3.11")
    command = [sys.executable, "-m", "deploy.grafana.generate", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment)


def test_the_dashboards_are_what_the_code_gives_and_grafanas_schema_knows_all_of_them():
    done = generate("--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_dashboard_that_was_changed_by_hand_is_noticed_and_written_again(tmp_path: Path):
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    file = tmp_path / "deploy" / "grafana" / "dashboards" / "operations.json"
    content = file.read_text()
    file.write_text(content.replace("Last step", "Last stop"))
    done = generate("--check", root=tmp_path)
    assert (done.returncode, done.stdout.count("\n"), "operations.json" in done.stdout) == (1, 1, True)
    assert generate(root=tmp_path).returncode == 0
    assert file.read_text() == content


def test_each_has_one_fixed_address_and_says_for_whom_it_is():
    assert {board["uid"] for board in BOARDS.values()} == {f"tsds-stream-{name}" for name in BOARDS}
    assert set(OF_READERS) < set(BOARDS)
    for name in OF_READERS:
        assert BOARDS[name]["description"].startswith("For whoever")
    assert all(len(board["uid"]) <= 40 for board in BOARDS.values())
    assert all("id" not in board for board in BOARDS.values())  # of one Grafana, not of the file


@pytest.mark.parametrize("name", OF_READERS)
def test_a_dashboard_can_be_pointed_at_any_process_and_set(name: str):
    variables = {one["name"]: one for one in BOARDS[name]["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "instance", "target_set"]
    assert variables["datasource"]["type"] == "datasource"
    assert all(variables[one]["multi"] and variables[one]["includeAll"] for one in ("job", "instance", "target_set"))
    for name, value in EVERYTHING.items():
        assert variables[name]["allValue"] == value
        wanted = re.fullmatch(r"label_values\((.*), (\w+)\)", variables[name]["query"]["query"])
        assert wanted is not None
        assert wanted[2] == name
        assert problems(filled_in(wanted[1], EVERYTHING), recorded()) == []


@pytest.mark.parametrize("one", [*asked(), *marks()], ids=lambda one: f"{one.dashboard}: {one.panel}")
def test_a_panel_asks_for_metrics_and_labels_that_exist(one: Asked):
    assert problems(filled_in(one.expression, EVERYTHING), recorded()) == []
    assert "$job" in one.expression
    assert "$instance" in one.expression


def test_a_metric_that_is_misspelt_in_a_panel_would_be_found():
    expression = next(one.expression for one in asked() if "tsds_stream_lag_records" in one.expression)
    assert problems(filled_in(expression.replace("lag_records", "lag_record"), EVERYTHING), recorded())
    assert problems(filled_in(expression.replace("job", "jop"), EVERYTHING), recorded())


def test_every_metric_is_on_a_dashboard():
    expressions = [filled_in(one.expression, EVERYTHING) for one in asked()]
    for rule in reversed(rules()):  # what a panel has by way of a recording rule, it has
        if "record" in rule and any(rule["record"] in one for one in expressions):
            expressions.append(rule["expr"])
    shown = {one.metric for expression in expressions for one in selectors(expression)}
    assert [metric.full_name for metric in METRICS if not shown & set(metric.series)] == []


@pytest.mark.parametrize(
    ("name", "panel"), PANELS, ids=lambda value: value if isinstance(value, str) else value["title"]
)
def test_a_panel_explains_itself(name: str, panel: dict[str, Any]):
    assert len(panel["description"]) > 9
    assert panel["title"]
    if panel["type"] == "text":
        return
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("name", OF_READERS)
def test_what_a_person_does_not_need_at_first_is_folded(name: str):
    rows = [panel for panel in BOARDS[name]["panels"] if panel["type"] == "row"]
    open_rows = [row["title"] for row in rows if not row["collapsed"]]
    assert len(open_rows) in (3, 4)
    assert all(title.endswith("?") for title in open_rows)
    assert all(row["title"].startswith("Internals") and row["panels"] for row in rows if row["collapsed"])


@pytest.mark.parametrize("name", OF_READERS)
def test_panels_lie_beside_each_other_and_not_on_each_other(name: str):
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[name]["panels"]:
        for one in [panel, *panel.get("panels", ())]:
            place = one["gridPos"]
            assert place["x"] + place["w"] <= 24
        place = panel["gridPos"]
        cells = {(place["x"] + column, place["y"] + line) for column in range(place["w"]) for line in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    last = max(line for _, line in taken)
    holes = {(column, line) for column in range(24) for line in range(last)} - taken
    shown = {line for _, line in holes}
    folded = [one["gridPos"]["y"] for one in BOARDS[name]["panels"] if one.get("collapsed")]
    assert all(line > min(folded) for line in shown)  # nothing moves up into a gap


def test_numbers_of_panels_are_theirs_alone():
    for board in BOARDS.values():
        numbers = [one["id"] for panel in board["panels"] for one in [panel, *panel.get("panels", ())]]
        assert len(numbers) == len(set(numbers))


def test_links_to_the_runbook_lead_to_the_section_that_they_name():
    places = {f"panel-{panel['id']}": panel["title"] for panel in panels(BOARDS["runbook"])}
    assert list(places.values()) == list(sections())
    links = [
        link
        for _, panel in PANELS
        for link in re.findall(r"\[(.+?)\]\(d/(\S+?)\?viewPanel=(\S+?)\)", panel["description"])
    ]
    assert links
    for title, uid, place in links:
        assert (uid, places[place]) == (BOARDS["runbook"]["uid"], title)
    told = {title for title, _, _ in links}
    assert {rule["alert"].removeprefix("TsdsStream") for rule in alerts()} <= told


def test_scores_of_drift_have_their_alarm_line_at_1():
    shown = [panel for _, panel in PANELS if panel["title"].startswith(("Scores in", "Drift of the selection"))]
    assert len(shown) == 3
    for panel in shown:
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1] == {"color": "red", "value": 1.0}
        assert panel["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"] == {"mode": "dashed"}


def test_everything_that_is_mounted_and_named_is_there():
    overlay = yaml.safe_load((DEPLOY / "compose.monitoring.yaml").read_text())
    base = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = {name: {**base["services"].get(name, {}), **one} for name, one in overlay["services"].items()}
    for name in ("prometheus", "grafana"):
        assert re.fullmatch(r"[\w/.-]+:v?\d+\.\d+\.\d+", services[name]["image"])
    mounted = {}
    for service in services.values():
        for volume in service.get("volumes", ()):
            source, place = volume.split(":")[:2]
            mounted[place] = source
            assert (
                (DEPLOY / source).exists()
                if source.startswith(".")
                else source in {**overlay["volumes"], **base["volumes"]}
            )
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/tsds-stream.yaml").read_text())
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    assert mounted[provider["providers"][0]["options"]["path"]] == "./grafana/dashboards"
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    scrape = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"][0]
    environment = overlay["services"]["tsds-stream"]["environment"]
    listen = load_settings(DEPLOY / "compose.toml", environment=environment).monitoring.listen
    assert listen is not None
    port = listen.rpartition(":")[2]
    assert scrape["static_configs"] == [{"targets": [f"tsds-stream:{port}"]}]
    assert scrape["job_name"].startswith("tsds-stream")
