"""A dumb supervisor, as systemd or a container platform is one: whatever the exit code, start again after 0.2 s."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.kafka.forker import Daemon
from tests.patience import PATIENCE

PAUSE = 0.2
NEVER = (2, 3, 5)  # a configuration or an input that cannot work: no fault explains it, no restart helps


@dataclass(frozen=True)
class Exit:
    """How one daemon ended: `said` is what it wrote."""

    began: float
    ended: float
    status: int
    said: str

    @property
    def watchdog(self) -> bool:
        """The watchdog ended it, and left the stacks of all threads."""
        return self.status == 1 and "Timeout (" in self.said

    @property
    def defect(self) -> bool:
        """Nothing that was done to it explains this."""
        return self.status in NEVER or (self.status == 1 and not self.watchdog)

    @property
    def short(self) -> str:
        """One line."""
        last = next((line for line in reversed(self.said.splitlines()) if line.strip()), "it said nothing")
        what = "ended by the watchdog" if self.watchdog else f"status {self.status}"
        return f"{what} after {self.ended - self.began:.1f} s: {last[:300]}"

    def __str__(self) -> str:
        return f"{self.short}\n{self.said[-1500:]}"


class Supervisor:
    """Keeps one daemon running, until it ends in a way that is a defect: `check` tells.

    Args:
        start: starts one.
    """

    def __init__(self, start: Callable[[], Daemon]) -> None:
        self.exits: list[Exit] = []
        self.starts = 0
        self._start = start
        self._stop = threading.Event()
        self._daemon: Daemon | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        """Raises `AssertionError` when the last daemon ended in a way that no fault explains."""
        assert not (self.exits and self.exits[-1].defect), self.exits[-1]

    def daemon(self, timeout: float = PATIENCE) -> Daemon:
        """The daemon that runs now."""
        deadline = time.monotonic() + timeout
        while (daemon := self._daemon) is None or daemon.status is not None:
            self.check()
            assert time.monotonic() < deadline, "no daemon runs"
            time.sleep(0.005)
        return daemon

    def kill(self, number: signal.Signals = signal.SIGKILL) -> Daemon:
        """Send a signal to the daemon that runs now."""
        daemon = self.daemon()
        daemon.signal(number)
        return daemon

    def stop(self, timeout: float = PATIENCE) -> int:
        """SIGTERM, and no new start; the exit status of the last one."""
        daemon = self.daemon()
        self._stop.set()
        daemon.signal(signal.SIGTERM)
        status = daemon.wait(timeout)
        self._thread.join(timeout)
        return status

    def abandon(self) -> None:
        """End it at once, after a test that failed."""
        self._stop.set()
        if self._daemon is not None:
            self._daemon.signal(signal.SIGKILL)
        if self._thread.ident is not None:
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            daemon = self._daemon = self._start()
            self.starts += 1
            if self._stop.is_set():  # `stop` may have missed this one
                daemon.signal(signal.SIGTERM)
            while daemon.status is None:
                with suppress(TimeoutError):
                    daemon.wait(1.0)
            self.exits.append(Exit(daemon.began, daemon.ended, daemon.status, daemon.said()))
            if self.exits[-1].defect:
                return
            if not self._stop.is_set():
                time.sleep(PAUSE)
