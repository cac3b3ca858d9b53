"""A log that writes a few lines a minute: how much is written must not be up to clients."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

from tsds_stream.logs import Log

_LINES: Final = 10
_PERIOD: Final = 60.0  # seconds


class CalmLog:
    """Passes lines on to another log, and drops what is too much.

    Args:
        clock: monotonic, in seconds.
    """

    def __init__(self, log: Log, clock: Callable[[], float] = monotonic) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._until = 0.0
        self._left = 0
        self._dropped = 0

    def debug(self, event: str, /, **fields: object) -> None:
        """As `Log`."""
        self._pass(self._log.debug, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """As `Log`."""
        self._pass(self._log.info, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """As `Log`."""
        self._pass(self._log.warning, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """As `Log`."""
        self._pass(self._log.error, event, fields)

    def _pass(self, write: Callable[..., None], event: str, fields: dict[str, object]) -> None:
        with self._lock:
            now = self._clock()
            if now >= self._until:
                if self._dropped:
                    fields = {**fields, "lines_dropped": self._dropped}
                self._until, self._left, self._dropped = now + _PERIOD, _LINES, 0
            if not self._left:
                self._dropped += 1
                return
            self._left -= 1
        write(event, **fields)


class Forwarder(logging.Handler):
    """Hands what a library tells Python's logging to a log, as "status server"."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        more = {} if error is None else {"error": str(error)[:500], "kind": type(error).__name__}
        self._log.warning("status server", message=record.getMessage()[:500], **more)
