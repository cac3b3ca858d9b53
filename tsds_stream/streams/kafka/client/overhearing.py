"""What the library only logs: why a login failed. It is kept for messages, and told to nobody else."""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from typing import Final

_TELLING: Final = re.compile(r"sasl|ssl|tls|certificate|authenti|credential|authoriz", re.IGNORECASE)
_IDLE: Final = re.compile(r"in the clear")  # a remark on every login without TLS, which says nothing of its outcome
_PASSING: Final = re.compile(
    r"EOF|reset by peer|broken pipe|disconnected|timed out", re.IGNORECASE
)  # a connection that ended under TLS: also when a broker dies
_PAUSE: Final = 60.0  # seconds until the same error is passed on again: while a broker is away they repeat for ever

log = logging.getLogger("tsds_stream.kafka")


class _Ear(logging.Handler):
    """Keeps what tells why a connection failed; passes errors on, each kind once a minute."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: deque[tuple[float, str]] = deque(maxlen=50)
        self._passed: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        now, message = time.monotonic(), record.getMessage()
        if _TELLING.search(message) and not _IDLE.search(message):
            self.heard.append((now, message))
        if record.levelno >= logging.ERROR and now - self._passed.get(record.name, -_PAUSE) >= _PAUSE:
            self._passed[record.name] = now
            log.warning("the client library says: %s", message)


_EAR: Final = _Ear()
_LIBRARY: Final = logging.getLogger("kafka")
_LIBRARY.addHandler(_EAR)
_LIBRARY.setLevel(logging.WARNING)
_LIBRARY.propagate = False


def overheard(since: float) -> str | None:
    """The last thing that the library said about logins and certificates after `since` (seconds, monotonic); what may
    pass only where nothing else was said."""
    said = [message for moment, message in list(_EAR.heard) if moment >= since]
    lasting = [message for message in said if not may_pass(message)]
    heard = lasting or said
    return heard[-1] if heard else None


def may_pass(said: str) -> bool:
    """Whether what was overheard is also said while a broker is merely away."""
    return _PASSING.search(said) is not None
