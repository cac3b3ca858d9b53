"""What the tests of the command line share: a way to run it, and a selection directory to look into."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tsds_stream.digests import digest_of
from tsds_stream.records import DeadLetter, Json
from tsds_stream.streams.base import Publication
from tsds_stream.streams.directory import DirectorySink

ROOT = Path(__file__).resolve().parent.parent


def tsds(*words: str | Path, cwd: Path = ROOT, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would: in a process of its own, without a terminal."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("TSDS_STREAM_")}
    return subprocess.run(
        [sys.executable, "-m", "tsds_stream", *map(str, words)],
        capture_output=True,
        text=True,
        input=stdin,
        cwd=cwd,
        env={**inherited, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environment},
    )


def publication(number: int, probabilities: dict[str, float], removed: Sequence[str] = ()) -> Publication:
    """Revision `number` of the set "default", with these members."""
    ids = sorted(probabilities)
    p = [probabilities[name] for name in ids]
    weights = [1.0] * len(ids)
    digest = digest_of(ids, np.array(p), np.array(weights))
    record: Json = {
        "set": "default",
        "revision": number,
        "size": len(ids),
        "added": len(ids),
        "removed": len(removed),
        "exact": number > 1,
        "reasons": [] if number > 1 else ["provisional"],
        "documents_seen": 1000 * number,
        "created": 1_790_000_000_000,
        "transport_cost": 0.5,
        "digest": digest,
        "published_digest": digest,
        "positions": {},
    }
    upserts = [
        {"set": "default", "id": name, "revision": number, "probability": value, "weight": 1.0, "density": 1.0,
         "multiplicity": 1, "nearest": [["t1", 0.25]], "text": f"the text of {name}", "meta": {}, "source": {}}
        for name, value in zip(ids, p, strict=True)
    ]  # fmt: skip
    keys = [name.encode().ljust(16, b"_") for name in ids]
    return Publication("default", record, upserts, keys, list(removed), (ids, p, weights))


def dead_letter(reason: str, value: bytes | None, line: int) -> DeadLetter:
    return DeadLetter(reason, f"line {line} is bad", {"path": "a.jsonl", "line": line}, None, value, 1_790_000_000_000)


def selection_directory(path: Path, letters: Sequence[DeadLetter] = ()) -> Path:
    """Two revisions: b and c stay, a goes, d comes, c changes."""
    sink = DirectorySink(path)
    sink.recover()
    sink.commit([publication(1, {"a": 0.5, "b": 0.25, "c": 0.25})], letters, {"at": 1})
    sink.commit([publication(2, {"b": 0.25, "c": 0.5, "d": 0.25}, ["a"])], [], {"at": 2})
    sink.close()
    return path
