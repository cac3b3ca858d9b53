"""Values as elements of the page. Each carries the pointer to its place in /status.json and its raw value."""

from __future__ import annotations

import json
from typing import Any

from tsds_stream.monitoring.page import formatting
from tsds_stream.monitoring.page.formatting import Formatter, figure
from tsds_stream.monitoring.page.markup import Html, join, tag
from tsds_stream.monitoring.page.place import Place


def shown(place: Place, form: Formatter = figure, **attributes: object) -> Html:
    """A number in the given form."""
    return tag("span", form(place.value), **_classed("number", attributes), **origin(place))


def count(place: Place, **attributes: object) -> Html:
    return shown(place, formatting.count, **attributes)


def counted(place: Place, one: str, many: str | None = None) -> Html:
    """1 document, 12,000 documents."""
    noun = one if place.value == 1 else many or f"{one}s"
    return join(count(place), f" {noun}")


def total(place: Place) -> Html:
    """The sum of an object's numbers."""
    numbers = [formatting.number(each.value) or 0 for _, each in place.items()]
    return tag("span", formatting.count(sum(numbers)), class_="number", data_sum=True, **origin(place))


def words(place: Place, otherwise: str = formatting.UNKNOWN, **attributes: object) -> Html:
    """A text that somebody else wrote, kept apart from the direction of the text around it."""
    return tag("bdi", place.words(otherwise), data_value=place.path, **attributes)


def when(place: Place, now: int) -> Html:
    """A time as its age, with the time itself as title."""
    machine = formatting.machine_time(place.value)
    if machine is None:
        return tag("span", "never", class_="never", **origin(place))
    title = formatting.absolute(place.value)
    return tag("time", formatting.age(place.value, now), datetime=machine, title=title, **origin(place))


def origin(place: Place) -> dict[str, Any]:
    """The attributes that say where a value comes from."""
    return {"data_value": place.path, "data_raw": json.dumps(place.value, ensure_ascii=False)}


def _classed(name: str, attributes: dict[str, object]) -> dict[str, object]:
    given = attributes.get("class_")
    return {**attributes, "class_": f"{name} {given}" if given else name}
