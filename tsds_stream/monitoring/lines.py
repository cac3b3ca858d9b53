"""Lines for a terminal of any width."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

Parts = list[tuple[str, str]]  # (words, style), the most important first
_DOT = " · "


def fitted(parts: Parts, width: int, *glue: str) -> Text:
    """One line with as many parts as there is room for; the first one in any case, cut if need be.

    Args:
        parts: empty words are left out.
        glue: between the first two parts; dots are between the others.
    """
    from rich.text import Text

    from tsds_stream.terminal import printable

    between = (*glue, _DOT)[0], _DOT
    line, used = Text(no_wrap=True, overflow="ellipsis"), 0
    for words, style in parts:
        if not words:
            continue
        part = Text(between[min(used, 2) - 1] if used else "").append(printable(words), style=style)
        if used and line.cell_len + part.cell_len > width:
            break
        line.append_text(part)
        used += 1
    return line


def marked(mark: str, sentence: str, style: str) -> RenderableType:
    """A sentence over as many lines as it takes, beside its mark."""
    from rich.table import Table
    from rich.text import Text

    from tsds_stream.terminal import printable

    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(mark, style=style), Text(printable(sentence), style=style))
    return grid


def bar(title: str, done: float, total: float, parts: Parts, width: int) -> RenderableType:
    """A bar that is filled in proportion, and words behind it."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    length = max(8, min(40, width // 3))
    grid = Table.grid(padding=(0, 1))
    grid.add_row(title, ProgressBar(total, done, length), fitted(parts, width - length - len(title) - 2))
    return grid
