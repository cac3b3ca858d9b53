"""What serving a selection costs: `python -m benchmarks.loader [--quick] [--without-others]`.

Ours takes its state after every batch; the plain DataLoader over the same bytes has none to take. The two alternate in
one process, and the ratio is that of the medians. Results go to `benchmarks/results/loader.json`, and as a table to
`loader.md` beside it.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.corpus import CACHE
from benchmarks.loader.contestants import BATCH, OTHERS, Contestant, ours, plain
from benchmarks.loader.selections import selection
from benchmarks.measuring import load, machine
from benchmarks.report import RESULTS, Part

_SIZES = {1_000: 50_000, 10_000: 10_000}  # characters -> documents
_SECONDS = 1.0  # of one turn
_TURNS = 5
_FIRST_BATCH = (1_000_000, 100)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loader", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: its figures mean nothing")
    parser.add_argument("--without-others", action="store_true", help="leave out what needs other libraries")
    parser.add_argument("--first-batch", metavar="DIRECTORY", help=argparse.SUPPRESS)  # in a process of its own
    options = parser.parse_args()
    if options.first_batch:
        print(json.dumps(_first_batch_here(Path(options.first_batch))))
        return 0
    before, part = load(), Part()
    _throughput(part, options.quick, options.without_others)
    _first_batch(part, options.quick)
    folder = CACHE / "quick-results" if options.quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    record = {"load": f"{before}–{load()}", "machine": machine(), "details": part.details}
    rows = [[row.what, row.goal, row.measured, row.met] for row in part.rows]
    (folder / "loader.json").write_text(json.dumps({**record, "rows": rows}, indent=1) + "\n")
    (folder / "loader.md").write_text(_page(record, rows))
    print(_page(record, rows))
    return 0


def _throughput(part: Part, quick: bool, without_others: bool) -> None:
    for length, count in _SIZES.items():
        root = selection(count // (10 if quick else 1), length)
        for workers in (0, 2, 4):
            rates = _alternating({"ours": ours, "plain": plain}, root, workers, 2 if quick else _TURNS)
            own, other = median(rates["ours"]), median(rates["plain"])
            ratio = own / other
            what = f"documents of {length // 1000} KB, {workers} workers"
            part.details[what] = {name: [round(one) for one in found] for name, found in rates.items()}
            part.add(
                f"{what}: ours against a plain DataLoader",
                "≥ 0.9",
                f"{ratio:.2f} ({own:,.0f} against {other:,.0f} documents per second)",
                None if quick else ratio >= 0.9,
            )
            if not without_others:
                found = {name: _alone(one, root, workers) for name, one in OTHERS.items()}
                part.details[f"{what}, others"] = {name: round(rate) for name, rate in found.items()}
                told = ", ".join(f"{name} {rate:,.0f}" for name, rate in found.items())
                part.add(f"{what}: others, documents per second", "", told)


def _alternating(contestants: dict[str, Contestant], root: Path, workers: int, turns: int) -> dict[str, list[float]]:
    """Documents per second, turn by turn; the loaders stay open and prefetch only what their queues hold."""
    running = {name: one(root, workers) for name, one in contestants.items()}
    for batches in running.values():
        _turn(batches)
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(turns):
        for name in sorted(running, reverse=bool(turn % 2)):
            list(islice(running[name], 2 * workers + 1))  # what was read ahead during the other's turn
            rates[name].append(_turn(running[name]))
    running.clear()
    gc.collect()
    return rates


def _alone(contestant: Contestant, root: Path, workers: int) -> float:
    batches = contestant(root, workers)
    _turn(batches)
    rate = max(_turn(batches) for _ in range(3))
    batches.close()  # type: ignore[attr-defined]
    gc.collect()
    return rate


def _turn(batches: Iterator[Any]) -> float:
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < _SECONDS:
        next(batches)
        count += BATCH
    return count / (time.perf_counter() - began)


def _first_batch(part: Part, quick: bool) -> None:
    count, length = _FIRST_BATCH
    count = count // (100 if quick else 1)
    root = selection(count, length)
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.loader", "--first-batch", str(root)], check=True, stdout=subprocess.PIPE
    ).stdout
    found = json.loads(told)
    part.details["first batch"] = found
    for sampling in ("uniform", "weight"):
        seconds = found[sampling]
        part.add(
            f"time to the first of {count:,} documents, sampling by {sampling}",
            "< 1 s",
            f"{seconds:.2f} s",
            None if quick else seconds < 1,
        )
    part.add(
        "memory of a worker of its own (of the main process)", "", f"{found['worker MB']} MB ({found['main MB']} MB)"
    )


def _first_batch_here(root: Path) -> dict[str, Any]:
    """In seconds from opening the selection; imports are done."""
    from tsds_stream.loader import SelectedDataset, SelectedLoader

    found: dict[str, Any] = {}
    for sampling in ("uniform", "weight"):
        began = time.perf_counter()
        next(iter(SelectedLoader(SelectedDataset(root, sampling=sampling), BATCH)))
        found[sampling] = time.perf_counter() - began
    loader = SelectedLoader(SelectedDataset(root), BATCH, 2)
    list(islice(loader, 500))
    workers = psutil.Process().children(recursive=True)
    found["worker MB"] = round(median(one.memory_full_info().uss for one in workers) / 1e6)
    found["main MB"] = round(psutil.Process().memory_full_info().uss / 1e6)
    loader.close()
    return found


def _page(record: dict[str, Any], rows: list[list[Any]]) -> str:
    described = record["machine"]
    marks = {True: "yes", False: "**no**", None: ""}
    lines = [
        "# The loader, measured",
        "",
        f"`python -m benchmarks.loader` on {described['cores']} cores of {described['processor']}, Python "
        f"{described['python']}, load {record['load']}. Batches of {BATCH}. Ours takes its state after every batch.",
        "",
        "| what | to reach | measured | reached |",
        "|---|---|---|---|",
    ]
    lines += [f"| {what} | {goal} | {measured} | {marks[met]} |" for what, goal, measured, met in rows]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
