"""Draws the first figure of the paper from real selections: `python -m benchmarks.figure1`.

One query, five candidates at the same distance, three of them in a cluster. The places are a sketch, because all these
distances need more than two dimensions; the numbers are those of `tsds_stream.select` on the vectors of `candidates`.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tsds_stream import select

OUTPUT = Path(__file__).parent / "results" / "figure1.png"
SKETCH = np.array([[-1.05, 0.42], [-0.73, 0.84], [-0.55, 0.37], [0.95, 0.4], [0.1, -1.0]])
LABELS = [(-0.52, 0.0), (0.1, 0.36), (0.0, -0.36), (0.0, 0.42), (0.0, -0.42)]  # where densities stand
BLUE, ORANGE, GREY = "#2563a8", "#d97706", "#5b616b"


def candidates() -> tuple[np.ndarray, np.ndarray]:
    """(5, 19) candidates and (1, 19) query; within the cluster d^2 = 3/4, elsewhere 3/2, to the query 1."""
    points = np.zeros((5, 19), np.float32)
    points[:, 0] = 1 / 2
    for i in range(3):
        points[i, 1:4] = points[i, 4 + 3 * i : 7 + 3 * i] = np.array([2, 1, 1]) / 4
    for i in range(2):
        points[3 + i, 13 + 3 * i : 16 + 3 * i] = 1 / 2
    return points, np.eye(1, 19, dtype=np.float32)


def draw(path: Path = OUTPUT) -> None:
    """Write the picture: uniform beside kde."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    points, query = candidates()
    figure = Figure(figsize=(8, 4.1), dpi=100, layout="constrained")
    titles = {"uniform": "without density (uniform)", "kde": "with density (kde)"}
    for axes, (regularizer, title) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        revision = select(points, query, budget=5, regularizer=regularizer, sigma=1.0, max_k=16, mode="coordinated")
        panel(axes, revision.probabilities, revision.densities, regularizer == "kde")
        share = Fraction(float(revision.probabilities[:3].sum())).limit_denominator(100)
        axes.set_title(f"{title}\nthe cluster of three takes {share}", fontsize=11)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.asarray(canvas.buffer_rgba())
    Image.fromarray(pixels).convert("RGB").quantize(96).save(path, optimize=True)


def panel(axes: Any, probabilities: np.ndarray, densities: np.ndarray, kernels: bool) -> None:
    """One query in the middle; lines and discs as large as the mass that goes there."""
    for i, (x, y) in enumerate(SKETCH):
        share = Fraction(float(probabilities[i])).limit_denominator(100)
        colour = ORANGE if i < 3 else BLUE
        if kernels:
            axes.scatter(x, y, s=3600, color=colour, alpha=0.12, linewidths=0)
        axes.plot([0, x], [0, y], color=colour, alpha=0.5, linewidth=30 * probabilities[i], solid_capstyle="round")
        axes.scatter(x, y, s=5200 * probabilities[i] ** 1.2, color=colour, zorder=3)
        axes.text(x, y, f"{share}", color="white", ha="center", va="center", zorder=4, fontsize=11, weight="bold")
        if kernels:
            dx, dy = LABELS[i]
            density = Fraction(float(densities[i])).limit_denominator(100)
            axes.text(x + dx, y + dy, f"density {density}", color=GREY, ha="center", va="center", fontsize=8.5)
    axes.scatter(0, 0, marker="*", s=320, color="black", zorder=5)
    axes.text(0.1, -0.04, "query", va="top", fontsize=9.5)
    axes.set_xlim(-1.9, 1.7)
    axes.set_ylim(-1.55, 1.35)
    axes.set_aspect("equal")
    axes.axis("off")


if __name__ == "__main__":
    draw()
