"""Tables, figures and a picture from the runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drift.detectors import RIVER, Found
from benchmarks.drift.plot import draw
from benchmarks.drift.streams import Change
from benchmarks.measuring import machine
from tsds_stream.monitoring.stream_drift import DriftOptions

Results = list[tuple[tuple[Change, int, int], Found]]
NAMES = {"ours": "**tsds-stream, any signal**"}


def write(folder: Path, results: Results, options: DriftOptions, at: int, seconds: float) -> str:
    """Write drift.md, drift.json and drift.png; returns the Markdown."""
    learned = options.warmup + options.baseline
    bursts = sorted({burst for (_, burst, _), _ in results})
    unchanged = {burst: _of(results, "no change", burst) for burst in bursts}
    changes = list(dict.fromkeys(change.name for (change, _, _), _ in results if change.share))
    changed = {(name, burst): _of(results, name, burst) for name in changes for burst in bursts}
    watched = min(run.looks[-1] for runs in unchanged.values() for run in runs) - learned
    lines = [
        "# Drift of the stream on real text",
        "",
        f"`python -m benchmarks.drift`: {len(results)} streams in {seconds / 60:.0f} minutes on {machine()['cores']} "
        f"cores of {machine()['processor']}, shared with other work.",
        "",
        "Passages of eight Debian documentation packages, in bursts of neighbouring passages from a random place "
        "of a random package (geometric length, mean as given; burst 1 mixes all passages), embedded by the static "
        "model, with 240 targets in three groups.",
        f"Warm-up {options.warmup}, baseline {options.baseline}, windows {options.short_window} and "
        f"{options.long_window}, false_alarm_rate {options.false_alarm_rate}.",
        "",
        "## No change: streams with a false alarm",
        "",
        f"{len(unchanged[bursts[0]])} seeds for each burst length, {watched:,} documents each after the baseline. "
        f"At most {options.false_alarm_rate:.0%} of the streams may have one.",
        "",
        _header(["detector", *(f"burst {burst}" for burst in bursts), "all"]),
    ]
    for detector in ("ours", *RIVER):
        counts = [sum(run.first(detector, learned) is not None for run in unchanged[burst]) for burst in bursts]
        cells = [f"{count} of {len(unchanged[burst])}" for count, burst in zip(counts, bursts, strict=True)]
        total = sum(map(len, unchanged.values()))
        lines.append(_row([NAMES.get(detector, detector), *cells, f"{sum(counts) / total:.1%}"]))
    highest = [
        f"burst {burst}: {_median([max(run.score) for run in runs]):.2f}, {max(max(run.score) for run in runs):.2f}"
        for burst, runs in unchanged.items()
    ]
    lines += [
        "",
        f"Highest score of any signal along an unchanged stream (median and highest of the seeds; 1 alarms): "
        f"{'; '.join(highest)}.",
        "",
        "## A change: how often it is noticed, and after how many documents",
        "",
        f"{len(next(iter(changed.values())))} seeds each; a topic that never came before, from document {at:,} on. "
        "*sudden*: all documents; *gradual*: from none to all over 10,000 documents; *small*: a tenth of them. "
        "Share noticed within 20,000 documents; median delay (90% quantile) of those. Below all our signals together, "
        "each of them alone, at the same threshold.",
        "",
    ]
    for burst in bursts:
        lines += [f"### Burst {burst}", "", _header(["detector", *changes])]
        for detector in ("ours", *_signals(results), *RIVER):
            cells = [_delays(run.first(detector, at) for run in changed[name, burst]) for name in changes]
            if any(cells):
                lines.append(_row([NAMES.get(detector, detector), *(cell or "-" for cell in cells)]))
        lines.append("")
    lines += [
        "river's detectors follow three numbers of each document: its distance to the nearest target, its length, and "
        "its nearness to the mean embedding of the baseline. They take documents to be independent: read their delays "
        "beside their false alarms.",
        "",
        "![Scores along the streams, and delays](drift.png)",
        "",
    ]
    page = "\n".join(lines)
    (folder / "drift.md").write_text(page)
    record = {
        "machine": machine(),
        "options": asdict(options),
        "change at": at,
        "streams": [_record(case, found) for case, found in results],
    }
    (folder / "drift.json").write_text(json.dumps(record) + "\n")
    draw(folder / "drift.png", unchanged, changed, at)
    return page


def _of(results: Results, name: str, burst: int) -> list[Found]:
    return [found for (change, size, _), found in results if (change.name, size) == (name, burst)]


def _signals(results: Results) -> list[str]:
    return sorted({signal for _, found in results for signal in found.ours})


def _delays(found: Iterable[int | None]) -> str:
    """Share noticed and delay; empty when never."""
    every = list(found)
    delays = [delay for delay in every if delay is not None]
    if not delays:
        return ""
    share = f"{len(delays) / len(every):.0%}"
    return f"{share}: {_median(delays):,.0f} ({np.quantile(delays, 0.9):,.0f})"


def _median(values: list[Any]) -> float:
    return float(np.median(values))


def _header(cells: list[str]) -> str:
    return f"{_row(cells)}\n|{'---|' * len(cells)}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _record(case: tuple[Change, int, int], found: Found) -> dict[str, Any]:
    change, burst, seed = case
    return {
        "change": change.name,
        "burst": burst,
        "seed": seed,
        "highest score": max(found.score),
        "first alarms": {name: times[0] for name, times in found.ours.items()},
        "river": {name: times[:3] for name, times in found.river.items()},
    }
