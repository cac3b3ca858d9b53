"""An export in the making: beside its later place, until all of it is there.

OUTPUT.tmp/plan.json         what is being made
OUTPUT.tmp/files/            what is finished, and what is being written
OUTPUT.tmp/finished/N.json   checksum of the file N, and the places in the revisions behind it
OUTPUT.tmp/lock              held by the process that works
OUTPUT.tmp/cache/            the copy of a selection that is elsewhere, where none was named
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from tsds_stream.durable import Data, Disk, make_directories, temporary, write_atomically
from tsds_stream.exporting.difference import Places
from tsds_stream.exporting.errors import ExportError
from tsds_stream.exporting.formats import File
from tsds_stream.lock import LockedError, WriterLock
from tsds_stream.records import Json
from tsds_stream.sealed import DamagedFileError, seal, sha256_of, unseal

_OURS: Final = {"plan.json", "plan.json.tmp", "files", "finished", "lock", "cache"}


def occupied(output: Path) -> bool:
    """Whether something is there."""
    return output.exists() and (not output.is_dir() or any(output.iterdir()))


def leave_nothing(output: Path, disk: Disk, *, cache: bool) -> None:
    """Remove the folder in which an export was made that is there now; the copy of a selection in it with `cache`."""
    root = temporary(output)
    there = {path.name for path in root.iterdir()} if root.is_dir() else set()
    if not root.is_dir() or not there <= _OURS:
        return
    for name in sorted(there if cache else there - {"cache"}):
        if (root / name).is_dir():
            disk.remove_tree(root / name)
        else:
            disk.remove(root / name)
    if cache or "cache" not in there:
        disk.sync_directory(root)
        disk.remove_tree(root)


@dataclass(frozen=True, slots=True)
class Finished:
    """A file of documents that is whole and on disk.

    Attributes:
        file: it.
        places: behind it.
        without_text: documents in it that have no text.
    """

    file: File
    places: Places
    without_text: int


class Workplace:
    """The folder beside `output` in which one process at a time makes it.

    Raises:
        ExportError: another process works there, or it is something else.
        OSError: it cannot be made.
    """

    def __init__(self, output: Path, disk: Disk) -> None:
        self.output, self._disk = output, disk
        self.root = temporary(output)
        self.files = self.root / "files"
        self._finished, self._plan = self.root / "finished", self.root / "plan.json"
        make_directories(disk, output.parent)
        disk.make_directory(self.root)
        foreign = sorted(path.name for path in self.root.iterdir() if path.name not in _OURS)
        if foreign:
            raise ExportError(
                f"{self.root} is where the export is made, and holds something else ({foreign[0]}). Move it away, or "
                "give another --output."
            )
        try:
            self._lock = WriterLock(self.root / "lock", str(output))
        except LockedError as error:
            raise ExportError(f"{error} An export that was interrupted goes on when it is started again.") from error

    def close(self) -> None:
        """Let others work here; what is finished stays."""
        self._lock.close()

    def plan(self) -> Json | None:
        """What is being made; None: nothing that can be gone on with."""
        try:
            return unseal(self._plan, "")
        except (FileNotFoundError, DamagedFileError):
            return None

    def begin(self, plan: Json) -> None:
        """Forget what was being made, and make this."""
        self._disk.remove(self._plan)
        self._disk.remove_tree(self.files)
        self._disk.remove_tree(self._finished)
        self._disk.make_directory(self.files)
        self._disk.make_directory(self._finished)
        self._disk.sync_directory(self.root)
        write_atomically(self._disk, self._plan, seal(plan))

    def finished(self) -> list[Finished]:
        """The files from the first on that are as they were written; what is there besides is removed."""
        found: list[Finished] = []
        while (one := self._read(len(found))) is not None:
            found.append(one)
        kept = {one.file.name for one in found}
        for path in self.files.iterdir():
            if path.name not in kept:
                self._disk.remove(path)
        for path in self._finished.iterdir():
            if not path.stem.isdigit() or int(path.stem) >= len(found):
                self._disk.remove(path)
        return found

    def write(self, name: str, parts: Iterable[Data]) -> tuple[int, str]:
        """Write a file durably; returns its bytes and their sha256."""
        size, h = 0, sha256()

        def counted() -> Iterator[Data]:
            nonlocal size
            for part in parts:
                size += len(part)
                h.update(part)
                yield part

        self._disk.write(self.files / name, counted())
        self._disk.sync(self.files / name)
        return size, h.hexdigest()

    def finish(self, number: int, one: Finished) -> None:
        """Take note of a file that was written."""
        self._disk.sync_directory(self.files)
        write_atomically(
            self._disk, self._finished / f"{number}.json", seal({**asdict(one), "places": list(one.places)})
        )

    def publish(self) -> None:
        """Give what was made its name, in one step."""
        self._disk.sync_directory(self.files)
        self._disk.replace(self.files, self.output)
        self._disk.sync_directory(self.output.parent)

    def _read(self, number: int) -> Finished | None:
        try:
            told = unseal(self._finished / f"{number}.json", "")
            file = File(**told["file"])
            if sha256_of(self.files / file.name) != file.sha256:
                return None
        except (FileNotFoundError, DamagedFileError):
            return None
        return Finished(file, Places(*told["places"]), told["without_text"])
