"""The two pictures of a demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tsds_stream.demo.watching import Sight
from tsds_stream.selection.selector import Selector

HOW = "pip install matplotlib"
_BLUE, _ORANGE, _GREY = "#2563a8", "#d97706", "#8a8f98"


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw_probability(selector: Selector, path: Path) -> None:
    """Probability by distance to the nearest target and by density: every document with mass, and what is selected."""
    ids, probabilities = selector.probabilities()
    distances = np.array([near[0][1] for near in selector.nearest_targets(ids, 1)])
    densities = selector.densities(ids)
    revision = selector.refresh()
    chosen = set(revision.ids) if revision is not None else set()
    selected = np.array([name in chosen for name in ids], np.bool_)
    figure, axes = _figure(5.2)
    order = np.argsort(densities, kind="stable")  # the crowded ones, which are few, on top
    marks: dict[str, Any] = {"norm": _logarithmic(densities), "cmap": "viridis"}
    for chosen_ones, size, edge, label in ((~selected, 12, "none", "not drawn"), (selected, 34, "black", "selected")):
        some = order[chosen_ones[order]]
        points = axes.scatter(distances[some], probabilities[some], c=densities[some], s=size, edgecolors=edge,
                              linewidths=0.7, label=f"{label} ({len(some):,})", **marks)  # fmt: skip
    axes.set_yscale("log")
    axes.set_xlabel("distance to the nearest target example")
    axes.set_ylabel("probability of a document")
    axes.set_title(
        "Mass goes to documents near a target; near-duplicates (bright) share theirs", fontsize=10, loc="left"
    )
    axes.legend(frameon=False, loc="lower left", fontsize=8)
    bar = figure.colorbar(points, ax=axes, pad=0.015)
    ticks = [tick for tick in (1, 1.5, 2, 3, 5, 8, 12, 20, 30) if tick <= densities.max() * 1.02]
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    bar.minorticks_off()
    bar.set_label("density: how many documents share the place")
    _save(figure, path)


def draw_stream(sights: Sequence[Sight], path: Path) -> None:
    """Cost and turnover over the stream."""
    from matplotlib.ticker import FuncFormatter, PercentFormatter

    figure, axes = _figure(5.2, rows=2)
    seen = [sight.seen for sight in sights]
    width = 0.7 * min(np.diff(seen), default=seen[-1])
    axes[0].plot(seen, [sight.cost for sight in sights], color=_BLUE, marker="o", markersize=3.5, linewidth=1.5)
    axes[0].set_ylabel("cost: mean distance\ntarget to its documents")
    axes[0].set_title("The selection gets nearer to its targets as documents arrive …", fontsize=10, loc="left")
    axes[1].bar(seen[1:], [sight.replaced for sight in sights[1:]], width=width, color=_ORANGE)
    axes[1].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes[1].set_ylabel("turnover: share of the\nselection replaced")
    axes[1].set_title("… and changes less and less", fontsize=10, loc="left")
    axes[1].set_xlabel("documents seen")
    axes[1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    frozen = next((sight.seen for sight in sights if sight.exact), None)
    if frozen is not None and frozen != seen[0]:
        for one in axes:
            one.axvline(frozen - width * 5 / 7, color=_GREY, linewidth=1, linestyle=":")
        axes[0].annotate("sigma is frozen: from here on every revision is exact", (frozen, axes[0].get_ylim()[1]),
                         xytext=(0, -12), textcoords="offset points", fontsize=8, color=_GREY)  # fmt: skip
    figure.align_ylabels()
    _save(figure, path)


def _figure(height: float, rows: int = 1) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)  # not pyplot: no window system, no state of a notebook is touched
    axes = figure.subplots(rows, 1, sharex=True)
    for one in np.atleast_1d(axes):
        one.spines[["top", "right"]].set_visible(False)
        one.grid(alpha=0.25)
        one.set_axisbelow(True)
    return figure, axes


def _logarithmic(densities: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    from matplotlib.colors import LogNorm

    return LogNorm(1.0, max(2.0, float(densities.max())))


def _save(figure: Any, path: Path) -> None:
    """A palette of colours makes a third of the size; no version and no date make the same file from the same data."""
    from PIL import Image

    figure.canvas.draw()
    Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB").quantize(96).save(path, optimize=True)
