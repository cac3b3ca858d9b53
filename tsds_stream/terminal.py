"""What a person sees: progress bars, tables, colours, and only where a terminal is there to show them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.console import Console


class Progress(Protocol):
    """A running piece of work that tells how far it is."""

    def update(self, done: int, note: str = "") -> None:
        """`done` units of the total are behind us; `note` is shown beside the bar."""


class _Silent:
    def update(self, done: int, note: str = "") -> None: ...


@contextmanager
def progress(title: str, total: int | None, unit: str = "bytes", stream: TextIO | None = None) -> Iterator[Progress]:
    """A progress bar on stderr while the block runs; silent where stderr is no terminal.

    Args:
        title: what is being done.
        total: the number of units that make it complete; None: not known.
        unit: "bytes" is shown as sizes and a rate; anything else as a plain count.
        stream: for tests.
    """
    console = console_on(stream or sys.stderr)
    if not console.is_terminal:
        yield _Silent()
        return
    from rich import progress as bars

    counts: list[bars.ProgressColumn] = (
        [bars.FileSizeColumn() if total is None else bars.DownloadColumn(binary_units=True), bars.TransferSpeedColumn()]
        if unit == "bytes"
        else [bars.TextColumn(f"{{task.completed:,.0f}} {unit}")]
    )
    columns = [bars.TextColumn("{task.description}"), bars.BarColumn(), *counts, bars.TimeRemainingColumn()]
    with bars.Progress(*columns, bars.TextColumn("{task.fields[note]}"), console=console, transient=True) as shown:
        task = shown.add_task(title, total=total, note="")

        class Bar:
            def update(self, done: int, note: str = "") -> None:
                shown.update(task, completed=done, note=note)

        yield Bar()


class Page:
    """Prints headings, sentences and tables to stdout: styled on a terminal, plain text anywhere else."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = console_on(stream or sys.stdout)

    def heading(self, text: str) -> None:
        """A heading with an empty line in front."""
        self._console.print()
        self._console.print(text, style="bold", markup=False, highlight=False)

    def line(self, text: str, style: str | None = None) -> None:
        """A sentence; wrapped under its own indentation on a terminal, one line elsewhere."""
        text = printable(text)
        if self._console.is_terminal:
            from textwrap import fill

            indent = " " * (len(text) - len(text.lstrip()))
            text = fill(text, self._console.width, subsequent_indent=indent, break_on_hyphens=False)
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def copyable(self, text: str) -> None:
        """A command to copy: one line, however long."""
        self._console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def warning(self, text: str) -> None:
        """A sentence that somebody should read."""
        self.line(f"warning: {text}", style="yellow")

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
        """Aligned columns, those in `right` to the right; a terminal cuts the last one to the room that is left."""
        from rich.cells import cell_len
        from rich.text import Text

        lines = [[printable(cell) for cell in line] for line in (headings, *rows)]
        widths = [max(cell_len(line[column]) for line in lines) for column in range(len(headings))]
        for number, line in enumerate(lines):
            cells = []
            for column, cell in enumerate(line):
                padding = " " * (widths[column] - cell_len(cell))
                cells.append(padding + cell if column in right else cell + padding)
            text = Text("  " + "  ".join(cells).rstrip(), style="dim" if number == 0 else "")
            if self._console.is_terminal:
                text.truncate(self._console.width, overflow="ellipsis")
            self._console.print(text, soft_wrap=True)


def snippet(text: str | None, length: int = 100) -> str:
    """The beginning of a text on one line, without control characters."""
    words = " ".join(printable(text or "").split())
    return words if len(words) <= length else words[: length - 1].rstrip() + "…"


def printable(text: str) -> str:
    """Without control characters: what a document says must not steer a terminal."""
    return text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)


def count(number: int, noun: str) -> str:
    """`1 document`, `12,000 documents`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def console_on(stream: TextIO) -> Console:
    """A console of rich that leaves broken pipes and odd encodings to us."""
    from rich.console import Console

    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="replace")  # an encoding that lacks a character is no reason to fail

    class Plumbed(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # the command line has an exit code for it; rich would leave with its own

    return Plumbed(file=stream, highlight=False)
