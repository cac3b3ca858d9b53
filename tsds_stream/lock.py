"""One writer at a time: an advisory lock on a file, let go by the operating system when its holder dies."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import Final

_TRIES: Final = 25
_PAUSE: Final = 0.01  # seconds


class LockedError(Exception):
    """Somebody else holds the lock; the message says who."""


class WriterLock:
    """An exclusive lock on `path`, held from construction until `close`.

    Args:
        path: the lock file; it is made if need be and never removed (removing it would let two holders in).
        what: what is locked, for the message.

    Raises:
        LockedError: another process, or another `WriterLock` of this one, holds it.
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not _taken(self._descriptor):
            holder = os.pread(self._descriptor, 1000, 0).decode(errors="replace").strip() or "another process"
            os.close(self._descriptor)
            raise LockedError(
                f"{what} has a writer already: {holder}. Stop it first, or give this one another directory."
            )
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        except BaseException:
            os.close(self._descriptor)
            raise

    def close(self) -> None:
        """Let go; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> WriterLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _taken(descriptor: int) -> bool:
    """Whether the lock could be had; those who only ask for its holder keep it for a moment, and are waited for."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sleep(_PAUSE)
        else:
            return True
    return False


def holder_of(path: Path) -> str | None:
    """Who holds the lock on `path`, as in "process 4711 on a-host"; None: nobody, or there is no such file.

    Asking takes the lock for a moment where it is free, together with others who ask.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 1000, 0).decode(errors="replace").strip() or "another process"
    finally:
        os.close(descriptor)
    return None
