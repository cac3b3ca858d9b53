"""A comparison in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from math import expm1
from pathlib import Path
from typing import Any, Final

from tsds_stream.comparison.compare import Comparison
from tsds_stream.comparison.intervals import Interval, interval_of
from tsds_stream.comparison.verdict import Verdict, verdicts

HOW: Final = "pip install 'tsds-stream[plots]'"
_GREY: Final = "#8a8f98"
_COLOURS: Final = {"worse": "#b3423a", "better": "#2e7d4f"}
_REFERENCE: Final = "#2563a8"
_FAR: Final = 60.0  # percent; an axis that goes further is logarithmic, or one hopeless method flattens the others
_TICKS: Final = (-50, -20, -10, -5, 0, 5, 10, 20, 50, 100, 200, 500, 1000)
_MEASURES: Final = (
    ("distinct", "distinct documents, %", 100.0),
    ("transport_cost", "mean distance to a\ntarget's share", 1.0),
    ("coverage", "distance to the nearest\nselected document", 1.0),
)


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw(comparison: Comparison, path: Path) -> None:
    """Per method its difference to the reference with the interval, and three measures of every split, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = {one.method: one for one in verdicts(comparison)}
    names = sorted(comparison.methods, key=lambda one: found[one].difference.mean if one in found else 0.0)[::-1]
    colours = [_COLOURS.get(found[name].outcome, _GREY) if name in found else _REFERENCE for name in names]
    figure = Figure(figsize=(11, 1.6 + 0.34 * len(names)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)  # not pyplot: no window system, no state of a notebook is touched
    first, *others = figure.subplots(1, 4, sharey=True, width_ratios=[2.2, 1, 1, 1])
    _differences(first, [found.get(name) for name in names], colours)
    first.set_yticks(range(len(names)), names)
    measure = "perplexity" if comparison.has_texts else "transport cost"
    first.set_title(f"{measure} against {comparison.reference}, % (lower is better)", fontsize=9, loc="left")
    for axes, (measured, title, factor) in zip(others, _MEASURES, strict=True):
        for place, (name, colour) in enumerate(zip(names, colours, strict=True)):
            values = [factor * getattr(trial.scores[name], measured) for trial in comparison.trials]
            axes.plot(values, [place] * len(values), "o", color=colour, alpha=0.35, markersize=3)
            axes.plot([interval_of(values).mean], [place], "o", color=colour, markersize=5)
        axes.set_title(title, fontsize=9, loc="left")
    for axes in (first, *others):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, axis="x")
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=8)
    figure.suptitle(
        f"{comparison.documents:,} documents, {comparison.targets} targets, {comparison.token_budget:,} tokens, "
        f"{comparison.plan.seeds} splits; bars: 95% intervals of the paired difference, grey where they hold 0",
        fontsize=9, x=0.01, ha="left",
    )  # fmt: skip
    figure.savefig(path, metadata={"Software": None})  # no version: the same file from the same data


def _differences(axes: Any, found: Sequence[Verdict | None], colours: Sequence[str]) -> None:
    """A bar per method, in percent; none for the reference."""
    edges = [0.0]
    for place, (one, colour) in enumerate(zip(found, colours, strict=True)):
        if one is not None:
            ends = _percent(one.difference)
            edges += ends
            axes.plot(ends, [place, place], color=colour, linewidth=2)
            axes.plot([100 * expm1(one.difference.mean)], [place], "o", color=colour, markersize=5)
    if max(edges) > _FAR:
        axes.set_xscale("symlog", linthresh=10, linscale=0.8)
        axes.set_xlim(1.15 * min(edges) - 1, 1.15 * max(edges))
        shown = [tick for tick in _TICKS if min(edges) <= tick <= max(edges)]
        axes.set_xticks(shown, [f"{tick:+d}" if tick else "0" for tick in shown])
        axes.minorticks_off()
    axes.axvline(0.0, color=_REFERENCE, linewidth=1)


def _percent(difference: Interval) -> list[float]:
    """Both ends; the mean where there is no interval."""
    mean = difference.mean
    low, high = (mean if end is None else end for end in (difference.low, difference.high))
    return [100 * expm1(low), 100 * expm1(high)]
