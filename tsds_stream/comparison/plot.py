"""A comparison in one picture."""

from __future__ import annotations

from importlib.util import find_spec
from math import expm1
from pathlib import Path
from typing import Any, Final

from tsds_stream.comparison.compare import Comparison
from tsds_stream.comparison.intervals import Interval, interval_of
from tsds_stream.comparison.verdict import verdicts

HOW: Final = "pip install 'tsds-stream[plots]'"
_COLOURS: Final = {"worse": "#b3423a", "better": "#2e7d4f", "open": "#8a8f98", "same": "#8a8f98", "one seed": "#8a8f98"}
_REFERENCE: Final = "#2563a8"
_FAR: Final = 60.0  # percent; an axis that goes further is logarithmic


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw(comparison: Comparison, path: Path) -> None:
    """Per method its difference to the reference with the interval, and the means of three measures, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = {one.method: one for one in verdicts(comparison)}
    names = sorted(comparison.methods, key=lambda one: found[one].difference.mean if one in found else 0.0)[::-1]
    colours = [_COLOURS[found[name].outcome] if name in found else _REFERENCE for name in names]
    figure = Figure(figsize=(11, 1.6 + 0.34 * len(names)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)  # not pyplot: no window system, no state of a notebook is touched
    first, *others = figure.subplots(1, 4, sharey=True, width_ratios=[2.2, 1, 1, 1])
    for place, (name, colour) in enumerate(zip(names, colours, strict=True)):
        if name in found:
            _interval(first, found[name].difference, place, colour)
    furthest = max(
        (abs(edge) for name in names if name in found for edge in _ends(found[name].difference)), default=0.0
    )
    if furthest > _FAR:  # one hopeless method must not flatten the others
        first.set_xscale("symlog", linthresh=10, linscale=1.5)
        ticks = [tick for tick in (-50, -20, -10, -5, 0, 5, 10, 20, 50, 100, 200, 500, 1000) if abs(tick) <= furthest]
        first.set_xticks(ticks, [f"{tick:+d}" if tick else "0" for tick in ticks])
        first.minorticks_off()
    first.axvline(0.0, color=_REFERENCE, linewidth=1)
    first.set_yticks(range(len(names)), names)
    measure = "perplexity" if comparison.has_texts else "transport cost"
    first.set_title(f"{measure} against {comparison.reference}, % (lower is better)", fontsize=9, loc="left")
    for axes, measured, title in zip(
        others,
        ("distinct", "transport_cost", "coverage"),
        ("distinct documents, %", "mean distance to a\ntarget's share", "distance to the nearest\nselected document"),
        strict=True,
    ):
        factor = 100.0 if measured == "distinct" else 1.0
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
    figure.savefig(path, metadata={"Software": None})


def _interval(axes: Any, difference: Interval, place: int, colour: str) -> None:
    axes.plot(_ends(difference), [place, place], color=colour, linewidth=2)
    axes.plot([100 * expm1(difference.mean)], [place], "o", color=colour, markersize=5)


def _ends(difference: Interval) -> list[float]:
    """Both ends in percent; the mean where there is no interval."""
    mean = difference.mean
    low, high = (mean if end is None else end for end in (difference.low, difference.high))
    return [100 * expm1(low), 100 * expm1(high)]
