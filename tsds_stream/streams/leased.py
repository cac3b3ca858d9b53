"""Which revisions of a snapshot directory somebody still uses, as its writer sees it.

Nothing here trusts two clocks to agree. A reader's lease is alive while it has not expired, or while it is seen to be
written again; one that is neither for its whole term, by a clock that does not jump, is stale, and is removed.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tsds_stream.records import Json
from tsds_stream.sealed import DamagedFileError, unseal
from tsds_stream.streams.clocks import wall_clock
from tsds_stream.streams.layout import Layout

log = logging.getLogger(__name__)

FORMAT: Final = 1
EVERYTHING: Final = range(1 << 62)  # where nobody can tell what is in use
_DIFFERENCE: Final = 10_000  # milliseconds by which clocks that are right may differ
_UNREADABLE: Final = 600.0  # seconds that a lease which cannot be read counts for all revisions
REMEDY: Final = "It is ignored after ten minutes; delete it if its holder is gone."


@dataclass(frozen=True, slots=True)
class Lease:
    """What a lease file says.

    Attributes:
        revisions: that are in use.
        renewed: written again by its holder, while that lives; else it stands until it expires.
        refreshed: when it was written, in milliseconds since the epoch.
        expires: when it does, likewise.
    """

    revisions: tuple[int, ...]
    renewed: bool
    refreshed: int
    expires: int

    def as_json(self) -> Json:
        """The content of the file; host and process are for people."""
        holder = {"host": socket.gethostname(), "pid": os.getpid()}
        return {"format": FORMAT, **asdict(self), "revisions": list(self.revisions), **holder}


class Leased:
    """Called with the name of a target set, gives the revisions that are leased: what a `DirectorySink` asks for.

    Args:
        root: the snapshot directory.
        now: milliseconds since the epoch.
        monotonic: seconds of a clock that does not jump.
    """

    def __init__(
        self,
        root: Path | str,
        now: Callable[[], int] = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._layout = Layout(Path(root))
        self._now, self._monotonic = now, monotonic
        self._seen: dict[Path, tuple[object, float]] = {}  # what each lease said, and since when
        self._told: set[Path] = set()

    def __call__(self, name: str) -> Collection[int]:
        folder = self._layout.of(name).leases
        try:
            with os.scandir(folder) as entries:
                paths = [folder / entry.name for entry in entries if entry.name.endswith(".json")]
        except FileNotFoundError:
            return ()
        except OSError as error:
            self._tell(folder, f"cannot be read ({error.strerror or error})", "Give this user the right to read it.")
            return EVERYTHING
        self._seen = {path: seen for path, seen in self._seen.items() if path.parent != folder or path in paths}
        leased: set[int] = set()
        for path in paths:
            held = self._held(path)
            if held is None:
                return EVERYTHING
            leased.update(held)
        return leased

    def _held(self, path: Path) -> Collection[int] | None:
        """What a lease keeps; None: nobody can tell."""
        try:
            lease = read_lease(path)
        except FileNotFoundError:
            return ()
        except DamagedFileError as error:
            self._tell(path, error.what, error.remedy)
            return None if self._age(path, "damaged") < _UNREADABLE else ()
        except OSError as error:
            self._tell(path, f"cannot be read ({error.strerror or error})", REMEDY)
            return None if self._age(path, "unreadable") < _UNREADABLE else ()
        if self._alive(path, lease):
            return lease.revisions
        try:
            if read_lease(path) == lease:  # not if its holder has just come back
                path.unlink()
        except FileNotFoundError:
            pass
        except (DamagedFileError, OSError) as error:
            self._tell(path, f"has expired, and could not be deleted ({error})", "Delete it.")
        return ()

    def _alive(self, path: Path, lease: Lease) -> bool:
        now = self._now()
        if not lease.renewed:
            return now < lease.expires
        age = self._age(path, lease)
        return lease.refreshed - _DIFFERENCE <= now < lease.expires or age * 1000 < lease.expires - lease.refreshed

    def _age(self, path: Path, content: object) -> float:
        """For how many seconds a file was seen with this content."""
        seen = self._seen.get(path)
        if seen is None or seen[0] != content:
            seen = self._seen[path] = content, self._monotonic()
        return self._monotonic() - seen[1]

    def _tell(self, path: Path, what: str, remedy: str) -> None:
        if path not in self._told:
            self._told.add(path)
            log.warning("the lease %s %s. %s", path, what, remedy)


def read_lease(path: Path) -> Lease:
    """Raises `DamagedFileError`: it is not a whole lease, or not one that this version knows."""
    content = unseal(path, REMEDY)
    try:
        if content["format"] != FORMAT:
            raise ValueError
        numbers = tuple(int(number) for number in content["revisions"])
        return Lease(numbers, bool(content["renewed"]), int(content["refreshed"]), int(content["expires"]))
    except (KeyError, TypeError, ValueError):
        raise DamagedFileError(path, "is not a lease that this version knows", REMEDY) from None
