"""What the demonstration says, on a terminal and into a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TextIO

from tsds_stream.terminal import Page, snippet

if TYPE_CHECKING:
    from tsds_stream.demo.watching import Sight

_BAR: Final = 8  # characters of 100%; the table fits into 80 columns
_COLUMNS: Final = (  # title, width
    ("documents", 9), ("revision", 8), ("selected", 8), ("cost", 7), ("replaced", 8), ("", _BAR),
    ("reposts kept out", 16), ("exact", 7),
)  # fmt: skip


class LiveTable:
    """One line per revision, printed as it is published."""

    def __init__(self, stream: TextIO | None = None) -> None:
        from rich.console import Console

        self._console = Console(file=stream or sys.stdout, highlight=False)

    def header(self) -> None:
        """The titles of the columns."""
        self._print([title for title, _ in _COLUMNS], ["dim"] * len(_COLUMNS))

    def row(self, sight: Sight) -> None:
        """One revision."""
        reposts = sight.held_back + sight.let_in
        fancy = self._console.is_terminal and self._console.encoding.startswith("utf")
        bar = ("━" if fancy else "=") * round(_BAR * sight.replaced)
        cells = [
            f"{sight.seen:,}",
            str(sight.number),
            f"{sight.size:,}",
            f"{sight.cost:.4f}",
            f"{sight.replaced:.0%}" if sight.number > 1 else "",
            bar.ljust(_BAR),
            f"{sight.held_back} of {reposts}" if reposts else "",
            "yes" if sight.exact else "not yet",
        ]
        self._print(cells, ["", "dim", "", "bold cyan", "", "yellow", "", "green" if sight.exact else "yellow"])

    def _print(self, cells: Sequence[str], styles: Sequence[str]) -> None:
        from rich.text import Text

        parts: list[str | tuple[str, str]] = []
        for cell, style, (_, width) in zip(cells, styles, _COLUMNS, strict=True):
            parts += [" ", (cell.rjust(width), style)]
        self._console.print(Text.assemble(*parts), soft_wrap=True)


def tell_document(page: Page, title: str, name: str, text: str, sentences: Sequence[str]) -> None:
    """One document with the reasons for what became of it."""
    page.line("")
    page.line(f"  {title}", style="bold")
    page.line(f"    {name}: {snippet(text.partition(chr(10))[2], 130)}", style="cyan")
    for sentence in sentences:
        page.line(f"    {sentence}")


def tell_sources(page: Page, rows: Sequence[tuple[str, int, int]], documents: int, selected: int) -> None:
    """Packages and what they give: (package, documents, selected documents)."""
    page.table(
        ["package", "share of documents", "share of selection", "so many times more"],
        [[name, f"{all_ / documents:.1%}", f"{chosen / selected:.1%}", f"{chosen / selected * documents / all_:.1f}"]
         for name, all_, chosen in rows],
        right=(1, 2, 3),
    )  # fmt: skip


def tell_commands(page: Page, commands: Sequence[tuple[str, str]]) -> None:
    """Commands to copy: (what for, command). One line each, however long, so that copying works."""
    for purpose, command in commands:
        page.line(f"  # {purpose}", style="dim")
        page.copyable(f"  {command}")
