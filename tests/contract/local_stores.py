"""Stores without a server: in memory, and a directory."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests.contract.stores import Crash, Seen, Store
from tests.engine_fakes import MemorySink, World
from tests.faulty_disk import FaultyDisk
from tsds_stream.records import Json
from tsds_stream.streams.base import Positions, Sink
from tsds_stream.streams.dead_letters import read_dead_letters
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.revisions import list_revisions, open_revision, target_sets


class MemoryStore(Store):
    points: ClassVar = {"before": "before", "after": "after"}

    def __init__(self, folder: Path, world: World | None = None) -> None:
        self.world = world or World([])

    def open(self) -> Sink:
        return MemorySink(self.world)

    def positions(self, number: int) -> Positions:
        return {"item": number}

    def arm(self, sink: Sink, point: str) -> None:
        def die(when: str, number: int) -> None:
            if when == point:
                self.world.at_commit = lambda when, number: None
                raise Crash

        self.world.at_commit = die

    def drop(self, sink: Sink) -> None: ...

    def seen(self) -> Seen:
        seen = Seen(letters=list(self.world.dead_letters))
        for name, publications in self.world.history.items():
            held: dict[str, Json] = {}
            for publication in publications:
                held |= {record["id"]: record for record in publication.upserts}
                for identifier in publication.removed:
                    del held[identifier]
            seen.revisions[name] = [publication.revision for publication in publications]
            seen.members[name] = held
        return seen


class DirectoryStore(Store):
    """A process dies at some operation of its disk, in each of the ways of `FaultyDisk`."""

    points: ClassVar = {
        f"{fault} at operation {at}": (at, fault)
        for at, fault in (
            (0, "before"),
            (2, "torn"),
            (10, "after"),
            (12, "full"),
            (14, "power"),
            (16, "stays full"),
            (24, "torn"),
            (26, "power"),
            (26, "after"),
            (28, "before"),
            (31, "power"),
        )  # the commit of two sets is what operation 26 does
    }

    def __init__(self, folder: Path) -> None:
        self._root = folder / "selection"
        self._disks: dict[Sink, FaultyDisk] = {}

    def open(self) -> Sink:
        disk = FaultyDisk()
        sink = DirectorySink(self._root, disk=disk)
        self._disks[sink] = disk
        return sink

    def positions(self, number: int) -> Positions:
        return {"files": {"a.jsonl": ["content", number]}, "finished": [0, ""]}

    def arm(self, sink: Sink, point: str) -> None:
        disk = self._disks[sink]
        at, disk.fault = self.points[point]
        disk.at = len(disk.operations) + at

    def drop(self, sink: Sink) -> None:
        sink.close()  # the system lets go of the lock

    def open_to_readers(self, point: str) -> bool:
        return "power" not in point  # then they may be told to wait for the writer

    def seen(self) -> Seen:
        seen = Seen(letters=list(read_dead_letters(self._root)))
        for name in target_sets(self._root):
            seen.revisions[name], damages = list_revisions(self._root, name)
            assert damages == []
            newest = open_revision(self._root, name)
            newest.verify()
            # Readers of a directory have exact values; those of other stores have what was last sent.
            seen.members[name] = {
                record["id"]: record | {"probability": sent.probability, "weight": sent.weight}
                for record, sent in zip(newest, newest.sent, strict=True)
            }
        return seen
