"""Whether a selection is what was asked for: shares of the target groups, and targets that got nothing."""

from __future__ import annotations

from tsds_stream.monitoring.page import formatting
from tsds_stream.monitoring.page.charts import bar
from tsds_stream.monitoring.page.markup import Html, join, tag
from tsds_stream.monitoring.page.pieces import folded, nothing, part, table
from tsds_stream.monitoring.page.place import Place
from tsds_stream.monitoring.page.values import count, shown, words

_SHOWN_GROUPS = 12


def groups(here: str, watch: Place) -> Html:
    """What share of the selection each group of targets asked for, and what share it got."""
    listed = sorted(watch["groups"], key=lambda each: -(formatting.number(each["asked"].value) or 0))
    title = "Asked for and selected, by group of targets"
    if not listed:
        return part(title, nothing("There are no groups of targets yet."))
    distance = join("They differ in ", shown(watch["group_distance"], formatting.share), " of the probability.")
    if not watch["named_groups"].value:
        distance = join(distance, " The targets name no groups: these are clusters of similar ones.")
    first, others = listed[:_SHOWN_GROUPS], listed[_SHOWN_GROUPS:]
    rest = None
    if others:
        rest = folded(f"{here}-groups", f"The other {len(others)} groups", _bars(others))
    keys = tag("p", tag("span", "asked for", class_="asked"), tag("span", "selected", class_="selected"), class_="keys")
    return part(title, keys, _bars(first), rest, note=distance)


def uncovered(here: str, watch: Place) -> Html:
    """Targets that no selected document is near."""
    title = "Targets with no good document"
    radius = join("A target has one when a selected document lies within ", shown(watch["coverage_distance"]), ".")
    if not watch["coverage_distance"].known:
        radius = join("How near a document must lie is settled with the first full selection.")
    listed = list(watch["uncovered_targets"])
    if not watch["uncovered"].value:
        return part(title, nothing("None: every target has a selected document nearby."), note=radius, wide=True)
    rows = [
        (words(each["id"]), words(each["group"]), shown(each["distance"]), words(each["nearest"])) for each in listed
    ]
    more = None
    if (formatting.number(watch["uncovered"].value) or 0) > len(rows):
        more = tag("p", f"The first {len(rows)} of ", count(watch["uncovered"]), ".", class_="note")
    headings = ("Target", "Group", "Distance", "Nearest selected document")
    return part(title, table(title, headings, rows, identity=f"{here}-uncovered"), more, note=radius, wide=True)


def sources(here: str, watch: Place) -> Html | None:
    """Where the selected documents come from, as far as they say."""
    listed = list(watch["sources"])
    if not listed:
        return None
    rows = [(words(each["source"]), shown(each["share"], formatting.share)) for each in listed]
    concentration = join(
        "Concentration ", shown(watch["source_concentration"]), ": 1 means that all come from one source."
    )
    return part(
        "By source", table("By source", ("Source", "Share"), rows, identity=f"{here}-sources"), note=concentration
    )


def _bars(listed: list[Place]) -> Html:
    rows = []
    for each in listed:
        asked, selected = each["asked"], each["selected"]
        pair = (("asked", "asked for", asked), ("selected", "selected", selected))
        measures = [
            tag(
                "dd",
                tag("span", f"{name} ", class_="unseen"),
                bar(formatting.number(place.value), kind),
                shown(place, formatting.share),
            )
            for kind, name, place in pair
        ]
        rows.append(tag("div", tag("dt", words(each["group"])), *measures))
    return tag("dl", *rows, class_="bars")
