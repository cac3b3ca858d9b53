"""Leases: files by which readers keep the revisions that they use from being deleted.

A reader writes SET/leases/HOLDER.json before it looks whether a revision is there, and again every minute; the writer
of the directory looks at the leases before and after it takes a revision away, so that none is lost between the two.
What a reader does not write again expires. A checkpoint of a run holds its revisions for as long as it asked for.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import socket
import threading
import uuid
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from tsds_stream.durable import Disk, write_atomically, write_in_one_step
from tsds_stream.sealed import seal
from tsds_stream.streams.clocks import wall_clock
from tsds_stream.streams.leased import Lease

log = logging.getLogger(__name__)

SECONDS: Final = 600.0  # that a reader's lease holds after it was written
_REFRESHES: Final = 10  # within that time
_NOT_OURS: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


class Leases:
    """What one reader of a target set keeps. The lease is renewed by a thread, from the first revision on.

    Where leases cannot be written, that is said once, and reading goes on without.

    Args:
        folder: of the leases of a target set; it is made if need be.
        holder: a name for people who look into the folder.
        seconds: that a lease holds.
        now: milliseconds since the epoch.
    """

    def __init__(
        self,
        folder: Path,
        holder: str | None,
        *,
        seconds: float = SECONDS,
        now: Callable[[], int] = wall_clock,
        disk: Disk | None = None,
    ) -> None:
        name = holder if holder is not None else f"{socket.gethostname()}-{os.getpid()}"
        # Two readers of one name must not take away each other's leases.
        self.path = folder / f"{_fit(name)}-{uuid.uuid4().hex[:8]}.json"
        self._folder, self._seconds, self._now = folder, seconds, now
        self._in_use: Callable[[], Collection[int]] = tuple
        self._disk = disk if disk is not None else Disk()
        self._process = os.getpid()
        self._lock = threading.RLock()  # whoever drops the last revision closes this, in whatever thread that happens
        self._opening: list[int] = []
        self._possible = True
        self._complained = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, in_use: Callable[[], Collection[int]]) -> None:
        """Who tells which revisions are in use."""
        self._in_use = in_use

    def begin(self, number: int) -> None:
        """Write a lease on a revision that is about to be opened; `end` comes when it is in use, or was not found."""
        if not self._here():
            return
        with self._lock:
            self._opening.append(number)
        self.refresh()
        if self._thread is None and self._possible and not self._closing.is_set():
            self._thread = threading.Thread(target=self._run, name=f"lease {self.path.stem}", daemon=True)
            self._thread.start()

    def end(self, number: int) -> None:
        """What is watched tells of the revision from now on."""
        if self._here():
            with self._lock:
                self._opening.remove(number)

    def refresh(self) -> None:
        """Write the lease."""
        if not self._here():
            return
        with self._lock:
            if self._closing.is_set():
                return
            numbers = sorted({*self._opening, *self._in_use()})
            self._write(self.path, numbers, self._seconds, renewed=True)
            if self._closing.is_set():
                self._tried(lambda: self._disk.remove(self.path))

    def hold(self, number: int, name: str, seconds: float) -> None:
        """Keep a revision for so long, also when this process has ended; 0 seconds: let go of it."""
        path = self._folder / f"{_fit(name)}-holds-{number}.json"
        with self._lock:
            if seconds > 0:
                self._write(path, [number], seconds, renewed=False)
            elif self._possible:
                self._tried(lambda: self._disk.remove(path))

    def close(self) -> None:
        """Let go of what is in use, and end the thread; a second call does nothing."""
        self._closing.set()
        if not self._here():
            return
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(10.0)
        with self._lock:
            if self._possible:
                self._tried(lambda: self._disk.remove(self.path))

    def _here(self) -> bool:
        """Whether this is the process that opened the revisions, and not one that was forked from it.

        There the lease is not ours, and a thread that is not there may have held the lock.
        """
        return os.getpid() == self._process

    def _run(self) -> None:
        while not self._closing.wait(self._seconds / _REFRESHES):
            self.refresh()

    def _write(self, path: Path, numbers: list[int], seconds: float, *, renewed: bool) -> None:
        if not self._possible:
            return
        now = self._now()
        lease = Lease(tuple(numbers), renewed, now, now + int(seconds * 1000))
        # After a power cut there are no readers, but there are checkpoints.
        write = write_in_one_step if renewed else write_atomically

        def put() -> None:
            if not self._folder.is_dir():
                self._disk.make_directory(self._folder)
            write(self._disk, path, seal(lease.as_json()))

        self._tried(put)

    def _tried(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            self._possible = error.errno not in _NOT_OURS
            if not self._complained:
                self._complained = True
                log.warning(
                    "revisions in use could not be leased: %s (%s). Nothing keeps the writer from deleting them but "
                    "its keep_revisions: let it keep enough of them, or let this user write there.",
                    self._folder,
                    error.strerror or error,
                )
        else:
            self._complained = False


def _fit(name: str) -> str:
    """A name as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:120].lstrip(".") or "reader"
