"""An explanation as a page, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsds_stream.monitoring.page import Html, layout, tag
from tsds_stream.monitoring.page.formatting import absolute, machine_time
from tsds_stream.monitoring.serve.explaining import Explained
from tsds_stream.monitoring.wording import age

if TYPE_CHECKING:
    from tsds_stream.records import Json


def as_json(explained: Explained) -> Json:
    """Plain data: what `tsds-stream explain --json` prints, and where it is from."""
    return {
        "set": explained.set,
        **explained.content,
        "sentences": explained.sentences,
        "text": explained.text,
        "checkpoint": {"number": explained.checkpoint, "written": explained.written},
    }


def as_page(explained: Explained, now: int) -> str:
    """A page, whatever id and text contain.

    Args:
        now: milliseconds since the epoch.
    """
    first, *others = explained.sentences
    of = tag(
        "p",
        f"Target set {explained.set}, as of checkpoint {explained.checkpoint}, written {age(explained.written, now)} (",
        tag("time", absolute(explained.written), datetime=machine_time(explained.written)),
        "). What has happened since is not in it.",
        class_="note",
    )
    body = tag(
        "section",
        tag("h1", first),
        of,
        *(tag("p", sentence) for sentence in others),
        _text(explained.text),
        tag("p", tag("a", "To the status page", href="/")),
        class_="message",
    )
    return layout("Explanation", body)


def _text(text: str | None) -> Html:
    if text is None:
        return tag("p", "No text is stored of it.", class_="note")
    return tag("div", tag("h2", "Its text"), tag("blockquote", tag("bdi", text)), class_="card wide")
