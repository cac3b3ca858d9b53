"""What watching costs: `python -m benchmarks.monitoring [PART ...] [--quick]`.

Results go to `benchmarks/results/monitoring.json`, and as a table to `monitoring.md` beside it; parts that are not run
keep theirs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from benchmarks.corpus import CACHE, Corpus, corpus
from benchmarks.measuring import load, machine
from benchmarks.monitoring import cost, rendering
from benchmarks.report import RESULTS, Part, keep, rows_of

_QUICK_DOCUMENTS = 30_000
PARTS: dict[str, Callable[[Corpus, bool], Part]] = {
    "embedded": cost.embedded,
    "text": cost.text,
    "rendering": rendering.measure,
}


def main() -> int:
    """Run the chosen parts; a missed goal is not a failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitoring", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="a smoke test: its figures mean nothing")
    options = parser.parse_args()
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"unknown part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    found = corpus(_QUICK_DOCUMENTS if options.quick else None)
    folder = CACHE / "quick-results" if options.quick else RESULTS
    for name in options.parts or PARTS:
        record = _run(PARTS[name], found, options.quick)
        for row in record["rows"]:
            mark = {True: "reached", False: "MISSED", None: "-"}[row["met"]]
            print(f"  {mark:8}{row['what']}: {row['measured']} (goal: {row['goal'] or 'none'})", flush=True)
        print(f"{name}: {record['seconds']} s, load {record['load']}", file=sys.stderr, flush=True)
        keep(folder, "monitoring", name, record, PARTS, page)
    return 0


def _run(measure: Callable[[Corpus, bool], Part], found: Corpus, quick: bool) -> dict[str, Any]:
    before, began = load(), time.perf_counter()
    part = measure(found, quick)
    if quick:
        part.rows = [replace(row, met=None) for row in part.rows]
    return {
        "load": f"{before}–{load()}",
        "seconds": round(time.perf_counter() - began),
        "machine": machine(),
        "corpus": found.origin,
        "rows": [asdict(row) for row in part.rows],
        "details": part.details,
    }


def page(records: Mapping[str, dict[str, Any]]) -> str:
    """All results as Markdown."""
    described = next(reversed(records.values()))["machine"]
    lines = [
        "# Measured: what watching costs",
        "",
        f"`python -m benchmarks.monitoring` on {described['cores']} cores of {described['processor']}, Python "
        f"{described['python']}. The stream, the process that serves the metrics and the client share these cores.",
        f"The ways of running take turns, {len(cost.WAYS)} to a round; a ratio compares two runs of one round, and its "
        "median is given with the least and the largest. *Load* is the number of processes that wanted a core, "
        "averaged over the minute before the part and over its last minute, its own included.",
        "",
        rows_of(records, "monitoring"),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
