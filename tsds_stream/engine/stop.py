"""How the engine is asked to leave, and how long it may take."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tsds_stream.engine.clock import Clock
from tsds_stream.exit_status import ExitStatus


class Stop:
    """A request to leave that any thread may make, and every waiting thread notices.

    A handler of signals may make it, too, wherever it has interrupted the main thread: nothing in `request` waits. (It
    would wait for ever in `threading.Event`, where the main thread had its lock in order to wait.)
    """

    def __init__(self) -> None:
        self.reason = ""
        self._unasked = [None]  # emptied by the first who asks
        self._gate = threading.Lock()  # held until then
        self._gate.acquire()

    @property
    def requested(self) -> bool:
        return not self._unasked

    def request(self, reason: str) -> None:
        """Ask to leave after the present batch is finished, published and checkpointed."""
        self.reason = self.reason or reason
        try:
            self._unasked.pop()
        except IndexError:
            return
        self._gate.release()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether leaving was asked for."""
        if not self.requested and self._gate.acquire(timeout=max(seconds, 0.0)):
            self._gate.release()  # for the next one who waits
        return self.requested


class Deadline:
    """A time budget that all steps of a shutdown share, so that their sum is bounded and not each of them.

    The clock is monotonic: a wall clock that is set while the engine leaves neither shortens nor prolongs it.
    None as `seconds` is a deadline that never comes.
    """

    def __init__(self, seconds: float | None, clock: Clock) -> None:
        self._clock = clock
        self._end = None if seconds is None else clock.monotonic() + seconds

    @property
    def remaining(self) -> float | None:
        """Seconds left, never negative; None: no limit."""
        return None if self._end is None else max(0.0, self._end - self._clock.monotonic())

    @property
    def passed(self) -> bool:
        return self.remaining == 0.0


@contextmanager
def stop_on_signals(stop: Stop) -> Iterator[None]:
    """SIGTERM or SIGINT asks to leave; a second one leaves at once, which loses nothing: a restart settles the rest.

    Outside the main thread, where Python cannot take signals, this does nothing.
    """

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            os._exit(ExitStatus.INTERRUPTED)  # no clean-up: every thread may be in the middle of anything
        stop.request(signal.Signals(number).name)

    with _handled(ask):
        yield


@contextmanager
def leave_on_signals() -> Iterator[None]:
    """While everything is still being opened, SIGTERM or SIGINT leaves at once: nothing has begun.

    The first process of a container ignores signals that it has no handler for, and a broker may be long in answering.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        os._exit(ExitStatus.OK)

    with _handled(leave):
        yield


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
