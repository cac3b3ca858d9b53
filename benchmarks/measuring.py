"""Clocks, memory and the machine: what every benchmark needs to say beside its figures."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info


@dataclass(frozen=True)
class Timing:
    """Seconds: wall, and processor time of all threads of this process."""

    wall: float
    cpu: float

    def __truediv__(self, other: Timing) -> float:
        """How many times longer than the other, by wall time."""
        return self.wall / other.wall

    def as_dict(self) -> dict[str, float]:
        return {"wall": round(self.wall, 4), "cpu": round(self.cpu, 4)}


class Stopwatch:
    """Adds up the time spent inside `with watch:`."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> Stopwatch:
        self._started = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter() - self._started[0]
        self.cpu += time.process_time() - self._started[1]

    @property
    def timing(self) -> Timing:
        return Timing(self.wall, self.cpu)


def timed(action: Callable[[], Any]) -> tuple[Timing, Any]:
    """How long an action took, and its result."""
    with Stopwatch() as watch:
        result = action()
    return watch.timing, result


def best(action: Callable[[], object], repeats: int = 3) -> Timing:
    """The fastest of several runs."""
    return min((timed(action)[0] for _ in range(repeats)), key=lambda timing: timing.wall)


@dataclass
class Memory:
    """Bytes of memory that is this process's own (no mapped files, no code): at the start, and the most since."""

    before: int
    most: int

    @property
    def added(self) -> float:
        """Megabytes above the start."""
        return (self.most - self.before) / 2**20


def own_memory() -> int:
    """Bytes of anonymous memory (Linux: RssAnon)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise OSError("this system does not tell anonymous memory apart")


@contextmanager
def watched_memory(interval: float = 0.02) -> Iterator[Memory]:
    """Look at the memory every few milliseconds."""
    memory = Memory(own_memory(), own_memory())
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(interval):
            memory.most = max(memory.most, own_memory())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield memory
    finally:
        ended.set()
        watcher.join()
        memory.most = max(memory.most, own_memory())


@dataclass
class Stalls:
    """The longest times for which another thread could not run, in seconds."""

    gaps: list[float] = field(default_factory=list)

    @property
    def longest(self) -> float:
        return max(self.gaps, default=0.0)


@contextmanager
def watched_stalls(beat: float = 0.001) -> Iterator[Stalls]:
    """A second thread that wakes every millisecond and notes by how much it was late."""
    stalls = Stalls()
    ended = threading.Event()

    def watch() -> None:
        last = time.perf_counter()
        while not ended.is_set():
            time.sleep(beat)
            now = time.perf_counter()
            stalls.gaps.append(now - last - beat)
            last = now

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield stalls
    finally:
        ended.set()
        watcher.join()


def load() -> float:
    """Processes that wanted a core, averaged over the last minute."""
    return round(os.getloadavg()[0], 1)


def machine() -> dict[str, Any]:
    """Processor, cores and libraries."""
    model = ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        model = next((line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line), "")
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": [
            f"{library['internal_api']} {library['version']}, {library['num_threads']} threads" for library in blas
        ],
    }
