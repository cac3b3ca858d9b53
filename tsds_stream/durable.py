"""Files that survive a crash: every operation on durable state goes through `Disk`, where a test can cut the power."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

Data = bytes | bytearray | memoryview
_AT_ONCE = 16  # syncs that wait at the same time
TEMPORARY = ".tmp"  # the end of a name that nobody but its writer may look at


class Disk:
    """The operations that change a disk, one method each.

    A crash can fall before, after and (for `write` and `append`) inside each of them. Nothing else in the package
    changes a file of the sink or of a checkpoint.
    """

    def write(self, path: Path, parts: Iterable[Data]) -> None:
        """Make the file `path`, or replace what it holds, with `parts` one after the other. Not yet durable."""
        with path.open("wb") as file:
            file.writelines(parts)

    def append(self, path: Path, offset: int, data: Data) -> None:
        """Write `data` at `offset`, the known length of the file, which is made if need be. Not yet durable."""
        with path.open("r+b" if path.exists() else "wb") as file:
            file.seek(offset)
            file.write(data)

    def truncate(self, path: Path, length: int) -> None:
        """Cut the file to `length` bytes."""
        os.truncate(path, length)

    def sync(self, path: Path) -> None:
        """Return when the content of the file is on stable storage."""
        _sync(path, os.O_RDONLY)

    def sync_directory(self, path: Path) -> None:
        """Return when the names in the directory are on stable storage."""
        _sync(path, os.O_RDONLY | os.O_DIRECTORY)

    def sync_all(self, files: Sequence[Path], directories: Sequence[Path]) -> None:
        """As `sync` and `sync_directory` of each, at the same time: a file system does many at the cost of one."""
        tasks = [(path, os.O_RDONLY) for path in files] + [(path, os.O_RDONLY | os.O_DIRECTORY) for path in directories]
        if tasks:
            with ThreadPoolExecutor(min(len(tasks), _AT_ONCE), "sync") as threads:
                for task in [threads.submit(_sync, *one) for one in tasks]:
                    task.result()

    def replace(self, source: Path, target: Path) -> None:
        """Give `source` the name `target`, in one step for every observer."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file; it may be gone already."""
        path.unlink(missing_ok=True)

    def remove_tree(self, path: Path) -> None:
        """Remove a directory and what is in it; it may be gone already."""
        if path.exists():
            shutil.rmtree(path)

    def make_directory(self, path: Path) -> None:
        """Make one directory; it may be there already."""
        path.mkdir(exist_ok=True)


def write_atomically(disk: Disk, path: Path, data: Data) -> None:
    """Replace the content of `path` durably: also after a crash it is the old one or the new one, whole."""
    beside = temporary(path)
    disk.write(beside, [data])
    disk.sync(beside)
    disk.replace(beside, path)
    disk.sync_directory(path.parent)


def write_in_one_step(disk: Disk, path: Path, data: Data) -> None:
    """Replace the content of `path` for every observer at once; durable only after a sync of file and directory."""
    beside = temporary(path)
    disk.write(beside, [data])
    disk.replace(beside, path)


def temporary(path: Path) -> Path:
    """The name under which the next content of `path` is written."""
    return path.with_name(path.name + TEMPORARY)


def make_directories(disk: Disk, path: Path) -> None:
    """Make `path` and its missing parents durably."""
    missing = [path] if not path.is_dir() else []
    while missing and not missing[-1].parent.is_dir():
        missing.append(missing[-1].parent)
    for directory in reversed(missing):
        disk.make_directory(directory)
        disk.sync_directory(directory.parent)


def sentence(error: OSError, doing: str, place: Path) -> str:
    """What went wrong with a file and what to do, for the person who runs the program.

    Args:
        error: what the operating system said.
        doing: what was being done, as in "publish a revision".
        place: the directory that was worked on.
    """
    where = error.filename if error.filename is not None else place
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"Could not {doing}: no space is left for {where}. Nothing half-written is in effect. "
            f"Free some space on the disk of {place} and start again."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        why = f"{where} may not be written ({error.strerror})"
        return f"Could not {doing}: {why}. Give this user the right to write in {place}."
    return f"Could not {doing}: {error.strerror or error} ({where}). See to the disk of {place} and start again."


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
