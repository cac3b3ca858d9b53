"""The status page: a function of the status document, the judgement of it, and the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsds_stream.monitoring.page.drift import stream_drift
from tsds_stream.monitoring.page.flow import keeping_up
from tsds_stream.monitoring.page.headline import headline, warnings
from tsds_stream.monitoring.page.internals import internals, lately
from tsds_stream.monitoring.page.layout import layout
from tsds_stream.monitoring.page.markup import Html, join, tag
from tsds_stream.monitoring.page.place import Place
from tsds_stream.monitoring.page.selection import anchor, target_set

if TYPE_CHECKING:
    from tsds_stream.monitoring.health import Health
    from tsds_stream.records import Json


def render(status: Json | None, health: Health, now: int, *, allow_text: bool, why_no_text: str = "") -> str:
    """The whole page.

    Args:
        status: the status document; None: nothing is known of the run.
        health: the judgement of it.
        now: milliseconds since the epoch, from which all ages are counted.
        allow_text: whether texts of documents may be shown, and explanations linked to.
        why_no_text: a sentence that stands where they would be.
    """
    place = Place(status)
    top = join(headline(health, place, now), warnings(health))
    if status is None:
        return layout("tsds-stream", top, state=health.state, live=True)
    sets = list(place["sets"].items())
    body = join(
        top,
        keeping_up(place, now),
        *(target_set(name, one, place, now, allow_text=allow_text, why_no_text=why_no_text) for name, one in sets),
        stream_drift(place, now),
        lately(place, now),
        internals(place, now),
    )
    return layout("tsds-stream", body, state=health.state, links=_contents([name for name, _ in sets]), live=True)


def _contents(sets: list[str]) -> Html:
    links = [tag("a", "Keeping up", href="#flow")]
    links += [tag("a", "Selection ", tag("bdi", name), href=f"#{anchor(name)}") for name in sets]
    links += [
        tag("a", "Stream", href="#drift"),
        tag("a", "Events", href="#events"),
        tag("a", "Inside", href="#internals"),
    ]
    return join(*links)
