"""The runbook as a dashboard, so that links to its sections lead there wherever Grafana runs."""

from __future__ import annotations

import re
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard as boards

from deploy.grafana.panels import board, words

UID = "tsds-stream-runbook"
FILE = Path(__file__).resolve().parent.parent / "RUNBOOK.md"


def sections() -> dict[str, str]:
    """The text of each section, by its title, in the order of the file."""
    parts = re.split(r"^## (.+)$", FILE.read_text(), flags=re.MULTILINE)
    return {title.strip(): content.strip() for title, content in zip(parts[1::2], parts[2::2], strict=True)}


def see(*titles: str) -> str:
    """The end of a description: where it says what to do."""
    places = {title: number for number, title in enumerate(sections(), 1)}
    links = [f"[{title}](d/{UID}?viewPanel=panel-{places[title]})" for title in titles]
    return f"\n\nWhat to do: {', '.join(links)}."


def runbook() -> boards.Dashboard:
    """One panel for each section."""
    made = board(UID, "tsds-stream: Runbook", "What each alert means, how to look, what to do.", "1h", ["runbook"])
    for number, (title, content) in enumerate(sections().items(), 1):
        height = max(6, 4 + content.count("\n") // 2)
        description = "A section of deploy/RUNBOOK.md, from which this dashboard is generated."
        made = made.with_panel(words(title, description, content, height=height).id(number))
    return made
