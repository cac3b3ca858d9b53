"""A disk on which a test can crash, cut the power or run out of space at any single operation."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

from tsds_stream.durable import Disk

CRASHES = ("before", "after", "torn", "power")  # ways to die at one operation
FAULTS = (*CRASHES, "full", "stays full")


class Crash(BaseException):
    """The process is gone; no `except Exception` sees it."""


class FaultyDisk(Disk):
    """Counts operations, and fails at the one numbered `at` in the way of `fault`.

    "before", "after": the process dies there. "torn": it dies in the middle of a write. "power": it dies after the
    operation, and all that was not synced is undone: names return to what they were, contents are cut to half.
    "full": one operation finds no space, having written half. "stays full": and so do all later writes.
    Nothing is really synced, which makes tests fast.
    """

    def __init__(self, at: int | None = None, fault: str = "before") -> None:
        self.at = at
        self.fault = fault
        self.operations: list[str] = []
        self.dead = False
        self._unsynced: dict[Path, int] = {}  # file -> bytes of it that are safe
        self._undo: list[tuple[Path, Callable[[], None]]] = []  # (directory, how to undo a change of its names)

    def write(self, path, parts):
        parts = list(parts)
        self._names(path)
        self._run("write", path, lambda: self._written(path, parts), lambda: self._torn(path, 0, b"".join(parts)))

    def _written(self, path, parts):
        super().write(path, parts)
        self._unsynced[path] = 0

    def append(self, path, offset, data):
        self._names(path)
        self._run("append", path, lambda: self._appended(path, offset, data), lambda: self._torn(path, offset, data))

    def _appended(self, path, offset, data):
        super().append(path, offset, data)
        self._unsynced.setdefault(path, offset)

    def _torn(self, path, offset, data):
        super().append(path, offset, bytes(data)[: len(data) // 2])

    def truncate(self, path, length):
        self._run("truncate", path, lambda: super(FaultyDisk, self).truncate(path, length))

    def sync(self, path):
        self._run("sync", path, lambda: self._unsynced.pop(path, None))

    def sync_directory(self, path):
        def synced():
            self._undo = [entry for entry in self._undo if entry[0] != path]

        self._run("sync directory", path, synced)

    def sync_all(self, files, directories):
        for path in files:
            self.sync(path)
        for path in directories:
            self.sync_directory(path)

    def replace(self, source, target):
        old = target.read_bytes() if target.exists() and target.is_file() else None
        if source.is_file():

            def undo():
                if target.exists():
                    target.replace(source)
                if old is not None:
                    target.write_bytes(old)
        else:

            def undo():
                if target.exists():
                    target.rename(source)

        def replaced():
            super(FaultyDisk, self).replace(source, target)
            self._undo.append((target.parent, undo))
            if source in self._unsynced:
                self._unsynced[target] = self._unsynced.pop(source)

        self._run("replace", target, replaced)

    def remove(self, path):
        old = path.read_bytes() if path.exists() else None

        def removed():
            super(FaultyDisk, self).remove(path)
            self._unsynced.pop(path, None)
            if old is not None:
                self._undo.append((path.parent, lambda: path.write_bytes(old) and None))

        self._run("remove", path, removed)

    def remove_tree(self, path):
        self._run("remove tree", path, lambda: super(FaultyDisk, self).remove_tree(path), lambda: self._half_gone(path))

    @staticmethod
    def _half_gone(path):
        for file in sorted(path.rglob("*"))[:1]:
            file.unlink()

    def make_directory(self, path):
        def made():
            new = not path.exists()
            super(FaultyDisk, self).make_directory(path)
            if new:
                self._undo.append((path.parent, lambda: shutil.rmtree(path)))

        self._run("make directory", path, made)

    def _names(self, path):
        if not path.exists():
            self._undo.append((path.parent, lambda: path.unlink(missing_ok=True)))

    def _run(self, name, path, act, tear=None):
        if self.dead:
            raise Crash
        position = len(self.operations)
        self.operations.append(f"{name} {path.name}")
        grows = name in ("write", "append", "make directory")
        full = self.fault == "full" and position == self.at
        full |= self.fault == "stays full" and self.at is not None and position >= self.at and grows
        if full:
            if tear is not None:
                tear()
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        if position != self.at or self.fault == "stays full":
            act()
            return
        self.dead = True
        if self.fault == "torn" and tear is not None:
            tear()
        elif self.fault != "before":
            act()
        if self.fault == "power":
            self._lose_power()
        raise Crash

    def _lose_power(self):
        unsynced = dict(self._unsynced)
        for _, undo in reversed(self._undo):
            undo()
        for path, safe in unsynced.items():
            if path.is_file():
                data = path.read_bytes()
                path.write_bytes(data[: max(safe, len(data) // 2)] if len(data) > safe else data)
