"""A comparison in a folder: the report, its data, a plot, and the documents that every method took."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Final

import orjson

from tsds_stream.comparison import plot, report
from tsds_stream.comparison.compare import Comparison
from tsds_stream.comparison.results import as_json, selections
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.terminal import Page

DATA: Final = "comparison.json"
REPORT: Final = "comparison.txt"
PLOT: Final = "comparison.png"
SELECTIONS: Final = "selections.jsonl"


def check(folder: Path) -> None:
    """Make the folder; one that holds an earlier comparison, or nothing, will do.

    Raises:
        CommandError: it holds something else, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--output: {folder} cannot be made: {error.strerror}", ExitStatus.USAGE) from error
    if any(folder.iterdir()) and not (folder / DATA).exists():
        raise CommandError(
            f"--output: {folder} holds something else than a comparison; name a new folder", ExitStatus.USAGE
        )


def write(folder: Path, comparison: Comparison, ids: list[str]) -> None:
    """Write everything, and the plot where matplotlib is installed.

    Args:
        ids: of the documents of the whole pool.
    """
    text = StringIO()
    report.show(comparison, Page(text))
    (folder / REPORT).write_text(text.getvalue().lstrip("\n"))
    with (folder / SELECTIONS).open("wb") as file:
        for one in selections(comparison, ids):
            file.write(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE))
    (folder / PLOT).unlink(missing_ok=True)  # of an earlier comparison
    if plot.can_draw():
        plot.draw(comparison, folder / PLOT)
    (folder / DATA).write_bytes(orjson.dumps(as_json(comparison), option=orjson.OPT_INDENT_2))
