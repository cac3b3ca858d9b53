"""A table's results as Markdown, as JSON and as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.evidence.results import Results
from benchmarks.evidence.table import Column, Table
from benchmarks.measuring import machine
from tsds_stream.comparison.intervals import Interval


def write(folder: Path, table: Table, results: Results, quick: bool) -> str:
    """Write the table's three files; returns the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    page = page_of(table, results)
    if quick:
        page = f"*A smoke test, on few documents of a mix that is in no table: its figures mean nothing.*\n\n{page}"
    record: dict[str, Any] = {
        "table": table.name,
        "machine": machine(),
        "differences": differences_of(table, results),
        "seeds": results.as_json(),
    }
    (folder / f"{table.name}.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / f"{table.name}.md").write_text(page)
    table.draw(results, folder / f"{table.name}.png")
    return page


def page_of(table: Table, results: Results) -> str:
    """The Markdown."""
    longest = max(results.seconds.values())
    lines = [
        f"# {table.title}",
        "",
        table.asks,
        "",
        f"`python -m benchmarks.evidence {table.name}`: {len(results.seeds)} seeds, at most {longest:.0f} s each. "
        "Means over the seeds; differences are paired by seed, with 95% t-intervals, in bold where 0 lies outside.",
        "",
    ]
    lines += [*table.notes(results), f"![{table.title}]({table.name}.png)", ""]
    for condition in results.conditions:
        lines += [f"## {condition}", "", *_rows(table, results, condition), ""]
    return "\n".join(lines)


def _rows(table: Table, results: Results, condition: str) -> list[str]:
    methods = results.methods(condition)
    columns = [
        column for column in table.columns if any(results.mean(condition, one, column.figure) for one in methods)
    ]
    references = [one for one in table.references if results.mean(condition, one, table.compared)]
    heads = ["method", *(column.heading for column in columns)]
    heads += [f"{table.difference} to {reference}" for reference in references]
    lines = [row_of(heads), f"|{'---|' * len(heads)}"]
    for method in methods:
        cells = [_mean(results, condition, method, column) for column in columns]
        for reference in references:
            interval = results.difference(condition, method, reference, table.compared, table.unit)
            cells.append(written(interval) if interval else "")
        lines.append(row_of([method, *cells]))
    return lines


def row_of(cells: list[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def _mean(results: Results, condition: str, method: str, column: Column) -> str:
    interval = results.mean(condition, method, column.figure)
    return "" if interval is None else format(interval.mean, column.form)


def written(interval: Interval) -> str:
    """Mean ± half the width, in bold where 0 lies outside."""
    if interval.half is None:
        return f"{interval.mean:+.2f}"
    text = f"{interval.mean:+.2f} ± {interval.half:.2f}"
    return f"**{text}**" if interval.decided else text


def differences_of(table: Table, results: Results) -> list[dict[str, Any]]:
    """All paired differences of the compared figure, in the unit of the page, as JSON."""
    found = []
    for condition in results.conditions:
        for method in results.methods(condition):
            for reference in table.references:
                interval = results.difference(condition, method, reference, table.compared, table.unit)
                if interval:
                    found.append({
                        "condition": condition,
                        "method": method,
                        "reference": reference,
                        "mean": interval.mean,
                        "low": interval.low,
                        "high": interval.high,
                    })  # fmt: skip
    return found
