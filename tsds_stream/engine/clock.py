"""Time, as the engine sees it: a test brings a clock that it moves itself."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings: the moment for records, and a steady one for intervals."""

    def now(self) -> int:
        """Milliseconds since 1970, as a wall clock shows them."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""


class SystemClock:
    """The clocks of the machine."""

    def now(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()


class Every:
    """Says when something is due again: at most once per `interval` seconds, first after one interval.

    Args:
        share: of all time that it may take; where it takes long, it is due less often.
    """

    def __init__(self, interval: float, clock: Clock, share: float = 1.0) -> None:
        self.interval = interval
        self._clock = clock
        self._share = share
        self._last = clock.monotonic()
        self._pause = interval

    @property
    def wait(self) -> float:
        """Seconds until it is due; 0 when it is."""
        return max(0.0, self._last + self._pause - self._clock.monotonic())

    @property
    def due(self) -> bool:
        return self.wait == 0.0

    def done(self, took: float = 0.0) -> None:
        """It has just happened, and took so many seconds."""
        self._last = self._clock.monotonic()
        self._pause = max(self.interval, took / self._share - took)
