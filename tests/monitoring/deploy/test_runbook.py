"""The runbook has what a person needs who was woken: a section per alert, and commands that exist."""

from __future__ import annotations

import re
import shlex

from tests.monitoring.deploy.files import DASHBOARDS, RUNBOOK, alerts, dashboard, panels, sections
from tests.monitoring.deploy.test_rules_judge_alike import cases
from tests.monitoring.samples import NOW, failing
from tsds_stream.cli import COMMANDS, command_parser
from tsds_stream.exit_status import ExitStatus
from tsds_stream.monitoring.health import judge


def commands() -> list[list[str]]:
    """Everything in code that begins with our name, and a command."""
    code = re.findall(r"`([^`\n]+)`", RUNBOOK.read_text())
    found = (re.match(r"(?:\S*/)?tsds-stream (?=[a-z])(.*)", one) for one in code)
    return [shlex.split(one[1]) for one in found if one]


def test_it_begins_with_where_to_begin():
    assert next(iter(sections())) == "Start here"
    for where in (
        "tsds-stream status",
        "http://HOST:9464/",
        "journalctl",
        "docker compose",
        "*tsds-stream: Operations*",
    ):
        assert where in sections()["Start here"]


def test_every_alert_and_everything_that_is_told_elsewhere_has_a_section():
    told = {one.runbook for status, _ in cases().values() for one in judge(status, NOW).warnings}
    told |= {one.runbook for one in judge(failing(), NOW).warnings}
    assert told | {rule["alert"].removeprefix("TsdsStream") for rule in alerts()} <= set(sections())


def test_every_cause_that_an_alert_can_have_is_explained():
    for rule in alerts():
        section = sections()[rule["alert"].removeprefix("TsdsStream")]
        assert f"{rule['labels'].get('cause', '')}`" in section


def test_the_program_understands_every_command():
    assert len(commands()) > 10
    for words in commands():
        assert words[0] in COMMANDS, words
        command_parser(words[0])[0].parse_args(words[1:])


def test_every_exit_code_is_explained():
    told = set(map(int, re.findall(r"^  \| (\d+) \|", sections()["Stalled"], re.MULTILINE)))
    assert told == {int(code) for code in ExitStatus} | {137}


def test_panels_that_it_sends_people_to_exist():
    shown = {panel["title"] for path in DASHBOARDS for panel in panels(dashboard(path))}
    shown |= {row["title"] for path in DASHBOARDS for row in dashboard(path)["panels"] if row["type"] == "row"}
    shown |= {dashboard(path)["title"] for path in DASHBOARDS}
    known = {name.lower() for title in shown for name in (title, title.partition(": ")[2], title.rstrip("?"))}
    named = re.findall(r"(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)", RUNBOOK.read_text())
    strange = {name for name in named if not any(one.startswith(name.lower()) for one in known)}
    assert strange == {"Status → Targets"}  # of Prometheus


def test_no_section_is_longer_than_a_person_reads_at_night():
    assert {title for title, text in sections().items() if len(re.findall(r"[a-z]+", text)) > 600} == set()
