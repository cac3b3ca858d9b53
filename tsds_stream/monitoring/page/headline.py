"""The top of the page: how the run is, in one sentence, and what somebody should do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsds_stream.monitoring.page import formatting
from tsds_stream.monitoring.page.layout import symbol
from tsds_stream.monitoring.page.markup import Html, tag
from tsds_stream.monitoring.page.pieces import sentence
from tsds_stream.monitoring.page.place import Place
from tsds_stream.monitoring.page.values import when, words

if TYPE_CHECKING:
    from tsds_stream.monitoring.health import Health


def headline(health: Health, status: Place, now: int) -> Html:
    """State and sentence, and how old the figures are."""
    process = status["process"]
    origin = None
    if status.known:
        origin = sentence(
            tag("span", "phase ", words(process["phase"])),
            tag("span", "started ", when(process["started"], now)),
            tag("span", "figures from ", when(status["created"], now)),
            tag("span", "page from ", tag("time", formatting.absolute(now), datetime=formatting.machine_time(now))),
        )
    return tag(
        "section",
        tag("div", symbol(health.state), tag("h1", health.sentence, data_value="/health/sentence"), class_="state"),
        None if origin is None else tag("p", origin, class_="note"),
        class_=f"headline {health.state}",
        aria_label="How the run is",
    )


def warnings(health: Health) -> Html | None:
    """What is the matter and what to do, the most urgent first; None when all is well."""
    if not health.warnings:
        return None
    found = []
    for k, warning in enumerate(health.warnings):
        path = f"/health/warnings/{k}"
        grave = warning.severity == "critical"
        named = tag("span", "Critical" if grave else "Warning", class_="severity")
        found.append(
            tag(
                "li",
                symbol("down" if grave else "degraded"),
                tag(
                    "div",
                    tag("h3", named, " ", tag("bdi", warning.sentence, data_value=f"{path}/sentence")),
                    tag("p", tag("strong", "What to do: "), tag("bdi", warning.action, data_value=f"{path}/action")),
                    tag("p", "Section of the runbook: ", tag("code", warning.runbook), class_="note"),
                ),
                class_=f"warning {warning.severity}",
            )
        )
    title = "1 warning" if len(found) == 1 else f"{len(found)} warnings"
    heading = tag("h2", title, id="warnings-title", data_value="/health/warnings", data_length=True)
    return tag(
        "section", heading, tag("ul", *found, class_="warnings"), id="warnings", aria_labelledby="warnings-title"
    )
