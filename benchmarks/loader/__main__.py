"""What serving a selection costs: `python -m benchmarks.loader [--quick] [--without-others]`.

Ours takes its state after every batch; the plain DataLoader over the same bytes has none to take. The two alternate in
one process, and the ratio is that of the medians. Before it is timed, every loader serves an epoch, in which each
document has to come once. Results go to `benchmarks/results/loader.json`, and as a table to `loader.md` beside it.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil

from benchmarks.corpus import CACHE
from benchmarks.loader.contestants import BATCH, OTHERS, Contestant, as_tensors, ours, plain
from benchmarks.loader.selections import selection
from benchmarks.loader.served import served_log
from benchmarks.measuring import load, machine
from benchmarks.report import RESULTS, Part

_SIZES = {1_000: 50_000, 10_000: 10_000}  # characters -> documents
_SECONDS = 1.0  # of one turn
_TURNS = 5
_FIRST_BATCH = (1_000_000, 100)


class Turn(NamedTuple):
    """One loader for a second."""

    rate: float  # documents per second
    everywhere: float  # µs of processor time per document, of all processes
    here: float  # of the main process


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
    for kind, (size, microseconds) in served_log(10_000 if options.quick else 1_000_000).items():
        told = f"{size:.1f} bytes per document, {microseconds:.0f} µs per batch"
        part.add(f"served log, ids that are {kind}", "", told)
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
        count = count // (10 if quick else 1)
        root = selection(count, length)
        for workers, collate in ((0, None), (2, None), (4, None), (2, as_tensors)):
            contestants = {name: partial(one, collate=collate) for name, one in (("ours", ours), ("plain", plain))}
            found = _alternating(contestants, root, workers, count, 2 if quick else _TURNS)
            what = f"documents of {length // 1000} KB, {workers} workers" + (", as tensors" if collate else "")
            part.details[what] = found
            own, other = _medians(found["ours"]), _medians(found["plain"])
            ratio = own.rate / other.rate
            part.add(
                f"{what}: ours against a plain DataLoader",
                "≥ 0.9",
                f"{ratio:.2f} ({own.rate:,.0f} against {other.rate:,.0f} documents per second; processor time "
                f"{own.everywhere:.1f} against {other.everywhere:.1f} µs per document, in the main process "
                f"{own.here:.1f} against {other.here:.1f})",
                None if quick else ratio >= 0.9,
            )
            if not without_others and not collate:
                rates = {}
                for name, one in OTHERS.items():
                    turns = part.details[f"{what}, {name}"] = _alternating({name: one}, root, workers, count, 3)
                    rates[name] = _medians(turns[name]).rate
                told = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
                part.add(f"{what}: others, documents per second", "", told)


def _alternating(
    contestants: Mapping[str, Contestant], root: Path, workers: int, count: int, turns: int
) -> dict[str, list[Turn]]:
    """How each did in each turn.

    Before that, each serves an epoch, which has to be one. A loader stays open while another has its turn, after it has
    read ahead what it reads ahead.
    """
    running = {name: one(root, workers) for name, one in contestants.items()}
    for name, batches in running.items():
        _check_epoch(name, batches, count)
    found: dict[str, list[Turn]] = {name: [] for name in contestants}
    for turn in range(turns):
        for name in sorted(running, reverse=bool(turn % 2)):
            list(islice(running[name], 4 * workers + 1))  # what was read ahead during the other's turn
            found[name].append(_turn(running[name]))
            _settle()
    for batches in running.values():
        batches.close()  # type: ignore[attr-defined]
    running.clear()
    gc.collect()
    return found


def _check_epoch(name: str, batches: Iterator[Any], count: int) -> None:
    """That every document came once; without what may not fill a batch."""
    whole = count // BATCH
    ids = [name for batch in islice(batches, whole) for name in _ids(batch)]
    if len(set(ids)) != len(ids) or len(ids) < (whole - 8) * BATCH:  # some fill no batch for each worker
        raise AssertionError(f"{name} served {len(set(ids))} documents in {len(ids)} places of an epoch of {count}")
    batch = next(batches)
    texts = [document["text"] for document in batch] if isinstance(batch, list) else batch["text"]
    if any(len(text) < 1000 for text in texts):
        raise AssertionError(f"{name} serves documents without their text")


def _ids(batch: Any) -> list[str]:
    return [document["id"] for document in batch] if isinstance(batch, list) else batch["id"]


def _turn(batches: Iterator[Any]) -> Turn:
    began, everywhere, here, count = time.perf_counter(), _processor_time(), time.process_time(), 0
    for batch in batches:  # which is held, as by a training, until the next one is there
        count += len(batch) if isinstance(batch, list) else BATCH
        if time.perf_counter() - began > _SECONDS:
            break
    seconds = time.perf_counter() - began
    here, everywhere = time.process_time() - here, _processor_time() - everywhere
    return Turn(round(count / seconds), round(1e6 * everywhere / count, 2), round(1e6 * here / count, 2))


def _medians(turns: list[Turn]) -> Turn:
    return Turn(*(median(values) for values in zip(*turns, strict=True)))


def _processor_time() -> float:
    """Seconds, of this process and its workers, with those that have ended."""
    me = psutil.Process()
    return sum(me.cpu_times()[:4]) + sum(sum(one.cpu_times()[:2]) for one in me.children(recursive=True))


def _settle() -> None:
    """Until the workers have read ahead."""
    deadline, before = time.monotonic() + 5, -1.0
    while time.monotonic() < deadline and (now := _processor_time()) - before > 0.02:
        before = now
        time.sleep(0.2)


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
        "memory of a worker of its own",
        "",
        f"{found['worker MB']} MB, of one of a plain DataLoader {found['plain worker MB']} MB (main process: "
        f"{found['main MB']} MB)",
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
    found["worker MB"] = _megabytes(workers)
    found["main MB"] = round(psutil.Process().memory_full_info().uss / 1e6)
    loader.close()
    batches = plain(root, 2)
    list(islice(batches, 500))
    found["plain worker MB"] = _megabytes(psutil.Process().children(recursive=True))
    return found


def _megabytes(workers: list[psutil.Process]) -> int:
    """That a worker shares with nobody."""
    return round(median(one.memory_full_info().uss for one in workers) / 1e6)


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
