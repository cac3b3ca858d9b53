"""Selections with everything that a document may have or lack, and their exports read back by plain means."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import orjson
import zstandard

from tests.faulty_disk import FaultyDisk
from tests.streams.stories import Members, publication
from tsds_stream.durable import Disk
from tsds_stream.exporting.export import Export, Request
from tsds_stream.loader.revisions import Revisions
from tsds_stream.logs import LineLog
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.leased import Leased

TEXTS = ["a text", "ein schöner Text\nin zwei Zeilen\t\x00", "日本語 🦆", '"quoted" \\ text', "long " * 200]
METAS: list[Any] = [
    {},
    {"url": "https://a/ü", "tags": ["x", "y"], "deep": {"n": [1, 2.5, None, True, {"z": "🦆"}]}},
    {"n": 3},
    {"n": 3.0},
]


class Writer:
    """A snapshot directory of the set "default", whose documents are as odd as they may be.

    Args:
        keep: revisions that are not deleted, besides those in use.
    """

    def __init__(self, root: Path, seed: int = 0, keep: int = 100) -> None:
        self.root, self._random = root, random.Random(seed)
        self._sink = DirectorySink(root, keep_revisions=keep, pinned=Leased(root), disk=FaultyDisk())
        self._sink.recover()
        self._members: Members = {}
        self.number = 0
        self.truth: dict[int, dict[str, dict[str, Any]]] = {0: {}}

    def publish(self, names: list[str], texts: bool = True) -> int:
        """A revision of these ids: some of the documents that stay change, and the rest keeps all but its exact p."""
        chosen, old = self._random, self._members
        members = {
            name: old[name] if name in old and chosen.random() < 0.6 else (chosen.random(), chosen.uniform(0, 3), 1)
            for name in names
        }
        self.number += 1
        one = publication("default", self.number, old, members)
        for record in one.upserts:
            record["text"] = chosen.choice(TEXTS) if texts else None
            record["meta"] = chosen.choice(METAS)
            record["density"] = chosen.choice([None, 0.1, 2.0])
            record["nearest"] = [["t-ü", chosen.random()], ["u", 0.1 + 0.2]][: chosen.randrange(3)]
            if chosen.random() < 0.1:  # as where it was published as a reference
                del record["text"], record["meta"]
        self._sink.commit([one], [], {"documents": self.number})
        held = {name: one for name, one in self.truth[self.number - 1].items() if name in members}
        held |= {record["id"]: as_exported(record) for record in one.upserts}
        self._members, self.truth[self.number] = members, held
        return self.number

    def close(self) -> None:
        self._sink.close()


def as_exported(record: dict[str, Any]) -> dict[str, Any]:
    record = {"text": None, "meta": None, **record}
    del record["set"]
    return {**record, "nearest": [{"target": target, "distance": distance} for target, distance in record["nearest"]]}


def names(count: int, first: int = 0) -> list[str]:
    return [f"d{k:04}-ä🦆" for k in range(first, first + count)]


def request(form: str = "jsonl", **changes: Any) -> Request:
    """An export in many small files."""
    return Request(**{"revision": None, "since": None, "format": form, "compression": "none", "shard_size": 2000,
                      **changes})  # fmt: skip


def export(root: Path, output: Path, asked: Request, disk: Disk | None = None) -> dict[str, Any]:
    with Revisions.open(root) as revisions:
        return Export(revisions, output, asked, LineLog("error"), disk=disk or FaultyDisk()).make()


def content(output: Path) -> dict[str, bytes]:
    """All files of an export."""
    return {path.name: path.read_bytes() for path in output.iterdir()}


def lines(output: Path) -> list[dict[str, Any]]:
    """The documents of a JSONL export."""
    found = []
    for path in sorted(output.glob("documents-*")):
        data = path.read_bytes()
        if path.suffix == ".zst":
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        elif path.suffix == ".gz":
            data = gzip.decompress(data)
        found += [orjson.loads(line) for line in data.splitlines()]
    return found


def removed(output: Path) -> list[str]:
    return [json.loads(line)["id"] for line in (output / "removed.jsonl").read_text().splitlines()]
