"""Every claim about what a selection is worth: `python -m benchmarks.evidence [TABLE ...] [--quick] [--keep]`.

Builds the corpora on first use, runs the seeds of each table two at a time, keeps every finished seed (a run that was
stopped goes on where it was), and writes the tables with their figures and pictures to `benchmarks/results/evidence/`.
"""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from typing import Final

from benchmarks.corpus import CACHE, say
from benchmarks.evidence.corpora.page import write_corpora
from benchmarks.evidence.page import write
from benchmarks.evidence.summary import write_summary
from benchmarks.evidence.table import Table, differences, run_table
from benchmarks.report import RESULTS

CORPORA: Final = "corpora"
SUMMARY: Final = "summary"
TABLES: Final = (
    "ground_truth",
    "near_duplicates",
    "approximate_index",
    "ten_million",
    "code_and_images",
    "number_of_targets",
    "published_settings",
    "streaming",
    "further_rules",
    "classification",
    "training",
)


def main() -> int:
    """Run the chosen tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence", description=__doc__)
    names = (CORPORA, *TABLES, SUMMARY)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"some of: {', '.join(names)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="two small seeds of a mix of no table: a smoke test")
    parser.add_argument("--keep", action="store_true", help="take seeds that were finished before the code changed")
    parser.add_argument("--check", action="store_true", help="run one kept seed of each again: is it still the same?")
    options = parser.parse_args()
    unknown = sorted(set(options.tables) - set(names))
    if unknown:
        parser.error(f"unknown table: {', '.join(unknown)}; there are {', '.join(names)}")
    if options.check:
        return _check([name for name in options.tables or TABLES if name in TABLES])
    folder = CACHE / "quick-results" / "evidence" if options.quick else RESULTS / "evidence"
    for name in options.tables or names:
        started = time.perf_counter()
        if name == CORPORA:
            print(write_corpora(folder))
        elif name == SUMMARY:
            print(write_summary(folder))
        else:
            table: Table = import_module(f"benchmarks.evidence.{name}").TABLE
            results = run_table(table, options.quick, options.keep)
            print(write(folder, table, results, options.quick))
        say(f"{name}: {time.perf_counter() - started:.0f} s")
    return 0


def _check(names: list[str]) -> int:
    """Whether seeds that were finished with other code come out the same; nothing is written."""
    status = 0
    for name in names:
        started = time.perf_counter()
        found = differences(import_module(f"benchmarks.evidence.{name}").TABLE)
        seconds = time.perf_counter() - started
        if found is None:
            print(f"{name}: no seed is kept")
        elif found:
            status = 1
            print(f"{name}: {len(found)} figures differ", *found[:10], sep="\n  ", flush=True)
        else:
            print(f"{name}: the same ({seconds:.0f} s)", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
