"""Results: one row per line of the table, JSON per part, and the Markdown table that the README quotes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_MARKS = {True: "yes", False: "**no**", None: ""}
RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: is measured; goal: in words; measured: in words.
        met: whether the goal is reached; None where there is none.
    """

    what: str
    goal: str
    measured: str
    met: bool | None = None


@dataclass
class Part:
    """What one part of the run found. `details` are the figures behind the rows, as JSON."""

    rows: list[Row] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def add(self, what: str, goal: str, measured: str, met: bool | None = None) -> None:
        self.rows.append(Row(what, goal, measured, met))


def keep(
    folder: Path,
    stem: str,
    name: str,
    record: dict[str, Any],
    order: Iterable[str],
    page: Callable[[Mapping[str, dict[str, Any]]], str],
) -> None:
    """Put the result of one part into `stem.json`, among those of the others, and make `stem.md` of all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.json"
    records = json.loads(path.read_text()) if path.exists() else {}
    records[name] = record
    records = {part: records[part] for part in order if part in records}
    for target, text in ((path, json.dumps(records, indent=1) + "\n"), (folder / f"{stem}.md", page(records))):
        beside = target.with_name(target.name + ".partial")
        beside.write_text(text)
        os.replace(beside, target)


def rows_of(records: Mapping[str, dict[str, Any]], stem: str) -> str:
    """The table of all parts in Markdown, and where its figures are."""
    lines = ["| what | to reach | measured | reached | load |", "|---|---|---|---|---|"]
    for record in records.values():
        lines += [
            f"| {row['what']} | {row['goal']} | {row['measured']} | {_MARKS[row['met']]} | {record['load']} |"
            for row in record["rows"]
        ]
    return "\n".join([*lines, "", f"The figures behind each row are in `{stem}.json`.", ""])


def write_part(folder: Path, name: str, part: Part, context: dict[str, Any]) -> None:
    """Keep the result of one part."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {"part": name, **context, "rows": [asdict(row) for row in part.rows], "details": part.details}
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")


def read_part(folder: Path, name: str) -> dict[str, Any] | None:
    path = folder / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def table(records: list[dict[str, Any]], machine: dict[str, Any]) -> str:
    """The Markdown page of all results."""
    cores = f"{machine['cores']} cores of {machine['processor']}"
    lines = [
        "# Measured",
        "",
        f"`python -m benchmarks` on {cores}, Python {machine['python']}, NumPy {machine['numpy']} "
        f"({'; '.join(machine['blas'])}).",
        "Every ratio compares two measurements of the same run. *Load* is the number of processes that wanted a core "
        "while the part ran, this one included.",
        "",
        "| what | to reach | measured | reached | load |",
        "|---|---|---|---|---|",
    ]
    marks = {True: "yes", False: "**no**", None: ""}
    for record in records:
        lines += [
            f"| {row['what']} | {row['goal']} | {row['measured']} | {marks[row['met']]} | {record['load']} |"
            for row in record["rows"]
        ]
    lines += ["", "The figures behind each row are in the JSON file of its part.", ""]
    if (RESULTS / "stream.png").exists():
        lines += ["![Cost per document along the stream](stream.png)", ""]
    return "\n".join(lines)
