"""What a daemon takes of the system, second by second: memory, files, threads, disk."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from benchmarks.kafka.world import Daemon

_INTERVAL = 0.5


class Resources:
    """Samples in a thread while the context lasts."""

    def __init__(self, daemon: Daemon, state: Path) -> None:
        self._process = Path(f"/proc/{daemon.pid}")
        self._measures: dict[str, Callable[[], float]] = {
            "resident MB": self._resident,
            "open files": lambda: len(os.listdir(self._process / "fd")),
            "threads": lambda: len(os.listdir(self._process / "task")),
            "state MB": lambda: _size(state) / 1e6,
        }
        self._samples: dict[str, list[tuple[float, float]]] = {name: [] for name in self._measures}  # (time, value)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Resources:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def take(self, name: str, times: list[float], values: list[float]) -> None:
        """Samples of something else, in seconds since any moment."""
        self._samples[name] = list(zip(times, values, strict=True))

    def most(self, name: str) -> float:
        return max(value for _, value in self._samples[name])

    def growth(self, name: str, last: float = 0.5) -> float:
        """Over the last part of the time, the second half unless told otherwise: by a line through its samples."""
        times, values = self._last(name, last)
        if len(times) < 3:
            return 0.0
        slope = float(np.polyfit(times - times[0], values, 1)[0])
        return slope * float(times[-1] - times[0])

    def summary(self, last: float = 0.5) -> dict[str, Any]:
        """Per measure: the most of every tenth of the time and of all of it, and the growth over its last part."""
        found = {}
        for name, samples in self._samples.items():
            values = [value for _, value in samples]
            tenths = [part.max() for part in np.array_split(values, 10) if len(part)]
            found[name] = {
                "tenths": [round(float(most), 1) for most in tenths],
                "most": round(max(values), 1),
                "growth": round(self.growth(name, last), 2),
            }
        return found

    def _last(self, name: str, last: float) -> tuple[np.ndarray, np.ndarray]:
        samples = self._samples[name]
        part = samples[round(len(samples) * (1 - last)) :]
        return np.array([at for at, _ in part]), np.array([value for _, value in part])

    def _run(self) -> None:
        while not self._over.wait(_INTERVAL):
            with suppress(FileNotFoundError, ProcessLookupError):
                for name, ask in self._measures.items():
                    self._samples[name].append((time.monotonic(), ask()))

    def _resident(self) -> float:
        pages = int((self._process / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _size(folder: Path) -> int:
    """Bytes of all files; those that vanish meanwhile do not count."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total
