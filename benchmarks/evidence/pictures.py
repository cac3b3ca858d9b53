"""Pictures that several tables draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.drawing import COLOURS, new_figure, save
from benchmarks.evidence.results import Results
from tsds_stream.comparison.intervals import Interval

_LINEAR: Final = 5.0  # differences up to this one are drawn to scale
_TICKS: Final = (-50, -20, -5, 0, 5, 20, 50, 200)


def draw_differences(
    results: Results,
    path: Path,
    conditions: Sequence[str],
    figure: str,
    reference: str,
    label: str,
    unit: float = 100.0,
) -> None:
    """A panel for each condition: every method's paired difference to the reference, with its interval."""
    sheet = new_figure(3.4 * len(conditions) + 1.2, 4.2)
    panels = sheet.subplots(1, len(conditions), sharey=True, squeeze=False)[0]
    methods = list(dict.fromkeys(name for condition in conditions for name in results.methods(condition)))
    methods = [name for name in reversed(methods) if name != reference]
    for axes, condition in zip(panels, conditions, strict=True):
        axes.axvline(0, color="#5b616b", linewidth=1)
        for place, method in enumerate(methods):
            interval = results.difference(condition, method, reference, figure)
            if interval is None:
                continue
            colour = COLOURS[interval.mean > 0] if interval.decided else "#5b616b"
            half = interval.half or 0.0
            axes.errorbar(unit * interval.mean, place, xerr=unit * half, fmt="o", color=colour, markersize=4)
        axes.set_yticks(range(len(methods)), methods, fontsize=8)
        axes.set_xscale("symlog", linthresh=_LINEAR)
        axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        axes.minorticks_off()
        axes.set_title(condition, fontsize=10)
        axes.tick_params(labelsize=8)
    sheet.supxlabel(label, fontsize=9)
    save(sheet, path)


@dataclass(frozen=True)
class Panel:
    """Lines over some places, one for each method.

    Attributes:
        labels: of the axes. places: where on the first axis, and what is looked up there.
        height: of a method at a place, with its interval; none where there is none.
        logarithmic: the first axis. differences: 0 is drawn, and large heights are drawn closer together.
        from_zero: the second axis begins there.
    """

    title: str
    labels: tuple[str, str]
    places: Sequence[tuple[float, str]]
    methods: Sequence[str]
    height: Callable[[str, str], Interval | None]
    logarithmic: bool = False
    differences: bool = False
    from_zero: bool = False


def draw_panels(path: Path, panels: Sequence[Panel], columns: int = 3) -> None:
    """Every method keeps its colour over the panels."""
    rows = -(-len(panels) // columns)
    sheet = new_figure(4.6 * min(columns, len(panels)), 3.8 * rows)
    colours: dict[str, str] = {}
    every = sheet.subplots(rows, min(columns, len(panels)), squeeze=False).ravel()
    for axes in every[len(panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(every, panels, strict=False):
        for method in panel.methods:
            colour = colours.setdefault(method, COLOURS[len(colours) % len(COLOURS)])
            found = [(place, panel.height(where, method)) for place, where in panel.places]
            known = [(place, height) for place, height in found if height is not None]
            axes.errorbar([place for place, _ in known], [height.mean for _, height in known],
                          yerr=[height.half or 0.0 for _, height in known], color=colour, marker="o", markersize=3,
                          linewidth=1.3, elinewidth=0.7, capsize=2, label=method)  # fmt: skip
        if panel.logarithmic:
            axes.set_xscale("log")
        if panel.differences:
            axes.axhline(0, color="#5b616b", linewidth=0.8)
            axes.set_yscale("symlog", linthresh=_LINEAR)
            axes.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
            axes.minorticks_off()
        if panel.from_zero:
            axes.set_ylim(bottom=0)
        if [place for place, _ in panel.places] == list(range(1, len(panel.places) + 1)):  # numbered, not measured
            axes.set_xticks([place for place, _ in panel.places])
        axes.set_title(panel.title, fontsize=10)
        axes.set_xlabel(panel.labels[0], fontsize=9)
        axes.set_ylabel(panel.labels[1], fontsize=9)
        axes.tick_params(labelsize=8)
        axes.legend(fontsize=7)
    save(sheet, path)
