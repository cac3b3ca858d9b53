"""A circuit breaker: a server that keeps failing is left alone for a while."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class State(Enum):
    """closed: requests pass; open: none does; half-open: the next one decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitBreaker:
    """Opens after `failures` failures in a row, for `pause` seconds; then one success closes it, one failure opens it.

    Args:
        failures: failures in a row that open it; at least 1.
        pause: seconds that it stays open, unless the server asked for more.
        clock: seconds that only go forward, such as `time.monotonic`.
    """

    def __init__(self, failures: int, pause: float, clock: Callable[[], float]) -> None:
        self._limit = failures
        self._pause = pause
        self._clock = clock
        self._failures = 0
        self._until: float | None = None  # when it is half-open; None: closed

    @property
    def state(self) -> State:
        if self._until is None:
            return State.CLOSED
        return State.OPEN if self._clock() < self._until else State.HALF_OPEN

    @property
    def remaining(self) -> float:
        """Seconds until the next request may be sent."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    def succeeded(self) -> None:
        """The server answered."""
        self._failures = 0
        self._until = None

    def failed(self, retry_after: float = 0.0) -> None:
        """The server did not answer, or asked to be left alone for `retry_after` seconds."""
        self._failures += 1
        if self._until is not None or self._failures >= self._limit:
            self._until = self._clock() + max(self._pause, retry_after)
