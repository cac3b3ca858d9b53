"""What it costs to be watched: the same run unobserved, watched, and watched and scraped a hundred times a second."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgpack
import numpy as np

from benchmarks.corpus import Corpus
from benchmarks.report import Part
from tests.kafka.node import free_port

RATE: Final = 100.0  # scrapes per second
ALLOWED: Final = 0.02  # share of the throughput
WAYS: Final = ("off", "watched", "scraped")
_ROUNDS = 7
_TARGETS = 256


def text(corpus: Corpus, quick: bool) -> Part:
    """Texts, embedded by the static model."""
    texts = corpus.lines(3000 if quick else 300_000)

    def write(path: Path, which: slice) -> None:
        with open(path, "w", encoding="utf-8") as file:
            for k, line in enumerate(texts[which]):
                file.write(json.dumps({"id": str(k), "text": line}) + "\n")

    return _compared("text, static embedder", len(texts), write, "static", "jsonl", 2 if quick else _ROUNDS)


def embedded(corpus: Corpus, quick: bool) -> Part:
    """Documents that bring their embeddings."""
    vectors = np.array(corpus.documents[: 3000 if quick else 500_000])

    def write(path: Path, which: slice) -> None:
        with open(path, "wb") as file:
            for k, vector in enumerate(vectors[which]):
                file.write(msgpack.packb({"id": str(k), "embedding": vector.astype("<f4").tobytes()}))

    return _compared("pre-embedded msgpack", len(vectors), write, "precomputed", "msgpack", 2 if quick else _ROUNDS)


def _compared(
    what: str, count: int, write: Callable[[Path, slice], None], embedder: str, suffix: str, rounds: int
) -> Part:
    """Rounds of all three ways, each round in another order; ratios are taken within a round."""
    part = Part()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / f"documents.{suffix}", slice(None))
        write(folder / f"targets.{suffix}", slice(-_TARGETS, None))
        results = []
        for number in range(rounds):
            order = [*WAYS[number % 3 :], *WAYS[: number % 3]]
            results.append({way: _run(folder / f"{number}-{way}", embedder, suffix, way) for way in order})
    rates = {way: median(one[way]["documents"] / one[way]["wall"] for one in results) for way in WAYS}
    part.details = {"documents": count, "rounds": results, "documents per second, median": rates}
    asked = median(one["scraped"]["scraper"]["per_second"] for one in results)
    ratio = [one["watched"]["wall"] / one["scraped"]["wall"] for one in results]
    work = [one["watched"]["cpu"] / one["scraped"]["cpu"] for one in results]
    per_scrape = median(
        (one["scraped"]["server_cpu"] - one["watched"]["server_cpu"]) / max(one["scraped"]["scraper"]["scrapes"], 1)
        for one in results
    )
    part.add(
        f"scraped {RATE:.0f} times a second, {what}, {count:,} documents",
        f"< {ALLOWED:.0%} of the throughput of the same run unscraped",
        f"{_spread(ratio)} of it ({rates['scraped']:,.0f} documents/s against {rates['watched']:,.0f}; processor "
        f"time of the stream {_spread(work)}; {asked:.0f} scrapes/s reached, "
        f"{1000 * per_scrape:.1f} ms of the serving process each)",
        median(ratio) > 1 - ALLOWED,
    )
    ratio = [one["off"]["wall"] / one["watched"]["wall"] for one in results]
    work = [one["off"]["cpu"] / one["watched"]["cpu"] for one in results]
    part.add(
        f"watched (drift, status, port) and not scraped, {what}",
        "",
        f"{_spread(ratio)} of the throughput of an unobserved run ({rates['off']:,.0f} documents/s; processor time of "
        f"the stream {_spread(work)})",
    )
    return part


def _spread(ratios: list[float]) -> str:
    return f"{median(ratios):.3f} ({min(ratios):.3f}–{max(ratios):.3f})"


def _run(folder: Path, embedder: str, suffix: str, way: str) -> dict[str, Any]:
    """One run in its own process, with new state and output folders."""
    port = free_port()
    watched = way != "off"
    settings = {
        "source": {"kind": "files", "path": str(folder.parent / f"documents.{suffix}")},
        "sink": {"kind": "directory", "path": str(folder / "selection")},
        "embedder": {"kind": embedder},
        "target_sets": [{"targets": str(folder.parent / f"targets.{suffix}"), "budget": 1000}],
        "state": {"directory": str(folder / "state")},
        "monitoring": {"listen": f"127.0.0.1:{port}"} if watched else {},
    }
    folder.mkdir()
    with _process("benchmarks.monitoring.one_run") as run:
        told = _tell(run, json.dumps({"settings": settings, "watched": watched}))
        assert told == "running"
        if way != "scraped":
            return dict(json.loads(_line(run)))
        with _process("benchmarks.monitoring.scraper", str(port), str(RATE)) as scraper:
            result = dict(json.loads(_line(run)))
            assert _tell(scraper, "") == "ready"
            return {**result, "scraper": json.loads(_line(scraper))}


@contextmanager
def _process(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _tell(process: subprocess.Popen[str], text: str) -> str:
    """Give it all of its input; the first line of its answer."""
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.close()
    return _line(process).strip()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args} has ended without an answer")
    return line
