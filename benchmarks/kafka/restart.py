"""How soon a killed or replaced daemon works again, how fast it replays, and what a checkpoint holds up."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np

from benchmarks.corpus import Corpus
from benchmarks.kafka.filling import embedded_documents, fill, write_targets
from benchmarks.kafka.throughput import difference
from benchmarks.kafka.world import Daemon, Json, World
from benchmarks.report import Part
from tsds_stream import Selector
from tsds_stream.checkpoint import CheckpointStore
from tsds_stream.stored_state import checkpoints_in

_STARTS = 5
_CHECKPOINTS = 4
_SETTLED = 8_000  # documents after a start that are not counted
_STEPS = (
    "interpreter",
    "imports",
    "embedder",
    "topics looked at",
    "opened",
    "read back",
    "targets read",
    "checkpoint loaded",
    "source at its place",
    "first records processed",
)


def measure(world: World, corpus: Corpus, quick: bool) -> Part:
    """Documents with vectors and texts, examples with vectors, and the static embedder, which has to be loaded."""
    part = Part()
    warm, stint, max_k = (20_000, 10_000, 100) if quick else (200_000, 100_000, 1400)
    documents = world.topic("documents")
    records = embedded_documents(corpus, warm + 4 * stint)
    fill(world.bootstrap, documents, itertools.islice(records, warm + 3 * stint))
    stand = world.stand(
        documents,
        write_targets(world.folder / "targets.jsonl", corpus),
        {
            "embedder": {"kind": "static"},
            "publish": {"interval": 1.0},
            "target_sets": {"max_k": max_k},
            # One checkpoint soon after the first revision, one at the end, and none between them.
            "state": {"checkpoint_interval": 3600.0},
        },
    )
    warming = stand.start()
    warming.until(lambda now: now["documents_applied"] >= warm, "the documents to warm up")
    warming.stop()
    candidates, megabytes = _candidates(stand.state)

    starts = []
    for _ in range(2 if quick else _STARTS):
        daemon = stand.start()
        daemon.until(lambda now: now["documents_applied"] > 0, "the first records")
        starts.append(_steps(daemon))
        daemon.kill()

    live = stand.start()
    # The first revision is followed by a checkpoint, from which the next start replays.
    first = live.until(lambda now: now["documents_applied"] >= _SETTLED and now["commits"], "the first revision")
    wanted = first["documents_applied"] + stint
    last = live.until(lambda now: now["documents_applied"] >= wanted, "the documents of the live stint")
    live.until(lambda now: now["commits"] > last["commits"], "a commit after the stint")
    live.kill()
    again = stand.start()
    begun = again.until(lambda now: now["replayed"] >= _SETTLED, "the first replayed documents")
    done = again.until(lambda now: now["replayed"] >= 0.9 * stint, "the replayed documents")
    again.stop()
    lived, replayed = difference(first, last), difference(begun, done)
    ratio = (replayed["count"] / replayed["wall"]) / (lived["count"] / lived["wall"])

    config = stand.config.read_text()
    stand.config.write_text(config.replace("checkpoint_interval = 3600.0", "checkpoint_interval = 1.0"))
    watched = stand.start(TSDS_BENCH_STALLS="1")
    watched.until(lambda now: now["phase"] == "live" and now["lag"].get("records") == 0, "the end of the topic")
    for _ in range(2 if quick else _CHECKPOINTS):  # a checkpoint is written only where there is news
        before = watched.statistics()[-1]["checkpoints"]
        fill(world.bootstrap, documents, itertools.islice(records, stint // 5))
        watched.until(lambda now, before=before: now["checkpoints"] > before, "a checkpoint")
    watched.stop()
    stalls = watched.lines("stalls")

    best = min(starts, key=lambda steps: steps["first records processed"])
    middle = float(np.median([steps["first records processed"] for steps in starts]))
    part.details = {
        "candidates": candidates,
        "megabytes": megabytes,
        "starts": starts,
        "live": lived,
        "replay": replayed,
        "stalls": stalls,
    }
    part.add(
        f"restart with a checkpoint of {candidates:,} candidates ({megabytes} MB): exec → first records processed",
        "< 2 s",
        f"{middle:.2f} s in the middle of {len(starts)}, {best['first records processed']:.2f} s the best: "
        + _told(best),
        middle < 2,
    )
    part.add(
        "replay of what came after the checkpoint",
        "≥ 0.8 of the live speed on the same records",
        f"{ratio:.2f} ({replayed['count'] / replayed['wall']:,.0f} documents/s against "
        f"{lived['count'] / lived['wall']:,.0f})",
        ratio >= 0.8,
    )
    written = [line for line in stalls if "written" in line]
    longest = max(line["checkpoint"] for line in written)
    part.add(
        f"the longest that another thread is stalled while such a checkpoint is written ({len(written)} times)",
        "≤ 200 ms",
        f"{1e3 * longest:.0f} ms ({1e3 * max(line['otherwise'] for line in written):.0f} ms at other times of the same "
        f"run); the loop itself stands still for {1e3 * max(one['loop'] for one in stalls if 'loop' in one):.0f} ms at "
        "most, the writing takes "
        + " to ".join(f"{f([line['written'] for line in written]):.1f}" for f in (min, max))
        + " s in the background",
        longest <= 0.2,
    )
    return part


def _candidates(state: Path) -> tuple[int, int]:
    """Points in the newest checkpoint, and its megabytes."""
    checkpoint = CheckpointStore(checkpoints_in(state)).newest().checkpoint
    assert checkpoint is not None
    selector = Selector.load(checkpoint.directory / "default")
    return sum(1 for _ in selector.held()), round(checkpoint.size / 1e6)


def _steps(daemon: Daemon) -> Json:
    """Seconds from exec to the end of each step."""
    deadline = time.monotonic() + 10
    while True:
        stamps = {line["step"]: line["t"] - daemon.began for line in daemon.lines("stamps")}
        if "first records processed" in stamps or time.monotonic() > deadline:
            return {step: round(stamps[step], 3) for step in _STEPS if step in stamps}


def _told(steps: Json) -> str:
    """How long each step took by itself."""
    before = 0.0
    words = []
    for step, at in sorted(steps.items(), key=lambda pair: float(pair[1])):
        words.append(f"{step} {at - before:.2f}")
        before = at
    return ", ".join(words)
