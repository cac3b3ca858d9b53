"""The frame of every page: head, header, main, footer; and the two files that a page asks for."""

from __future__ import annotations

from importlib.resources import files
from urllib.parse import quote

from tsds_stream.monitoring.page.markup import Html, join, tag

_ASSETS = {
    "/style.css": "text/css; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
}
# Told apart by shape as well as by colour: a disc with a tick, a triangle with a bar, a square with a cross.
_SHAPES = {
    "healthy": ("M12 1a11 11 0 1 0 0 22a11 11 0 1 0 0-22z", "M6.5 12.5l4 4l7-8"),
    "degraded": ("M12 1.5l11.5 21h-23z", "M12 8.5v7M12 18.7v.6"),
    "down": ("M5 2h14a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-14a3 3 0 0 1-3-3v-14a3 3 0 0 1 3-3z", "M7.5 7.5l9 9m0-9l-9 9"),
}  # fmt: skip
_COLOURS = {"healthy": "#1a7f4b", "degraded": "#b26a00", "down": "#c4302b"}


def layout(title: str, body: Html, *, state: str | None = None, links: Html | None = None, live: bool = False) -> str:
    """A whole page around its main part.

    Args:
        title: of the window; the state stands in front of it.
        body: what goes into `<main>`, built with `markup.tag`; anything else is refused, for it would not be escaped.
        state: "healthy", "degraded" or "down", for the icon of the tab.
        links: further navigation.
        live: the page fetches itself anew every few seconds, where scripts are allowed.
    """
    if not isinstance(body, Html):
        raise TypeError("a page is made of markup.Html: plain text would not be escaped")
    named = f"{state} · {title}" if state else title
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="robots", content="noindex"),
        tag("title", named),
        tag("link", rel="icon", id="icon", href=_icon(state)),
        tag("link", rel="stylesheet", href="/style.css"),
        tag("script", src="/page.js", defer=True) if live else None,
    )
    navigation = tag(
        "nav",
        links,
        tag("a", "Figures as JSON", href="/status.json"),
        tag("a", "Metrics", href="/metrics"),
        aria_label="Pages",
    )
    page = tag(
        "body",
        tag("a", "Skip to the content", href="#main", class_="skip"),
        tag("header", tag("a", "tsds-stream", href="/", class_="name"), navigation),
        tag("p", id="contact", role="alert") if live else None,
        tag("p", id="news", role="status", class_="unseen") if live else None,
        tag("main", body, id="main", tabindex="-1", data_state=state),
    )
    return "<!doctype html>\n" + tag("html", head, page, lang="en") + "\n"


def message(title: str, *sentences: str) -> str:
    """A page that says one thing: not found, not allowed."""
    words = [tag("p", sentence) for sentence in sentences]
    back = tag("p", tag("a", "To the status page", href="/"))
    return layout(title, tag("section", tag("h1", title), *words, back, class_="message"))


def asset(path: str) -> tuple[str, bytes] | None:
    """Content type and content of a file that the pages ask for; None: there is none at this path."""
    kind = _ASSETS.get(path)
    return None if kind is None else (kind, (files(__package__) / path.removeprefix("/")).read_bytes())


def symbol(state: str) -> Html:
    """The shape of a state; the word stands beside it."""
    return _drawing(state, class_="symbol", aria_hidden="true", focusable="false")


def _icon(state: str | None) -> str:
    drawing = _drawing(
        state or "healthy", xmlns="http://www.w3.org/2000/svg", fill=_COLOURS.get(state or "", "#5b6470")
    )
    return "data:image/svg+xml," + quote(drawing)


def _drawing(state: str, **attributes: object) -> Html:
    outline, sign = _SHAPES.get(state, _SHAPES["down"])
    strokes = {"fill": "none", "stroke": "#fff", "stroke-width": "2.6", "stroke-linecap": "round"}
    shapes = join(tag("path", d=outline), tag("path", d=sign, class_="sign", **strokes))
    return tag("svg", shapes, viewBox="0 0 24 24", **attributes)
