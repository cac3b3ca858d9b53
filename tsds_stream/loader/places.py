"""Where revisions come from: a directory on this computer, here; others bring what is read to one."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path
from typing import Final, Protocol

from tsds_stream.durable import temporary
from tsds_stream.loader.errors import DamagedRevisionError, GoneRevisionError, NoRevisionError, RevisionError
from tsds_stream.records import Json
from tsds_stream.sealed import DamagedFileError, unseal
from tsds_stream.streams.layout import Layout, SetLayout
from tsds_stream.streams.manifest import read_manifest
from tsds_stream.streams.revisions import (
    NoSuchRevisionError,
    StoredRevision,
    kept_revisions,
    latest_revision,
    list_revisions,
)

_HIDDEN: Final = 2.0  # seconds that a writer may take to find out that a revision which it wanted to delete is leased


class Place(Protocol):
    """Revisions of one target set. Can be pickled; what is unpickled only reads, and starts no threads.

    Attributes:
        name: for messages.
        leases: where the leases of readers are honoured.
    """

    name: str
    leases: Path

    def newest(self) -> int:
        """The number of the newest revision. Raises `RevisionError`."""

    def numbers(self) -> list[int]:
        """The revisions that can be read, ascending. Raises `RevisionError`."""

    def records(self) -> tuple[list[Json], list[str]]:
        """Their records, and a sentence for each that is damaged. Raises `RevisionError`."""

    def open(self, number: int) -> StoredRevision:
        """One of them. Raises `RevisionError`."""

    def explained(self, number: int, error: Exception) -> RevisionError:
        """What is wrong with a revision that was open, and what to do."""

    def heartbeat(self) -> int | None:
        """When its publisher was last known to be alive, in milliseconds since the epoch; None: it never was."""

    def close(self) -> None:
        """Let go of threads and connections."""


class DirectoryPlace:
    """A snapshot directory, in place.

    Args:
        root: the directory.
        target_set: name of the set.
        name: for messages.
        remedy: what to do about a damaged file; None: what the writer of the directory says.
    """

    def __init__(self, root: Path, target_set: str, name: str | None = None, remedy: str | None = None) -> None:
        self.name = name if name is not None else str(root)
        self._root, self._set, self._remedy = root, target_set, remedy
        self._layout: SetLayout = Layout(root).of(target_set)
        self.leases = self._layout.leases

    def newest(self) -> int:
        try:
            return latest_revision(self._root, self._set)
        except NoSuchRevisionError as error:
            raise NoRevisionError(self._without(str(error))) from None
        except (DamagedFileError, OSError) as error:
            raise self._translated(error) from error

    def numbers(self) -> list[int]:
        newest = self.newest()
        try:
            return kept_revisions(self._layout, newest)
        except OSError as error:
            raise self._translated(error) from error

    def records(self) -> tuple[list[Json], list[str]]:
        try:
            records, damages = list_revisions(self._root, self._set)
        except NoSuchRevisionError as error:
            raise NoRevisionError(self._without(str(error))) from None
        except (DamagedFileError, OSError) as error:
            raise self._translated(error) from error
        return records, [str(self._translated(damage)) for damage in damages]

    def open(self, number: int) -> StoredRevision:
        manifest, deadline = self._layout.manifest(number), time.monotonic() + _HIDDEN
        while not manifest.exists() and temporary(manifest).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        newest = self.newest()
        if number > newest or not manifest.exists():
            raise self._no_such(number, newest)
        try:
            return StoredRevision(self._layout, number)
        except (DamagedFileError, OSError) as error:
            if not manifest.exists():
                raise self._no_such(number, self.newest()) from None
            raise self._translated(error) from error

    def explained(self, number: int, error: Exception) -> RevisionError:
        manifest = self._layout.manifest(number)
        if not manifest.exists() and not temporary(manifest).exists():
            return GoneRevisionError(
                f"Revision {number} of target set {self._set!r} was deleted from {self.name} while it was being read. "
                "A writer keeps its `keep_revisions` newest revisions, and those that a reader has a lease on: let it "
                f"keep more, or let this reader write to {self._layout.leases}. Until then, read a newer revision.",
                manifest,
            )
        return self._translated(error)

    def heartbeat(self) -> int | None:
        path = Layout(self._root).heartbeat
        try:
            beat = unseal(path, "The writer replaces it within seconds.")["time"]
        except FileNotFoundError:
            beat = None
        except (DamagedFileError, OSError) as error:
            raise self._translated(error) from error
        try:
            record = read_manifest(self._layout, self.newest()).record
        except (DamagedFileError, OSError):
            record = {}  # whoever opens it is told; or it has just given way to the next one
        return last_sign(beat, record)

    def close(self) -> None:
        """Nothing is held."""

    def _no_such(self, number: int, newest: int) -> NoRevisionError:
        kept = kept_revisions(self._layout, newest)
        has = f"It has {shown(kept)}." if kept else "It has none."
        return NoRevisionError(f"{self.name} has no revision {number} of target set {self._set!r}. {has}")

    def _without(self, sentence: str) -> str:
        return f"{sentence} Name a target set that it has (`tsds-stream inspect {self._root}`), or publish to it first."

    def _translated(self, error: Exception) -> RevisionError:
        if isinstance(error, DamagedFileError):
            return DamagedRevisionError(f"{error.path} {error.what}. {self._remedy or error.remedy}", error.path)
        return unreadable(error, self.name)


def last_sign(heartbeat: int | None, newest: Json) -> int | None:
    """When a publisher last gave a sign of life: by a heartbeat, or with the newest revision. None: it never did."""
    signs = [int(one) for one in (heartbeat, newest.get("created")) if one is not None]
    return max(signs, default=None)


def unreadable(error: Exception, place: str) -> RevisionError:
    """What the operating system said about a file."""
    if isinstance(error, OSError):
        where = error.filename if error.filename is not None else place
        return RevisionError(f"Could not read {where}: {error.strerror or error}. See to {place}, and try again.")
    return RevisionError(f"Could not read {place}: {type(error).__name__}: {error}")


def shown(numbers: list[int]) -> str:
    """Numbers of revisions in a sentence."""
    if len(numbers) <= 8:
        return ", ".join(map(str, numbers))
    return f"{len(numbers)} of them, from {numbers[0]} to {numbers[-1]}"


def place_name(url: str) -> str:
    """The name of a directory for what comes from a URL."""
    last = re.sub(r"[^A-Za-z0-9_-]+", "-", url.rstrip("/").rpartition("/")[2])[:60].strip("-")
    return f"{last or 'selection'}-{hashlib.blake2b(url.rstrip('/').encode(), digest_size=6).hexdigest()}"
