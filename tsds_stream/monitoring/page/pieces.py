"""What the sections are made of: tiles, figures, tables, folded parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tsds_stream.monitoring.page.markup import Html, join, tag


def section(identity: str, title: object, *children: object, intro: object = None) -> Html:
    """A part of the page that the navigation leads to."""
    lead = None if intro is None else tag("p", intro, class_="intro")
    heading = tag("h2", title, id=f"{identity}-title")
    return tag("section", heading, lead, *children, id=identity, aria_labelledby=f"{identity}-title")


def part(title: object, *children: object, note: object = None, wide: bool = False) -> Html:
    """A part of a section, on a card."""
    noted = None if note is None else tag("p", note, class_="note")
    return tag("div", tag("h3", title), noted, *children, class_="card wide" if wide else "card")


def tiles(*found: Html | None) -> Html:
    """The figures that are looked at first, in a row."""
    row = [tile for tile in found if tile is not None]
    return tag("dl", *row, class_=f"tiles of-{len(row)}")


def tile(label: object, value: object, *notes: object, chart: Html | None = None, kind: str | None = None) -> Html:
    """One such figure: what it is, its value, what goes with it."""
    below = [tag("dd", note, class_="note") for note in notes if note is not None]
    drawn = None if chart is None else tag("dd", chart, class_="spark")
    named = f"tile {kind}" if kind else "tile"
    return tag("div", tag("dt", label), tag("dd", value, class_="value"), *below, drawn, class_=named)


def facts(rows: Iterable[tuple[object, object]]) -> Html:
    """Names and values, one pair to a line."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in rows), class_="facts")


def table(
    caption: object, headings: Sequence[object], rows: Sequence[Sequence[object]], *, identity: str, quiet: bool = True
) -> Html:
    """A table whose first column names the rows; scrolls by itself where the screen is narrow.

    Args:
        identity: unique on the page.
        quiet: the caption is for those who do not see the heading above the table.
    """
    head = tag("thead", tag("tr", *(tag("th", heading, scope="col") for heading in headings)))
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    named = tag("caption", caption, id=identity, class_="unseen" if quiet else None)
    whole = tag("table", named, head, tag("tbody", *body))
    return tag("div", whole, class_="scroll", role="group", aria_labelledby=identity, tabindex="0")


def folded(identity: str, title: object, *children: object, unfolded: bool = False) -> Html:
    """Something that is rarely looked at; stays as the reader left it when the page refreshes itself."""
    return tag("details", tag("summary", title), tag("div", *children, class_="inside"), id=identity, open=unfolded)


def figure(
    title: object, plot: Html | None, caption: object, *, legend: Sequence[object] = (), empty: str = ""
) -> Html:
    """A chart with its title, a legend and a sentence; the sentence `empty` where there is nothing to draw yet."""
    keys = [tag("li", None if plot is None else _key(k), tag("span", name)) for k, name in enumerate(legend)]
    listed = tag("ul", *keys, class_="legend") if keys else None
    drawn = plot if plot is not None else tag("p", empty, class_="nothing")
    return tag("figure", tag("figcaption", tag("strong", title), tag("span", caption, class_="note")), drawn, listed)


def nothing(sentence: object) -> Html:
    """What stands where a list is empty."""
    return tag("p", sentence, class_="nothing")


def sentence(*parts: object, separator: str = " · ") -> Html:
    """Parts of one line."""
    present = [part for part in parts if part is not None]
    return join(*(join(separator if k else None, part) for k, part in enumerate(present)))


def _key(k: int) -> Html:
    line = tag("line", class_=f"line line-{k}", x1=0, x2=18, y1=4, y2=4)
    return tag("svg", line, class_="key", viewBox="0 0 18 8", aria_hidden="true", focusable="false")
