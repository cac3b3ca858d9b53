"""Documents per second through the daemon, beside a bare poll loop and beside the embedder alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.corpus import Corpus
from benchmarks.kafka import alone
from benchmarks.kafka.filling import embedded_documents, fill, text_documents, write_targets
from benchmarks.kafka.world import Json, Stand, World
from benchmarks.report import Part

_SETTLED = 8_000  # documents after a start that are not counted, and a revision: the first one takes long
_REST = 105_000  # documents that the topic holds more than is counted, per stint
_PAIRS = 3
_SUMS = (
    *(f"{stage}_seconds" for stage in ("read", "embed", "select", "refresh", "publish")),
    *("commits", "whole"),
)


def embedded(world: World, corpus: Corpus, quick: bool) -> Part:
    """Documents that bring their vectors: the daemon and the bare loop take turns on the same records."""
    part = Part()
    warm, stint = (20_000, 10_000) if quick else (150_000, 260_000)
    documents = world.topic("documents")
    count, size = fill(world.bootstrap, documents, embedded_documents(corpus, warm + _PAIRS * (stint + _REST)))
    stand = world.stand(
        documents,
        write_targets(world.folder / "targets.jsonl", corpus),
        {"embedder": {"kind": "precomputed"}, "publish": {"interval": 1.0}},
    )
    _warm(stand, warm)

    def bare(offsets: dict[int, int]) -> Json:
        return alone.run("poll", world.bootstrap, documents, stint, *offsets.values())

    pairs = [_pair(stand, stint, bare) for _ in range(1 if quick else _PAIRS)]
    best = _best(pairs)
    part.details = {"documents": count, "bytes per document": round(size / count), "warm": warm, "pairs": pairs}
    part.add(
        f"pre-embedded documents of {size / count / 1000:.1f} KB, M = 256, lists full, topic → revisions every second",
        "≥ 0.5 of a bare kafka-python poll loop",
        _words(best, pairs, "bare loop"),
        _ratio(best) >= 0.5,
    )
    _add_publishing(part, pairs)
    return part


def text(world: World, corpus: Corpus, quick: bool) -> Part:
    """Texts through the static embedder: the daemon and the embedder take turns on the same texts."""
    part = Part()
    warm, stint = (5_000, 3_000) if quick else (60_000, 60_000)
    documents = world.topic("documents")
    pairs_wanted = 1 if quick else _PAIRS
    count, size = fill(world.bootstrap, documents, text_documents(corpus, warm + _PAIRS * (stint + _REST)))
    stand = world.stand(
        documents,
        write_targets(world.folder / "targets.jsonl", corpus),
        {"embedder": {"kind": "static"}, "publish": {"interval": 1.0}},
    )
    _warm(stand, warm)

    def embedder(offsets: dict[int, int]) -> Json:
        return alone.run("embed", sum(offsets.values()), stint, *["--quick"] * quick)

    pairs = [_pair(stand, stint, embedder) for _ in range(pairs_wanted)]
    best = _best(pairs)
    part.details = {"documents": count, "bytes per document": round(size / count), "warm": warm, "pairs": pairs}
    part.add(
        "text documents, static embedder, topic → revisions every second",
        "≥ 0.8 of the embedder alone on the same texts",
        _words(best, pairs, "embedder alone"),
        _ratio(best) >= 0.8,
    )
    return part


def _warm(stand: Stand, count: int) -> None:
    daemon = stand.start()
    daemon.until(lambda now: now["documents_applied"] >= count, f"{count} documents to warm up")
    daemon.stop()


def _pair(stand: Stand, stint: int, other: Callable[[dict[int, int]], Json]) -> Json:
    """One stint of the daemon, which goes on where the last one ended, and one of what it is compared with."""
    offsets = stand.committed()
    compared = other(offsets)
    daemon = stand.start()
    first = daemon.until(lambda now: now["documents_applied"] >= _SETTLED and now["commits"], "the first revision")
    wanted = first["documents_applied"] + stint
    last = daemon.until(lambda now: now["documents_applied"] >= wanted, f"{stint} documents")
    daemon.stop()
    applied = daemon.statistics()[-1]["documents_applied"]
    behind = sum(stand.committed().values()) - sum(offsets.values())
    if behind != applied:
        raise RuntimeError(f"{applied} documents were applied, and offsets of {behind} were committed")
    return {"daemon": difference(first, last), "compared with": compared}


def difference(first: Json, last: Json) -> Json:
    """What happened between two looks at the counters: sums per name, and seconds."""
    count = last["documents_applied"] - first["documents_applied"]
    wall = last["t"] - first["t"]
    found: dict[str, Any] = {name: round(last[name] - first[name], 3) for name in _SUMS}
    threads = {name: round(last["cpu"][name] - first["cpu"].get(name, 0.0), 3) for name in last["cpu"]}
    admitted = sum(last["sets"][name]["admitted"] - one["admitted"] for name, one in first["sets"].items())
    added = sum(last["sets"][name]["added"] - one["added"] for name, one in first["sets"].items())
    return {
        "count": count,
        "wall": round(wall, 3),
        **found,
        "processor seconds by thread": threads,
        "admitted per document": round(admitted / count, 4),
        "added to the selection": added,
    }


def _rate(figures: Json) -> float:
    return float(figures["count"] / figures["wall"])


def _best(pairs: list[Json]) -> Json:
    """The fastest stint of either: what else runs on the machine may hinder both, and never helps."""
    return {side: max((pair[side] for pair in pairs), key=_rate) for side in ("daemon", "compared with")}


def _ratio(pair: Json) -> float:
    return _rate(pair["daemon"]) / _rate(pair["compared with"])


def _words(best: Json, pairs: list[Json], name: str) -> str:
    ours, other = best["daemon"], best["compared with"]
    per = 1e6 * ours["whole"] / ours["count"], 1e6 * other["cpu"] / other["count"]
    return (
        f"{_ratio(best):.2f} ({_rate(ours):,.0f} documents/s, {name} {_rate(other):,.0f}; processor time "
        f"{per[0]:.0f} µs against {per[1]:.0f} µs per document; the pairs: "
        + ", ".join(f"{_ratio(pair):.2f}" for pair in pairs)
        + ")"
    )


def _add_publishing(part: Part, pairs: list[Json]) -> None:
    """What the publications within the stints took: many changes while documents pour in."""
    commits = sum(pair["daemon"]["commits"] for pair in pairs)
    seconds = sum(pair["daemon"]["publish_seconds"] for pair in pairs)
    added = sum(pair["daemon"]["added to the selection"] for pair in pairs)
    wall = sum(pair["daemon"]["wall"] for pair in pairs)
    part.add(
        "its publications meanwhile",
        "",
        f"one every {wall / max(commits, 1):.1f} s with {added / max(commits, 1):.0f} documents each, "
        f"{1e3 * seconds / max(commits, 1):.0f} ms in the transaction",
    )
