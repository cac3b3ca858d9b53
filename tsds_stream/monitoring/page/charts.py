"""Inline SVG: lines over time, for eyes; the sentence in `<desc>` says the same to those who cannot see them.

Coordinates are numbers of our own making and shapes get their look from classes: no inline styles, which the page's
content security policy forbids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

from tsds_stream.monitoring.page.formatting import Formatter, age, figure, number
from tsds_stream.monitoring.page.markup import Html, tag

_WIDTH, _HEIGHT, _MARGIN = 320, 96, 4
_STEPS = (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True)
class Series:
    """Values over time; None where nothing is known."""

    name: str  # for the legend
    column: str  # of the history
    times: Sequence[float]  # milliseconds since the epoch, ascending
    values: Sequence[float | None]

    @property
    def known(self) -> list[tuple[float, float]]:
        """Those points that have a value."""
        return [(at, value) for at, value in zip(self.times, self.values, strict=True) if value is not None]


def history(document: object, column: str) -> Series:
    """A column of the status document's history; empty where there is none."""
    table = document if isinstance(document, dict) else {}
    columns, rows = table.get("columns"), table.get("rows")
    if not isinstance(columns, list) or not isinstance(rows, list) or column not in columns or "time" not in columns:
        return Series("", column, (), ())
    which, clock = columns.index(column), columns.index("time")
    whole = [row for row in rows if isinstance(row, list) and len(row) == len(columns) and number(row[clock])]
    return Series("", column, [row[clock] for row in whole], [number(row[which]) for row in whole])


def lines(
    identity: str,
    label: str,
    series: Sequence[Series],
    now: int,
    *,
    form: Formatter = figure,
    alarm: float | None = None,
    from_zero: bool = True,
    area: bool = False,
) -> Html | None:
    """Lines over a common time; None where there are no two points to draw a line between.

    Args:
        identity: unique on the page.
        label: what the lines are.
        form: how values are written at the scale and in the description.
        alarm: where a line is drawn across that no other should reach.
        from_zero: the scale begins at 0, else at the lowest value.
        area: what is under the lines is tinted.
    """
    drawn = [one for one in series if one.known]
    times = [at for one in drawn for at, _ in one.known]
    if len(set(times)) < 2:
        return None
    begin, end = min(times), max(times)
    values = [value for one in drawn for _, value in one.known]
    low = 0.0 if from_zero else min(values)
    top = _ceiling(max(values), alarm) if from_zero else max(*values, low + 1e-9)

    def point(at: float, value: float) -> str:
        return f"{(at - begin) / (end - begin) * _WIDTH:.1f},{_height((value - low) / (top - low))}"

    shapes = [_across("axis", _height(0.0))]
    if alarm is not None:
        shapes.append(_across("alarm", _height((alarm - low) / (top - low))))
    for k, one in enumerate(series):
        for stretch in _stretches(one):
            points = [point(at, value) for at, value in stretch]
            if area:
                feet = [f"{where.split(',')[0]},{_height(0.0)}" for where in (points[-1], points[0])]
                shapes.append(tag("polyline", class_="area", points=" ".join(points + feet)))
            # a single point is a line of no length, which round ends make a dot
            shapes.append(
                tag(
                    "polyline",
                    class_=f"line line-{k}",
                    data_column=one.column,
                    points=" ".join(points * (1 + (len(points) == 1))),
                )
            )
    drawing = tag(
        "svg",
        tag("title", label, id=f"{identity}-title"),
        tag("desc", described(drawn, now, form, alarm), id=f"{identity}-desc"),
        *shapes,
        class_="chart",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_labelledby=f"{identity}-title {identity}-desc",
    )
    marks = [tag("span", form(top), class_="top"), tag("span", form(low), class_="bottom")]
    marks += [tag("span", age(begin, now), class_="left"), tag("span", "now", class_="right")]
    return tag("div", drawing, tag("div", *marks, class_="marks", aria_hidden="true"), class_="plot")


def described(series: Sequence[Series], now: int, form: Formatter, alarm: float | None = None) -> str:
    """What there is to see, in sentences."""
    found = []
    for one in series:
        peak_at, peak = max(one.known, key=lambda point: point[1])
        named = f"{one.name}: " if one.name else ""
        begin, end = one.known[0], one.known[-1]
        found.append(
            f"{named}{form(begin[1])} {age(begin[0], now)}, at most {form(peak)} ({age(peak_at, now)}), "
            f"{form(end[1])} at the end."
        )
    if alarm is not None:
        found.append(f"The alarm line is at {form(alarm)}.")
    return " ".join(found)


def bar(share: float | None, kind: str) -> Html:
    """A bar whose length is a share of the whole width; the number beside it says the same."""
    length = min(max(share or 0.0, 0.0), 1.0)
    return tag(
        "svg",
        tag("rect", class_="bar-rest", x=0, y=0, width=100, height=8),
        tag("rect", class_=f"bar-{kind}", x=0, y=0, width=f"{100 * length:.2f}", height=8),
        class_="bar",
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
        aria_hidden="true",
        focusable="false",
    )


def _across(kind: str, height: float) -> Html:
    return tag("line", class_=kind, x1=0, x2=_WIDTH, y1=height, y2=height)


def _height(share: float) -> float:
    return round(_HEIGHT - _MARGIN - max(share, 0.0) * (_HEIGHT - 2 * _MARGIN), 1)


def _ceiling(peak: float, alarm: float | None) -> float:
    """A round number at or above the highest value, and above the alarm line."""
    wanted = max(peak, 1.25 * alarm if alarm else 0.0)
    if wanted <= 0:
        return 1.0
    magnitude = 10.0 ** floor(log10(wanted))
    return next((step * magnitude for step in _STEPS if step * magnitude >= wanted), 10 * magnitude)


def _stretches(series: Series) -> list[list[tuple[float, float]]]:
    """The points between gaps."""
    found: list[list[tuple[float, float]]] = [[]]
    for at, value in zip(series.times, series.values, strict=True):
        if value is not None:
            found[-1].append((at, value))
        elif found[-1]:
            found.append([])
    return [stretch for stretch in found if stretch]
