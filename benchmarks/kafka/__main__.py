"""The figures of the Kafka daemon: `python -m benchmarks.kafka [PART ...] [--quick] [--full]`.

Each part has a server of its own, started as the tests start theirs, on the same cores as everything else. Results go
to `benchmarks/results/kafka.json`, and as a table to `kafka.md` beside it; parts that are not run keep theirs.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from benchmarks.corpus import CACHE, Corpus, corpus
from benchmarks.kafka import fuzz, latency, publishing, restart, soak, throughput
from benchmarks.kafka.world import World, world
from benchmarks.measuring import load, machine
from benchmarks.report import RESULTS, Part, keep, rows_of

_QUICK_DOCUMENTS = 75_000
PARTS: dict[str, Callable[[World, Corpus, bool], Part]] = {
    "embedded": throughput.embedded,
    "text": throughput.text,
    "latency": latency.measure,
    "publish": publishing.measure,
    "restart": restart.measure,
}
LONG: dict[str, Callable[[World, Corpus, bool], Part]] = {"soak": soak.measure, "fuzz": fuzz.measure}


def main() -> int:
    """Run the chosen parts; the exit status is 1 when one failed (a missed goal is not a failure)."""
    every = PARTS | LONG
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kafka", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"some of: {', '.join(every)} (default: the fast ones)"
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test: its figures mean nothing")
    parser.add_argument("--full", action="store_true", help=f"also {' and '.join(LONG)} (half an hour)")
    options = parser.parse_args()
    unknown = sorted(set(options.parts) - set(every))
    if unknown:
        parser.error(f"unknown part: {', '.join(unknown)}; there are {', '.join(every)}")
    folder = CACHE / "quick-results" if options.quick else RESULTS
    found = corpus(_QUICK_DOCUMENTS if options.quick else None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # daemons and servers are ended on the way out
    failed = []
    for name in options.parts or (every if options.full else PARTS):
        try:
            record = _run(every[name], found, options.quick)
        except (RuntimeError, TimeoutError, OSError) as error:
            failed.append(name)
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            continue
        for row in record["rows"]:
            mark = {True: "reached", False: "MISSED", None: "-"}[row["met"]]
            print(f"  {mark:8}{row['what']}: {row['measured']} (goal: {row['goal'] or 'none'})", flush=True)
        print(f"{name}: {record['seconds']} s, load {record['load']}", file=sys.stderr, flush=True)
        keep(folder, "kafka", name, record, every, page)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(measure: Callable[[World, Corpus, bool], Part], found: Corpus, quick: bool) -> dict[str, Any]:
    before, began = load(), time.perf_counter()
    print(f"{measure.__module__}.{measure.__name__} …", file=sys.stderr, flush=True)
    with world() as made:
        part = measure(made, found, quick)
        version = made.broker.version
    if quick:
        part.rows = [replace(row, met=None) for row in part.rows]
    return {
        "load": f"{before}–{load()}",
        "seconds": round(time.perf_counter() - began),
        "server": f"Apache Kafka {version}",
        "machine": machine(),
        "corpus": found.origin["kind"],
        "rows": [asdict(row) for row in part.rows],
        "details": part.details,
    }


def page(records: Mapping[str, dict[str, Any]]) -> str:
    """All results as Markdown."""
    last = list(records.values())[-1]
    described = last["machine"]
    lines = [
        "# Measured: the Kafka daemon",
        "",
        f"`python -m benchmarks.kafka` on {described['cores']} cores of {described['processor']}, Python "
        f"{described['python']}, {last['server']} (one server, on the same cores as everything else).",
        "Every ratio compares two measurements of the same run, which took turns; the best of either is compared, and "
        "the pairs are given. *Load* is the number of processes that wanted a core, averaged over the minute before "
        "the part and over its last minute, its own included.",
        "",
        rows_of(records, "kafka"),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
