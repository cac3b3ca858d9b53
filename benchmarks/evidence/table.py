"""One table: its protocol, its seeds run two at a time and kept as they finish, its page and its picture."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.corpus import say
from benchmarks.evidence.corpora import FOLDER
from benchmarks.evidence.results import Finding, Results
from tsds_stream.selection.blas import one_blas_thread

ROOT: Final = Path(__file__).resolve().parents[2]
_PROCESSES: Final = 2
_PRESENTATION: Final = {"__main__.py", "page.py", "pictures.py", "results.py", "table.py"}

Run = Callable[[int, bool], list[Finding]]


@dataclass(frozen=True)
class Column:
    """One figure of the page: its name in the findings, its heading, and how it is written."""

    figure: str
    heading: str
    form: str


BEST_SIMPLE: Final = "dedup+round_robin"  # the rule to beat
COLUMNS: Final = (
    Column("documents", "documents", ".0f"),
    Column("distinct", "distinct", ".1%"),
    Column("on target", "on target", ".0%"),
    Column("mix distance", "mix distance", ".2f"),
    Column("coverage", "coverage", ".3f"),
    Column("perplexity", "perplexity", ".1f"),
    Column("error", "error", ".3f"),
)


@dataclass(frozen=True)
class Table:
    """What a table asks and how it is answered.

    Attributes:
        name: of its module and its files. asks: some sentences of Markdown.
        seeds: how many. run: the findings of one seed; of a smoke test, which must not use what the seeds use.
        prepare: builds what all seeds share, before the processes part.
        draw: writes the picture.
        columns: of the page. compared: the figure of which paired differences are shown, of each method to each of the
            references, times `unit`; difference: the heading.
        notes: further lines for the page.
        folder: of modules below benchmarks/evidence that decide results of this table alone.
        timed: figures that are times or memory, so that no two runs have the same.
    """

    name: str
    title: str
    asks: str
    seeds: int
    run: Run
    prepare: Callable[[], object]
    draw: Callable[[Results, Path], None]
    columns: Sequence[Column] = COLUMNS
    compared: str = "loss"
    references: Sequence[str] = ("uniform", BEST_SIMPLE)
    difference: str = "100 Δ loss"
    unit: float = 100.0
    notes: Callable[[Results], list[str]] = lambda results: []
    folder: str = ""
    timed: Sequence[str] = ()


def run_table(table: Table, quick: bool, keep: bool) -> Results:
    """All seeds, those already finished with this code taken from the cache.

    Args:
        keep: take seeds that were finished with other code, too.
    """
    table.prepare()
    code = _code(table)
    folder = FOLDER / "seeds" / table.name
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [0, 1] if quick else list(range(table.seeds))
    done = (
        {} if quick else {seed: found for seed in wanted if (found := _finished(folder, seed, None if keep else code))}
    )
    if done:
        say(f"{table.name}: {len(done)} of {len(wanted)} seeds were finished before")
    started, first = time.perf_counter(), len(done)
    with ProcessPoolExecutor(min(_PROCESSES, len(os.sched_getaffinity(0)))) as pool:
        running: dict[Future[tuple[list[Finding], float]], int] = {
            pool.submit(_seed, table.run, seed, quick): seed for seed in wanted if seed not in done
        }
        for future in as_completed(running):
            seed = running[future]
            findings, seconds = done[seed] = future.result()
            if not quick:
                _finish(folder, seed, code, findings, seconds)
            left = (time.perf_counter() - started) / (len(done) - first) * (len(wanted) - len(done))
            print(
                f"{table.name}: seed {seed} took {seconds:.0f} s; {len(done)} of {len(wanted)}, "
                f"about {left / 60:.1f} minutes left",
                file=sys.stderr,
                flush=True,
            )
    return Results({seed: done[seed][0] for seed in wanted}, {seed: done[seed][1] for seed in wanted})


def differences(table: Table) -> list[str] | None:
    """Run the quickest of the seeds that are kept again, with the code as it is now.

    Returns:
        A line for each figure that differs, times apart; None where no seed is kept.
    """
    folder = FOLDER / "seeds" / table.name
    kept = {seed: found for seed in range(table.seeds) if (found := _finished(folder, seed, None))}
    if not kept:
        return None
    table.prepare()
    seed = min(kept, key=lambda seed: kept[seed][1])
    before, after = (
        {(one.condition, one.method, name): value for one in findings for name, value in one.figures.items()}
        for findings in (kept[seed][0], _seed(table.run, seed, False)[0])
    )
    return [
        f"{table.name}: seed {seed}, {' / '.join(key)}: {before.get(key)} -> {after.get(key)}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key) and key[2] not in table.timed
    ]


def _seed(run: Run, seed: int, quick: bool) -> tuple[list[Finding], float]:
    started = time.perf_counter()
    with one_blas_thread():
        return run(seed, quick), time.perf_counter() - started


def _finished(folder: Path, seed: int, code: str | None) -> tuple[list[Finding], float] | None:
    path = folder / f"{seed}.json"
    record = json.loads(path.read_text()) if path.exists() else None
    if record is None or (code is not None and record["code"] != code):
        return None
    return [Finding(**finding) for finding in record["findings"]], record["seconds"]


def _finish(folder: Path, seed: int, code: str, findings: list[Finding], seconds: float) -> None:
    record = {"code": code, "seconds": seconds, "findings": [asdict(finding) for finding in findings]}
    beside = folder / f"{seed}.json.partial"
    beside.write_text(json.dumps(record))
    os.replace(beside, folder / f"{seed}.json")


def _code(table: Table) -> str:
    """A hash of the sources that decide a result: this table's module, what all tables share, and the package's."""
    evidence = ROOT / "benchmarks" / "evidence"
    shared = [path for path in evidence.glob("*.py") if path.name not in _PRESENTATION and _is_shared(path)]
    packages = [ROOT / "tsds_stream" / name for name in ("comparison", "selection", "embedding")]
    paths = [*shared, evidence / f"{table.name}.py", *(evidence / "corpora").glob("*.py")]
    paths += [path for package in packages for path in package.rglob("*.py")]
    paths += (evidence / table.folder).glob("*.py") if table.folder else []
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(set(paths)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_shared(path: Path) -> bool:
    """Whether a module belongs to no single table."""
    return "\nTABLE" not in path.read_text(encoding="utf-8")
