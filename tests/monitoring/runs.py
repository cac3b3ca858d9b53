"""Real runs that are watched: the engine on files with several target sets, and what it was given."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tsds_stream.config import Settings
from tsds_stream.engine import Engine, Options, Statistics
from tsds_stream.engine.clock import SystemClock
from tsds_stream.logs import LineLog
from tsds_stream.monitoring.catalogue import Json
from tsds_stream.monitoring.monitor import Monitor

TOPICS = {
    "databases": "index table query vacuum join transaction",
    "astronomy": "star orbit comet dust telescope planet",
    "cooking": "salt oven bread dough butter knife",
}
_RECORDS, _PER_FILE = 4000, 300
_BEGIN = 1_700_000_000_000  # milliseconds: when the stream begins
_APART = 2000  # milliseconds between two records


class StreamClock(SystemClock):
    """The wall clock goes by the stream: the run takes hours on any machine. Intervals are those of the machine."""

    statistics: Statistics | None = None

    def now(self) -> int:
        return _BEGIN + _APART * (self.statistics.documents_applied if self.statistics else 0)


def watched_run(root: Path, records: int = _RECORDS, **monitoring: Any) -> list[Json]:
    """Every status document of a run over files: records of two sources, with all that may be wrong in some."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "documents").mkdir()
    lines = [f"{line}\n" for line in _records(records)]
    for start in range(0, len(lines), _PER_FILE):
        (root / "documents" / f"{start:05}.jsonl").write_text("".join(lines[start : start + _PER_FILE]))
    (root / "targets.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in targets()))
    settings = Settings.model_validate(settings_of(root, monitoring))
    seen: list[Json] = []
    log, clock = LineLog("debug", stream=io.StringIO()), StreamClock()
    options = Options(batch=64, publish_share=1.0, queue_documents=128, standing_interval=0.1, recall_interval=0.2)
    with Monitor(settings, log, clock=clock, watchers=[seen.append], interval=0.1) as monitor:
        engine = Engine.from_settings(settings, log=log, clock=clock, observer=monitor, options=options)
        clock.statistics = engine.statistics
        engine.run()
    return seen


def settings_of(root: Path, monitoring: dict[str, Any]) -> dict[str, Any]:
    """Three sets: one exact; one whose lists lose documents; one by tokens, with a graph of the whole corpus."""
    targets = str(root / "targets.jsonl")
    drift = {"rate": 1e6, "warmup": 100, "baseline": 500, "short_window": 100, "long_window": 500}
    return {
        "source": {"kind": "files", "path": str(root / "documents")},
        "sink": {"kind": "directory", "path": str(root / "selection")},
        "embedder": {"kind": "hashing", "dimension": 32},
        "target_sets": [
            {"name": "exact", "targets": targets, "budget": 50, "calibration": 300, "mode": "coordinated"},
            {"name": "short", "targets": targets, "budget": 40, "max_k": 16, "slack": 0, "sigma": 0.4, "mode": "turns"},
            {"name": "graph", "targets": targets, "budget": None, "token_budget": 3000, "scope": "corpus",
             "capacity": 2500, "index": "hnsw", "max_k": 16, "slack": 0, "sigma": 1.2, "kde_k": 100,
             "mode": "coordinated"},
        ],
        "publish": {"interval": 0.001},
        "state": {"directory": str(root / "state"), "checkpoint_interval": 0.5},
        "monitoring": {"drift": drift, **monitoring},
    }  # fmt: skip


def targets() -> list[Json]:
    """Four examples of each topic."""
    chosen = random.Random(1)
    return [
        {"id": f"{group}-{k}", "text": " ".join(chosen.sample(words.split(), 3)), "group": group}
        for group, words in TOPICS.items()
        for k in range(4)
    ]


def _records(records: int) -> Iterator[str]:
    chosen = random.Random(0)
    topics = [words.split() for words in TOPICS.values()]
    for k in range(records):
        words = topics[chosen.randrange(len(topics))] + topics[chosen.randrange(len(topics))] + [f"w{k % 700}"]
        text = " ".join(chosen.choices(words, k=chosen.randrange(4, 12)))
        source = ("manual", "forum")[k % 3 == 0]
        yield json.dumps({"id": f"d{k}", "text": text, "timestamp": _BEGIN + _APART * k, "meta": {"source": source}})
        if k % 7 == 3:
            yield json.dumps({"id": f"d{chosen.randrange(k)}", "deleted": True})
        if k % 200 == 5:
            yield from ('{"text": "torn', '{"text": "  "}', '{"id": "nobody", "deleted": true}')
