"""A limit for calls that may hang for ever: when it is over, the process ends, and a new start settles the rest.

The client waits without limit for the answer to a commit that a dying broker took with it, also when the broker is
back. Only another process can go on then. The limit is kept by a thread that needs no interpreter lock: it writes the
Python stacks of all threads to standard error, under the line "Timeout (0:01:00)!", and ends the process with code 1,
without any clean-up. (The threads go on meanwhile; seldom the interpreter crashes over writing them, which ends the
process as well.) Shortly before, the log says in a sentence what is about to happen.
"""

from __future__ import annotations

import faulthandler
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

log = logging.getLogger(__name__)

_STANDARD_ERROR: Final = 2
_NOTICE: Final = 1.0  # seconds between the sentence in the log and the end
_RENEWAL: Final = 0.5  # seconds; arming costs a thread, so that it is not done for every call


class Alarm(Protocol):
    """What ends the process; tests put something else in its place."""

    def arm(self, seconds: float) -> None: ...
    def disarm(self) -> None: ...


class EndOfProcess:
    """The real one."""

    def arm(self, seconds: float) -> None:
        faulthandler.dump_traceback_later(seconds, exit=True, file=_STANDARD_ERROR)

    def disarm(self) -> None:
        faulthandler.cancel_dump_traceback_later()


class Deadline:
    """The limit that is running now."""

    def __init__(self, seconds: float, doing: str, alarm: Alarm) -> None:
        self._seconds = seconds
        self._doing = doing
        self._alarm = alarm
        self._warning: threading.Timer | None = None
        self._armed = 0.0

    def start(self) -> None:
        """The time begins now."""
        self.cancel()
        self._alarm.arm(self._seconds)
        self._armed = time.monotonic()
        self._warning = threading.Timer(max(0.0, self._seconds - _NOTICE), self._warn)
        self._warning.daemon = True
        self._warning.start()

    def renew(self) -> None:
        """There was progress: the time begins anew."""
        if time.monotonic() - self._armed > _RENEWAL:
            self.start()

    def cancel(self) -> None:
        """No limit any more."""
        self._alarm.disarm()
        if self._warning is not None:
            self._warning.cancel()

    def _warn(self) -> None:
        log.error(
            "no progress for %.0f seconds while trying to %s: this process ends with code 1, and a new start settles "
            "what became of it",
            self._seconds,
            self._doing,
        )


_running: list[Deadline] = []  # at most one: there is one timer per process


@contextmanager
def deadline(seconds: float, doing: str, alarm: Alarm | None = None) -> Iterator[Deadline]:
    """End the process when the block has not ended after `seconds`. Blocks do not nest.

    Args:
        doing: completes "while trying to …".
    """
    assert not _running, "deadlines do not nest: there is one timer per process"
    limit = Deadline(seconds, doing, alarm if alarm is not None else EndOfProcess())
    _running.append(limit)
    try:
        limit.start()
        yield limit
    finally:
        limit.cancel()
        _running.clear()
