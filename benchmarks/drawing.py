"""Figures without a display, saved as small PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#2563a8", "#d97706", "#0f766e", "#b91c1c", "#7c3aed", "#5b616b", "#111827", "#4d7c0f", "#0891b2", "#92400e")


def new_figure(width: float, height: float) -> Figure:
    """Of so many inches, at 90 points each."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=90, layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """With 96 colours: a fraction of the size."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(96).save(path, optimize=True)
