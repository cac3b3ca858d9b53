"""The newest status document, and answers made of it that many clients ask for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

if TYPE_CHECKING:
    from tsds_stream.records import Json


_FRESH: Final = 1.0  # seconds that an answer with ages in it is given again


class Snapshot(NamedTuple):
    """A status document.

    Attributes:
        number: which one it is since this process began, from 1.
        received: when, by the monotonic clock in seconds.
    """

    status: Json
    number: int
    received: float


class Newest:
    """Holds the newest document; one thread puts, any number of threads look.

    Args:
        clock: monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._snapshot: Snapshot | None = None

    def put(self, document: bytes) -> None:
        """Take a document as it was sent. Raises `orjson.JSONDecodeError` for anything else."""
        before = self._snapshot
        self._snapshot = Snapshot(orjson.loads(document), 1 if before is None else before.number + 1, self._clock())

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest; None: none has come yet."""
        return self._snapshot

    @property
    def waiting(self) -> float:
        """Seconds since the newest came, or since the beginning where none has."""
        snapshot = self._snapshot
        return self._clock() - (self._began if snapshot is None else snapshot.received)


class Kept:
    """Answers that are made once per document, however many clients ask at the same time.

    Args:
        newest: where documents come from.
        clock: monotonic, in seconds.
    """

    def __init__(self, newest: Newest, clock: Callable[[], float] = monotonic) -> None:
        self._newest = newest
        self._clock = clock
        self._lock = threading.Lock()
        self._made: dict[Hashable, tuple[int, float, bytes]] = {}

    def get(self, key: Hashable, make: Callable[[Json | None], bytes]) -> bytes:
        """The answer `key` for the newest document, not older than a second, since ages in it grow.

        Args:
            key: one of few.
            make: called with the document, or None before there is one.
        """
        with self._lock:
            snapshot, now = self._newest.snapshot, self._clock()
            number = 0 if snapshot is None else snapshot.number
            found = self._made.get(key)
            if found is None or found[0] != number or now - found[1] > _FRESH:
                body = make(None if snapshot is None else snapshot.status)
                found = self._made[key] = number, now, body
            return found[2]
