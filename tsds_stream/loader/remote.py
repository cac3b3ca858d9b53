"""A copy of a snapshot directory behind fsspec: what is read of it is brought to a cache on this computer.

Files of a revision never change, so that the cache knows them by name, size and sha256: a file is fetched once,
compared with its checksum on the way, and used by all processes of this computer and by all revisions that share it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from tsds_stream.durable import Disk, make_directories, temporary, write_in_one_step
from tsds_stream.loader.cache import Cache, CachedLayout, File
from tsds_stream.loader.errors import DamagedRevisionError, GoneRevisionError, NoRevisionError, RevisionError
from tsds_stream.loader.places import last_sign, place_name, shown, unreadable
from tsds_stream.records import Json
from tsds_stream.sealed import DamagedFileError, unsealed
from tsds_stream.streams.layout import checked_name
from tsds_stream.streams.leased import EVERYTHING, Leased
from tsds_stream.streams.manifest import Manifest, manifest_in
from tsds_stream.streams.revisions import StoredRevision

T = TypeVar("T")
BLOCK: Final = 1 << 22  # bytes that are read at a time
_AT_ONCE: Final = 8  # files
_PAUSES: Final = (0.2, 1.0, 5.0)  # seconds before another try
_MANIFEST: Final = re.compile(r"(\d{8,})\.json")
_COPY_ANEW: Final = "Copy the selection there anew, manifests after segments and LATEST at the end."
_FETCH_ANEW: Final = "Delete this file of the cache and open the revision anew: it is fetched again."


class RemotePlace:
    """Reads what fsspec can read, and writes to nothing but the cache.

    Args:
        url: of the copy, as fsspec understands it.
        target_set: name of the set.
        cache: a directory; None: a temporary one, until `close`.
        options: of the file system.
        disk: of the cache; a test brings its own.
        pauses: seconds before each further try.

    Raises:
        RevisionError: fsspec, or what it needs for this URL, is not installed.
    """

    def __init__(
        self,
        url: str,
        target_set: str,
        cache: Path | None,
        options: Mapping[str, Any] | None = None,
        disk: Disk | None = None,
        pauses: tuple[float, ...] = _PAUSES,
    ) -> None:
        self.name = re.sub(r"//[^/@]*@", "//", url).rstrip("/")  # without credentials
        self._url, self._set, self._options = url, checked_name(target_set), dict(options or {})
        self._pauses = pauses
        self._only_reads = False  # in another process than the one that looks for what is new
        self._file_system: tuple[int, Any, str] | None = None
        self._open_file_system()
        base = cache if cache is not None else Path(tempfile.mkdtemp(prefix="tsds-stream-"))
        self._forget = weakref.finalize(self, _remove, base, os.getpid()) if cache is None else None
        self._cache = Cache(base / place_name(url), target_set, disk)
        try:
            make_directories(self._cache.disk, self._cache.layout.root)  # for leases, which come before files
        except OSError as error:
            raise self._no_cache(error) from error
        self.leases = self._cache.layout.leases

    def newest(self) -> int:
        path = f"{self._set}/LATEST"
        try:
            return int(self._unsealed(path)["revision"])
        except FileNotFoundError:
            sets = self._sets()
            has = f"it has {', '.join(sets)}" if sets else "no set there has a file LATEST"
            raise NoRevisionError(
                f"{self.name} has no revision of a target set {self._set!r}: {has}. Name a set that it has, or see "
                "that the copy is complete."
            ) from None

    def numbers(self) -> list[int]:
        newest = self.newest()
        names = self._try("manifests", lambda fs, root: fs.ls(f"{root}/{self._set}/manifests", detail=False))
        found = (_MANIFEST.fullmatch(name.rstrip("/").rpartition("/")[2]) for name in names)
        return sorted(number for match in found if match and (number := int(match[1])) <= newest)

    def records(self) -> tuple[list[Json], list[str]]:
        records, damages = [], []
        for number in self.numbers():
            try:
                records.append(self._manifest(number)[0].record)
            except DamagedRevisionError as error:
                damages.append(str(error))
            except FileNotFoundError:
                continue  # it was removed meanwhile
        return records, damages

    def open(self, number: int) -> StoredRevision:
        layout = self._cache.revision(number) if self._only_reads else None
        try:
            if layout is None or not all(file.cached for file in layout.files()):
                layout = self._fetched(number)
            return StoredRevision(layout, number)
        except DamagedFileError as error:
            raise self.explained(number, error) from error
        except OSError as error:
            raise self._no_cache(error) from error

    def explained(self, number: int, error: Exception) -> RevisionError:
        if not isinstance(error, DamagedFileError):
            return unreadable(error, str(self._cache.root))
        if not error.path.exists():
            what = f"Revision {number} was deleted from the cache while it was being read: {error.path} is missing."
            return GoneRevisionError(f"{what} Open it anew: it is fetched again.", error.path)
        return DamagedRevisionError(f"{error.path} {error.what}. {_FETCH_ANEW}", error.path)

    def heartbeat(self) -> int | None:
        try:
            beat = self._unsealed("heartbeat.json")["time"]
        except FileNotFoundError:
            beat = None
        try:
            record = self._manifest(self.newest())[0].record
        except (FileNotFoundError, DamagedRevisionError):
            record = {}  # whoever opens it is told; or it has just given way to the next one
        return last_sign(beat, record)

    def close(self) -> None:
        if self._forget is not None:
            self._forget()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_only_reads": True, "_file_system": None, "_forget": None}

    def _fetched(self, number: int) -> CachedLayout:
        """Where the files of a revision are, all of which are here.

        Raises:
            RevisionError: they could not be fetched.
            OSError: the cache cannot be written.
        """
        with self._cache.filling():
            try:
                manifest, data = self._manifest(number)
            except FileNotFoundError:
                newest, numbers = self.newest(), self.numbers()
                if number == newest:
                    path = f"{self.name}/{self._set}/manifests/{number:08d}.json"
                    raise DamagedRevisionError(f"{path} is missing. {_COPY_ANEW}", Path(path)) from None
                has = f"It has {shown(numbers)}." if numbers else "It has none."
                what = f"{self.name} has no revision {number} of target set {self._set!r}."
                raise NoRevisionError(f"{what} {has}") from None
            try:
                # Before the files, so that those of an attempt that fails stay for the next one.
                write_in_one_step(self._cache.disk, self._cache.layout.manifest(number), data)
            finally:
                self._cache.disk.remove(temporary(self._cache.layout.manifest(number)))
            leased = Leased(self._cache.root)(self._set)
            if leased is not EVERYTHING:
                self._cache.clean({number, *leased})
            layout = CachedLayout.of(self._cache.layout, manifest)
            missing = [file for file in layout.files() if not file.cached]
            threads = ThreadPoolExecutor(_AT_ONCE, "fetch")
            try:
                for _ in threads.map(self._fetch, missing):
                    pass
            except FileNotFoundError as error:
                path = f"{self.name}/{self._set}/{error.filename}"
                raise DamagedRevisionError(f"{path} is missing. {_COPY_ANEW}", Path(path)) from None
            finally:
                threads.shutdown(cancel_futures=True)
            return layout

    def _fetch(self, file: File) -> None:
        """Bring a file to the cache."""
        disk, beside = self._cache.disk, temporary(file.path)
        try:
            self._again_and_again(lambda: self._transfer(file, beside))
            disk.sync(beside)
            disk.replace(beside, file.path)
        finally:
            disk.remove(beside)

    def _transfer(self, file: File, beside: Path) -> None:
        h, size = hashlib.sha256(), 0

        def blocks() -> Iterator[bytes]:
            nonlocal size
            fs, root = self._open_file_system()
            with self._once(file.name, lambda: fs.open(f"{root}/{self._set}/{file.name}", "rb")) as source:
                while block := self._once(file.name, lambda: source.read(BLOCK)):
                    h.update(block)
                    size += len(block)
                    self._cache.progress()
                    yield block

        self._cache.disk.write(beside, blocks())
        if size != file.size or h.hexdigest() != file.sha256:
            path = f"{self.name}/{self._set}/{file.name}"
            what = (
                f"has {size} bytes instead of {file.size}"
                if size != file.size
                else "does not have the sha256 that was written"
            )
            raise DamagedRevisionError(f"{path} {what}. {_COPY_ANEW}", Path(path))

    def _manifest(self, number: int) -> tuple[Manifest, bytes]:
        """A manifest, and its file. Raises `FileNotFoundError`, `RevisionError`."""
        path = f"{self._set}/manifests/{number:08d}.json"
        data = self._bytes(path)
        try:
            return manifest_in(data, Path(path), number), data
        except DamagedFileError as error:
            raise DamagedRevisionError(f"{self.name}/{path} {error.what}. {_COPY_ANEW}", error.path) from None

    def _unsealed(self, path: str) -> Json:
        try:
            return unsealed(self._bytes(path), Path(path), _COPY_ANEW)
        except DamagedFileError as error:
            raise DamagedRevisionError(f"{self.name}/{path} {error.what}. {error.remedy}", error.path) from None

    def _bytes(self, path: str) -> bytes:
        return self._try(path, lambda fs, root: bytes(fs.cat_file(f"{root}/{path}")))

    def _sets(self) -> list[str]:
        def look(fs: Any, root: str) -> list[str]:
            names = (name.rstrip("/").rpartition("/")[2] for name in fs.ls(root, detail=False))
            return sorted(name for name in names if fs.exists(f"{root}/{name}/LATEST"))

        try:
            return self._try("", look)
        except FileNotFoundError:
            return []

    def _try(self, path: str, action: Callable[[Any, str], T]) -> T:
        """What an action gives with the file system. Raises `FileNotFoundError`, and `RevisionError` else."""
        return self._again_and_again(lambda: self._once(path, lambda: action(*self._open_file_system())))

    def _again_and_again(self, action: Callable[[], T]) -> T:
        """What an action gives that may fail now and then."""
        for pause in self._pauses:
            try:
                return action()
            except RevisionError:
                time.sleep(pause)
        return action()

    def _once(self, path: str, action: Callable[[], T]) -> T:
        try:
            return action()
        except FileNotFoundError:
            raise FileNotFoundError(2, "No such file", path) from None
        except Exception as error:  # every file system has errors of its own
            what = f"{type(error).__name__}: {error}"
            remedy = "See to the network and the credentials, and try again."
            raise RevisionError(f"Could not read {self.name}/{path} ({what}). {remedy}") from error

    def _open_file_system(self) -> tuple[Any, str]:
        """The file system of this process, and the path of the copy in it."""
        if self._file_system is None or self._file_system[0] != os.getpid():
            try:
                from fsspec.core import url_to_fs
            except ModuleNotFoundError:
                raise RevisionError(
                    f"{self.name} needs the package fsspec: pip install 'tsds-stream[fsspec]'"
                ) from None
            try:
                fs, root = url_to_fs(self._url, use_listings_cache=False, skip_instance_cache=True, **self._options)
            except (ImportError, ValueError) as error:
                raise RevisionError(f"{self.name} cannot be read: {error}") from error
            self._file_system = os.getpid(), fs, root.rstrip("/")
        return self._file_system[1], self._file_system[2]

    def _no_cache(self, error: OSError) -> RevisionError:
        where = error.filename if error.filename is not None else self._cache.root
        if error.errno in (28, 122):
            what = f"no space is left for {where}. Free some space on the disk of {self._cache.root}"
        else:
            what = f"{where}: {error.strerror or error}. See to {self._cache.root}"
        return RevisionError(f"Could not fill the cache: {what}, or give another cache, and try again.")


def _remove(path: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)
