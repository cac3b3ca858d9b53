"""Refreshing a large pool, and a stream of ten million documents with a refresh every second."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.batch import config
from benchmarks.corpus import Corpus
from benchmarks.documents import Documents
from benchmarks.measuring import Stopwatch, own_memory, timed
from benchmarks.report import RESULTS, Part
from tsds_stream import Selector

_BLOCK = 16_384
_COURSE = 1.3  # the course of the stream is noted whenever it has grown by this factor


def measure_refresh(corpus: Corpus, quick: bool) -> Part:
    """Six times 10,000 new real documents on a pool of 750,000 and more, and a refresh with nothing new."""
    part = Part()
    rounds, fresh = (2, 1000) if quick else (6, 10_000)
    held_back = rounds * fresh
    stream = Documents(corpus.documents)
    selector = Selector(corpus.targets, config("kde", 256 if quick else 1024))
    for _ in range((len(corpus.documents) - held_back) // 8192):
        selector.add(stream.names(8192), stream.real(8192))
    while stream.count < (20_000 if quick else 750_000):
        selector.add(stream.names(8192), stream.mixtures(8192))
    pool = stream.count
    cold, _ = timed(selector.refresh)
    rounds_taken = []
    for _ in range(rounds):
        rows = stream.real(fresh)
        names = stream.names(len(rows))
        add, report = timed(lambda names=names, rows=rows: selector.add(names, rows))
        refresh, revision = timed(selector.refresh)
        rounds_taken.append(
            {
                "add": add.as_dict(),
                "refresh": refresh.as_dict(),
                "points admitted": report.admitted,
                "selected anew": len(revision.added),
            }
        )
    held = next(selector.held())[0]
    idle, _ = timed(selector.refresh)
    retracted_unknown, _ = timed(lambda: (selector.remove(["never seen"]), selector.refresh()))
    times = [taken["refresh"]["wall"] for taken in rounds_taken]
    part.details = {
        "pool": pool,
        "cold refresh": cold.as_dict(),
        "rounds": rounds_taken,
        "nothing new": idle.as_dict(),
        "solved again although nothing changed": retracted_unknown.as_dict(),
        "one held id": held,
    }
    part.add(
        f"refresh after {fresh:,} new documents on a pool of {pool:,}",
        "< 0.5 s",
        f"{np.median(times):.2f} s in the middle, {max(times):.2f} s at most ({rounds} times)",
        max(times) < 0.5,
    )
    part.add(
        "refresh with nothing new; solved again although nothing changed",
        "< 30 ms",
        f"{idle.wall * 1e3:.1f} ms; {retracted_unknown.wall * 1e3:.0f} ms",
        retracted_unknown.wall < 0.03,
    )
    return part


def measure_stream(corpus: Corpus, quick: bool) -> Part:
    """The stream; making the documents is not counted."""
    part = Part()
    total = 200_000 if quick else 10_000_000
    stream = Documents(corpus.documents)
    selector = Selector(corpus.targets, config("kde", 256 if quick else 1024))
    adding, refreshing, making = Stopwatch(), Stopwatch(), Stopwatch()
    since_refresh, refreshes, most, revision = 0.0, 0, 0, None
    course: list[dict[str, Any]] = []
    before = (0, 0.0, 0.0)
    while stream.count < total:
        with making:
            rows = stream.next(min(_BLOCK, total - stream.count))
            names = stream.names(len(rows))
        started = time.perf_counter()
        with adding:
            selector.add(names, rows)
        since_refresh += time.perf_counter() - started
        if since_refresh >= 1.0:
            started = time.perf_counter()
            with refreshing:
                revision = selector.refresh()
            since_refresh = time.perf_counter() - started
            refreshes += 1
        most = max(most, own_memory())
        if stream.count >= max(_COURSE * before[0], before[0] + total // 50) or stream.count >= total:
            count = stream.count - before[0]
            course.append(
                {
                    "documents": stream.count,
                    "add us": (adding.cpu - before[1]) / count * 1e6,
                    "refresh us": (refreshing.cpu - before[2]) / count * 1e6,
                    "own memory MB": round(own_memory() / 2**20),
                }
            )
            before = (stream.count, adding.cpu, refreshing.cpu)
    with refreshing:
        revision = selector.refresh()
    wall, cpu = adding.wall + refreshing.wall, adding.cpu + refreshing.cpu
    part.details = {
        "documents": stream.count,
        "add": adding.timing.as_dict(),
        "refresh": refreshing.timing.as_dict(),
        "refreshes": refreshes,
        "making documents (not counted)": making.timing.as_dict(),
        "own memory MB": round(most / 2**20),
        "exact": revision is not None and revision.exact,
        "course": course,
    }
    if not quick:
        _plot(course)
    goal = quick or (wall < 180 and most < 2**30)
    part.add(
        f"a stream of {stream.count:,} documents, M = {len(corpus.targets)}, a refresh every second",
        "< 3 minutes on two cores, < 1 GB resident",
        f"{wall:.0f} s ({refreshes} refreshes, {refreshing.wall:.0f} s of it; processor time {cpu:.0f} s; making the "
        f"documents, not counted, took {making.wall:.0f} s), {most / 2**20:.0f} MB",
        None if quick else goal,
    )
    return part


def _plot(course: list[dict[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 3.2), dpi=90)
    documents = [row["documents"] for row in course]
    axes.stackplot(
        documents,
        [row["add us"] for row in course],
        [row["refresh us"] for row in course],
        labels=["add", "refresh every second"],
        colors=["#4c72b0", "#dd8452"],
    )
    axes.set(xscale="log", xlabel="documents so far", ylabel="processor time per document, µs")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / "stream.png")
