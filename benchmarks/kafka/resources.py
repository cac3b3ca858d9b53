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
        self._samples: list[tuple[float, dict[str, float]]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Resources:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def most(self, name: str) -> float:
        return max(values[name] for _, values in self._samples)

    def growth(self, name: str) -> float:
        """Over the second half, by a straight line through its samples."""
        times, values = self._second_half(name)
        if len(times) < 3:
            return 0.0
        slope = float(np.polyfit(times - times[0], values, 1)[0])
        return slope * float(times[-1] - times[0])

    def summary(self) -> dict[str, Any]:
        """Per measure: at a quarter, half, and the end of the time, the most, and the growth over the second half."""
        found = {}
        for name in self._measures:
            values = [one[name] for _, one in self._samples]
            places = {"a quarter": len(values) // 4, "half": len(values) // 2, "the end": len(values) - 1}
            found[name] = {
                **{when: round(values[place], 1) for when, place in places.items()},
                "most": round(max(values), 1),
                "growth": round(self.growth(name), 2),
            }
        return found

    def _second_half(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        half = self._samples[len(self._samples) // 2 :]
        return np.array([at for at, _ in half]), np.array([values[name] for _, values in half])

    def _run(self) -> None:
        while not self._over.wait(_INTERVAL):
            with suppress(FileNotFoundError, ProcessLookupError):
                self._samples.append((time.monotonic(), {name: ask() for name, ask in self._measures.items()}))

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
