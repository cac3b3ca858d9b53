"""The picture of the drift benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.drawing import new_figure, save
from benchmarks.drift.detectors import Found

COLOURS = {1: "#2563a8", 20: "#d97706", 50: "#0f766e"}


def draw(path: Path, unchanged: dict[int, list[Found]], changed: dict[tuple[str, int], list[Found]], at: int) -> None:
    """Scores along the streams (the middle of the seeds, and from the lowest to the highest tenth)."""
    names = list(dict.fromkeys(name for name, _ in changed))
    figure = new_figure(11, 6.6)
    panels = figure.subplots(2, 2).ravel()
    rows = [
        ("no change", unchanged),
        *((name, {b: runs for (n, b), runs in changed.items() if n == name}) for name in names),
    ]
    for axes, (name, by_burst) in zip(panels, rows, strict=True):
        for burst, runs in by_burst.items():
            looks = np.array(runs[0].looks)
            scores = np.array([run.score for run in runs])
            low, middle, high = np.quantile(scores, [0.1, 0.5, 0.9], axis=0)
            colour = COLOURS.get(burst, "#5b616b")
            axes.fill_between(looks, low, high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(looks, middle, color=colour, linewidth=1.2, label=f"burst {burst}")
            delays = [delay for run in runs if name != "no change" and (delay := run.first("ours", at)) is not None]
            if delays:
                axes.plot(at + np.array(delays), np.full(len(delays), 1.0), "|", color=colour, markersize=11)
        axes.axhline(1.0, color="#b91c1c", linewidth=1, linestyle="--")
        if name != "no change":
            axes.axvline(at, color="#5b616b", linewidth=1, linestyle=":")
        axes.set_yscale("log")
        axes.set_title(name, fontsize=11)
        axes.set_xlabel("documents", fontsize=9)
        axes.set_ylabel("highest score of any signal", fontsize=9)
        axes.tick_params(labelsize=8)
    panels[0].legend(fontsize=8)
    save(figure, path)
