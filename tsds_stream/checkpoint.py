"""Checkpoints of the state: written beside the last one, verified, made durable, renamed. Two are kept."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tsds_stream.durable import TEMPORARY, Disk, make_directories, sentence, temporary, write_atomically
from tsds_stream.records import Json
from tsds_stream.sealed import DamagedFileError, check_file, seal, sha256_of, unseal

FORMAT: Final = 1
KEPT: Final = 2
CONTENTS: Final = "checkpoint.json"
_NUMBER = re.compile(r"\d{8,}")
_REMEDY = "The one before it is used; with none, the stream is read again."


class CheckpointError(Exception):
    """A checkpoint could not be written; those before it are as they were."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A durable checkpoint.

    Attributes:
        number: 1, 2, 3, …; a failed save may leave one out.
        directory: the files that `write` of `CheckpointStore.save` made, and `checkpoint.json`.
        meta: what was given to `save`.
        size: bytes of all files.
    """

    number: int
    directory: Path
    meta: Json
    size: int


@dataclass(frozen=True, slots=True)
class Found:
    """The newest checkpoint that can be used, or None, and a sentence for each newer one that cannot."""

    checkpoint: Checkpoint | None
    problems: tuple[str, ...]


class CheckpointStore:
    """The checkpoints in one directory, which has one writer.

    Args:
        directory: it is made by the first `save`.
        disk: where a test injects faults.
    """

    def __init__(self, directory: Path | str, *, disk: Disk | None = None) -> None:
        self.directory = Path(directory)
        self._disk = disk if disk is not None else Disk()
        self._unusable: set[int] = set()

    def newest(self, refuse: Callable[[Json], str | None] = lambda meta: None, *, sound: int | None = None) -> Found:
        """The newest checkpoint whose files are all as they were written, and that `refuse` does not refuse.

        What cannot be used gives its place to the next one that is saved.

        Args:
            refuse: takes the meta of a checkpoint and says in a sentence why it cannot be used, or None. It is asked
                before the large files are read.
            sound: number of a checkpoint whose files were found as they were written a moment ago.
        """
        problems: list[str] = []
        self._unusable.clear()
        for number in reversed(self._numbers()):
            try:
                checkpoint, files = self._open(number)
                reason = refuse(checkpoint.meta)
                if reason is None:
                    for path, size, sha256 in files if number != sound else ():
                        check_file(path, size, sha256, _REMEDY)
                    return Found(checkpoint, tuple(problems))
            except (DamagedFileError, OSError) as damage:
                reason = str(damage)
            problems.append(f"Checkpoint {number} is not used: {reason}")
            self._unusable.add(number)
        return Found(None, tuple(problems))

    def save(self, write: Callable[[Path], object], meta: Json) -> Checkpoint:
        """Make a checkpoint of what `write` puts into the empty directory that it is given.

        When this returns, the checkpoint is durable, was read back, and at most one older one is left. Hashing and
        syncing let other threads run. An error of `write` itself is raised as it is, unless it is an `OSError`.

        Args:
            write: it has to notice its own write errors: what it leaves behind counts as intended.
            meta: positions, configuration hash, embedder fingerprint, version of the state format, …

        Raises:
            CheckpointError: with a sentence; nothing has changed.
        """
        numbers = self._numbers()
        number = numbers[-1] + 1 if numbers else 1
        beside = temporary(self._path(number))
        try:
            try:
                make_directories(self._disk, self.directory)
                self._disk.remove_tree(beside)
                self._disk.make_directory(beside)
                write(beside)
                size = self._settle(beside, meta)
                self._disk.replace(beside, self._path(number))
                self._disk.sync_directory(self.directory)
            except Exception:
                self._discard(beside)
                raise
            self._prune(number)
        except OSError as error:
            raise CheckpointError(sentence(error, "save a checkpoint", self.directory)) from error
        return Checkpoint(number, self._path(number), meta, size)

    def _settle(self, beside: Path, meta: Json) -> int:
        """Make all files durable and write down what they are; returns their size."""
        files: dict[str, tuple[int, str]] = {}
        directories = [beside]
        for path in sorted(beside.rglob("*")):
            if path.is_dir():
                directories.append(path)
                continue
            self._disk.sync(path)
            files[path.relative_to(beside).as_posix()] = (path.stat().st_size, sha256_of(path))
        for directory in reversed(directories):
            self._disk.sync_directory(directory)
        contents = seal({"format": FORMAT, "meta": meta, "files": files})
        write_atomically(self._disk, beside / CONTENTS, contents)
        self._open_at(beside)
        return sum(size for size, _ in files.values()) + len(contents)

    def _open(self, number: int) -> tuple[Checkpoint, list[tuple[Path, int, str]]]:
        directory = self._path(number)
        meta, files = self._open_at(directory)
        size = sum(length for _, length, _ in files) + (directory / CONTENTS).stat().st_size
        return Checkpoint(number, directory, meta, size), files

    def _open_at(self, directory: Path) -> tuple[Json, list[tuple[Path, int, str]]]:
        path = directory / CONTENTS
        try:
            content = unseal(path, _REMEDY)
        except FileNotFoundError:
            raise DamagedFileError(path, "is missing", _REMEDY) from None
        if content.get("format") != FORMAT:
            raise DamagedFileError(
                path, f"has format {content.get('format')}, and this version reads {FORMAT}", _REMEDY
            )
        files = [(directory / name, size, sha256) for name, (size, sha256) in content["files"].items()]
        for file, size, _ in files:
            check_file(file, size, None, _REMEDY)
        return content["meta"], files

    def _prune(self, newest: int) -> None:
        usable = [number for number in self._numbers() if number not in self._unusable]
        kept = {newest, *usable[-KEPT:]}
        for number in self._numbers():
            if number not in kept:
                # Renamed first: one that is half removed must not look like a damaged checkpoint.
                gone = temporary(self._path(number))
                self._disk.remove_tree(gone)
                self._disk.replace(self._path(number), gone)
                self._disk.sync_directory(self.directory)
        for path in sorted(self.directory.glob(f"*{TEMPORARY}")):
            if _NUMBER.fullmatch(path.stem):
                self._disk.remove_tree(path)
        self._unusable.clear()

    def _discard(self, beside: Path) -> None:
        try:
            self._disk.remove_tree(beside)
        except OSError:
            return  # the next save removes it; the error that led here is the one to tell

    def _numbers(self) -> list[int]:
        if not self.directory.is_dir():
            return []
        names = (entry.name for entry in os.scandir(self.directory) if entry.is_dir())
        return sorted(int(name) for name in names if _NUMBER.fullmatch(name))

    def _path(self, number: int) -> Path:
        return self.directory / f"{number:08d}"
