"""All figures of the README: `python -m benchmarks [PART ...] [--quick] [--full]`.

Builds the corpus on first use, runs each part in a process of its own, prints the table as it grows, and writes
`benchmarks/results/`: one JSON file per part, and `README.md` with the table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks import batch, densities, engine, ingest, plan, refreshing, scope, state
from benchmarks.corpus import CACHE, Corpus, corpus
from benchmarks.measuring import load, machine
from benchmarks.report import RESULTS, Part, read_part, table, write_part

_QUICK_DOCUMENTS = 30_000


def _plan(_: Corpus, quick: bool) -> Part:
    part = Part()
    part.details = {} if quick else dict(plan.measure())
    cases = list(part.details.get("1000 x 5000", []))
    if cases:
        warm = max(case["warm ms"] for case in cases if case["mean reach"] <= 850)
        cold = max(case["cold ms"] for case in cases)
        part.add(
            "plan, 1000 × 5000",
            "≤ 50 ms warm up to a mean reach of 800, ≤ 200 ms cold",
            f"{warm:.0f} ms warm, {cold:.0f} ms cold, at most",
            warm <= 50 and cold <= 200,
        )
    return part


def _parts(full: bool) -> dict[str, Callable[[Corpus, bool], Part]]:
    return {
        "batch": lambda corpus, quick: batch.measure(corpus),
        "ingest": ingest.measure,
        "plan": _plan,
        "densities": densities.measure,
        "refresh": refreshing.measure_refresh,
        "stream": refreshing.measure_stream,
        "scope": lambda corpus, quick: scope.measure(corpus, quick, full),
        "engine": engine.measure,
        "state": state.measure,
    }


def main() -> int:
    """Run the chosen parts; the exit status is 1 when one failed (a missed goal is not a failure)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = list(_parts(False))
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of: {', '.join(names)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="a smoke test on a small corpus: its figures mean nothing")
    parser.add_argument("--full", action="store_true", help="also the HNSW graph of a million documents (many minutes)")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # inside the process of one part
    options = parser.parse_args()
    unknown = sorted(set(options.parts) - set(names))
    if unknown:
        parser.error(f"unknown part: {', '.join(unknown)}; there are {', '.join(names)}")
    folder = CACHE / "quick-results" if options.quick else RESULTS
    if options.here:
        _run_here(options.parts[0], folder, options.quick, options.full)
        return 0
    corpus(_QUICK_DOCUMENTS if options.quick else None)
    failed = [name for name in options.parts or names if not _run_apart(name, folder, options.quick, options.full)]
    records = [record for name in names if (record := read_part(folder, name))]
    page = table(records, machine())
    (folder / "README.md").write_text(page)
    print(f"\n{page}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run_apart(name: str, folder: Path, quick: bool, full: bool) -> bool:
    """Run a part in a fresh process, so that none sees the memory of another."""
    print(f"{name} …", file=sys.stderr, flush=True)
    flags = ["--quick"] * quick + ["--full"] * full
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "benchmarks", name, "--here", *flags], check=False)
    record = read_part(folder, name)
    for row in record["rows"] if record and not done.returncode else []:
        mark = {True: "reached", False: "MISSED", None: "-"}[row["met"]]
        print(f"  {mark:8}{row['what']}: {row['measured']} (goal: {row['goal']})", flush=True)
    print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return done.returncode == 0


def _run_here(name: str, folder: Path, quick: bool, full: bool) -> None:
    found = corpus(_QUICK_DOCUMENTS if quick else None)
    before = load()
    part = _parts(full)[name](found, quick)
    if quick:
        part.rows = [replace(row, met=None) for row in part.rows]
    context = {"load": f"{before}–{load()}", "machine": machine(), "corpus": found.origin}
    write_part(folder, name, part, context)


if __name__ == "__main__":
    sys.exit(main())
