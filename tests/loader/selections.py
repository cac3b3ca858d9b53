"""Selections on disk for the tests of the loader, and the order in which loaders serve them."""

from __future__ import annotations

import time
from pathlib import Path

from tests.streams.stories import Members, publication
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.leased import Leased
from tsds_stream.streams.revisions import StoredRevision, latest_revision, open_revision


def weight_of(name: str) -> float:
    """Between 0.25 and 4, and 0 for some."""
    return [0.25, 1.0, 4.0, 0.5, 0.0][int(name[1:]) % 5]


def ids(count: int, first: int = 0) -> list[str]:
    return [f"d{k:05}" for k in range(first, first + count)]


class Selection:
    """A snapshot directory that grows by revisions.

    Args:
        path: of the directory.
        names: ids of each revision to begin with.
        keep: revisions that are not deleted, besides those in use.
    """

    def __init__(self, path: Path, *names: list[str], keep: int = 100) -> None:
        self.path = path
        self.names: list[list[str]] = []
        self._sink = DirectorySink(path, keep_revisions=keep, pinned=Leased(path))
        self._sink.recover()
        self._members: Members = {}
        for one in names:
            self.publish(one)

    def publish(self, names: list[str]) -> int:
        """Make the next revision; returns its number."""
        members: Members = {name: (1 / len(names), weight_of(name), 1) for name in names}
        number = len(self.names) + 1
        positions = {"documents": {"f": [str(number), number]}, "targets": {}}
        self._sink.commit([publication("default", number, self._members, members)], [], positions)
        self._members = members
        self.names.append(sorted(names))
        return number

    def heartbeat(self, age: float) -> None:
        """The publisher was alive so many seconds ago."""
        self._sink.heartbeat({"documents": {}, "targets": {}}, int((time.time() - age) * 1000))

    def close(self) -> None:
        self._sink.close()


class Stored:
    """Stands in for Revisions."""

    target_set = "default"

    def __init__(self, path: Path, beat: int | None = None) -> None:
        self.path, self.beat, self.held = path, beat, []

    def newest(self) -> int:
        return latest_revision(self.path, "default")

    def at(self, number: int) -> StoredRevision:
        return open_revision(self.path, "default", number)

    def heartbeat(self) -> int | None:
        return self.beat

    def hold(self, number: int, name: str, seconds: float) -> None:
        self.held.append((number, name, seconds))
