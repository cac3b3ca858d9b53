"""The cache of a remote selection: a directory that processes of this computer share, one of them filling it at a time.

CACHE/PLACE/SET/manifests/00000012.json               as in a snapshot directory
CACHE/PLACE/SET/manifests/00000012-SHA256.members     and so on: what a file holds is part of its name
CACHE/PLACE/SET/leases/HOLDER.json                    revisions in use, whose files stay
CACHE/PLACE/SET/cache.lock                            held by whoever fetches or removes files
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tsds_stream.durable import Disk, make_directories
from tsds_stream.loader.errors import RevisionError
from tsds_stream.sealed import DamagedFileError
from tsds_stream.streams.layout import Layout, SetLayout, numbered
from tsds_stream.streams.manifest import MEMBER, Manifest, read_manifest
from tsds_stream.streams.segments import SegmentInfo

PATIENCE: Final = 120.0  # seconds without progress, after which whoever fills the cache is taken to be stuck
_LOOK_AGAIN: Final = 0.05


@dataclass(frozen=True, slots=True)
class File:
    """A file of a revision.

    Attributes:
        name: relative to the target set, where it is fetched from.
        path: in the cache.
        size: in bytes.
        sha256: of its content.
    """

    name: str
    path: Path
    size: int
    sha256: str

    @property
    def cached(self) -> bool:
        """Whether it is there, as far as can be told at a glance."""
        try:
            return self.path.stat().st_size == self.size
        except FileNotFoundError:
            return False


@dataclass(frozen=True, slots=True)
class CachedLayout(SetLayout):
    """Where the files of one revision are in the cache."""

    known: Manifest
    infos: Mapping[int, SegmentInfo]

    @classmethod
    def of(cls, layout: SetLayout, manifest: Manifest) -> CachedLayout:
        return cls(layout.root, manifest, {info.number: info for info in manifest.segments})

    def members(self, revision: int) -> Path:
        return self.manifests / f"{revision:08d}-{self.known.members_sha256}.members"

    def lines(self, segment: int) -> Path:
        return self.segments / f"{segment:08d}-{self.infos[segment].data_sha256}.jsonl"

    def index(self, segment: int) -> Path:
        return self.segments / f"{segment:08d}-{self.infos[segment].index_sha256}.index"

    def files(self) -> list[File]:
        """All files of the revision but its manifest."""
        source = SetLayout(Path())
        number, rows = self.known.revision, self.known.members
        sha256 = self.known.members_sha256
        found = [File(str(source.members(number)), self.members(number), rows * MEMBER.itemsize, sha256)]
        for one in self.known.segments:
            n = one.number
            found.append(File(str(source.index(n)), self.index(n), one.index_bytes, one.index_sha256))
            found.append(File(str(source.lines(n)), self.lines(n), one.data_bytes, one.data_sha256))
        return found


class Cache:
    """The part of a cache that is for one target set of one place.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, root: Path, target_set: str, disk: Disk | None = None) -> None:
        self.root = root
        self.layout = Layout(root).of(target_set)
        self.disk = disk if disk is not None else Disk()

    def revision(self, number: int) -> CachedLayout | None:
        """Where the files of a revision are, if its manifest is here."""
        try:
            return CachedLayout.of(self.layout, read_manifest(self.layout, number))
        except DamagedFileError:
            return None

    @contextmanager
    def filling(self, patience: float = PATIENCE) -> Iterator[None]:
        """Only one process at a time; the others wait as long as it makes progress.

        Raises:
            RevisionError: it does not.
            OSError: the cache cannot be written.
        """
        for folder in (self.layout.manifests, self.layout.segments):
            make_directories(self.disk, folder)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._wait(descriptor, patience)
            yield
        finally:
            os.close(descriptor)

    def progress(self) -> None:
        """Tell those that wait."""
        os.utime(self._lock)

    def clean(self, in_use: Collection[int]) -> None:
        """Remove revisions that are not in use, and files that no other one needs."""
        needed: set[Path] = set()
        for number, path in numbered(self.layout.manifests):
            layout = self.revision(number) if number in in_use and path.suffix == ".json" else None
            if layout is not None:
                needed |= {path, *(file.path for file in layout.files())}
        for folder in (self.layout.manifests, self.layout.segments):
            for path in folder.iterdir():
                if path not in needed:
                    self.disk.remove(path)

    @property
    def _lock(self) -> Path:
        return self.layout.root / "cache.lock"

    def _wait(self, descriptor: int, patience: float) -> None:
        seen, since = 0, time.monotonic()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                now, changed = time.monotonic(), os.fstat(descriptor).st_mtime_ns
                if changed != seen:
                    seen, since = changed, now
                if now - since > patience:
                    raise RevisionError(
                        f"Another process holds {self._lock} and has fetched nothing for {patience:g} s. End it, or "
                        "give this one another cache."
                    ) from None
                time.sleep(_LOOK_AGAIN)
