"""Selections with texts of a given length, and the same documents in the formats of other loaders."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks.corpus import CACHE
from tsds_stream.digests import digest_of
from tsds_stream.streams.base import Publication
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.layout import Layout
from tsds_stream.streams.manifest import read_manifest

SET = "default"
_SHARDS = 8


def selection(count: int, length: int) -> Path:
    """A snapshot directory of one revision with so many documents of so many characters; made on first use."""
    root = CACHE / f"loader-{count}-{length}"
    if Layout(root).of(SET).latest.exists():
        return root
    sink = DirectorySink(root)
    sink.recover()
    ids = [f"document-{k:08}" for k in range(count)]
    values = [1 / count] * count, [1.0] * count
    digest = digest_of(ids, *values)
    record = {"set": SET, "revision": 1, "size": count, "digest": digest, "published_digest": digest}
    upserts = [_record(name, text, 1 / count) for name, text in zip(ids, _texts(count, length), strict=True)]
    keys = [k.to_bytes(16, "little") for k in range(count)]
    positions = {"documents": {"made": ["here", count]}, "targets": {}}
    sink.commit([Publication(SET, record, upserts, keys, [], (ids, *values))], [], positions)
    sink.close()
    return root


def lines_of(root: Path) -> Path:
    """The JSON lines of all documents of the selection, in one file; made on first use."""
    path = root / "documents.jsonl"
    if not path.exists():
        half = path.with_suffix(".part")
        with half.open("wb") as out:
            for segment in read_manifest(Layout(root).of(SET), 1).segments:
                out.write(Layout(root).of(SET).lines(segment.number).read_bytes())
        half.rename(path)
    return path


def shards_of(root: Path) -> list[Path]:
    """The same lines in 8 files, as loaders want them whose workers read files of their own; made on first use."""
    folder = root / "shards"
    if not folder.exists():
        half = folder.with_suffix(".part")
        half.mkdir(exist_ok=True)
        lines = lines_of(root).read_bytes().splitlines(keepends=True)
        for k in range(_SHARDS):
            (half / f"{k}.jsonl").write_bytes(b"".join(lines[k::_SHARDS]))
        half.rename(folder)
    return sorted(folder.iterdir())


def _record(name: str, text: str, p: float) -> dict[str, object]:
    return {
        "set": SET,
        "id": name,
        "revision": 1,
        "probability": p,
        "weight": 1.0,
        "density": 1.0,
        "multiplicity": 1,
        "nearest": [["target-1", 0.5], ["target-2", 0.6], ["target-3", 0.7]],
        "text": text,
        "meta": {},
        "source": {"path": "documents.jsonl"},
    }


def _texts(count: int, length: int) -> Iterator[str]:
    chance = random.Random(7)
    words = ["".join(chance.choices("etaoinshrdlucmfwyp", k=chance.randint(2, 9))) for _ in range(5000)]
    base = " ".join(chance.choices(words, k=200_000))
    for _ in range(count):
        start = chance.randrange(len(base) - length)
        yield base[start : start + length]
