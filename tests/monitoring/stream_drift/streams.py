"""Streams of made-up documents, in bursts around topics."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

import numpy as np

from tsds_stream.monitoring.stream_drift import DriftOptions, Reference, StreamDrift

SMALL = DriftOptions(warmup=20, baseline=500, short_window=50, long_window=200)
DIMENSION = 8


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def topics(count: int, seed: int = 99) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((count, DIMENSION)))


def documents(n: int, seed: int, burst: int = 1, centres: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and lengths; every burst of documents is about one topic and of one length, nearly."""
    random = np.random.default_rng(seed)
    centres = topics(6) if centres is None else centres
    starts = random.random(n) < 1 / burst
    starts[0] = True
    which = np.cumsum(starts) - 1
    about = random.integers(len(centres), size=which[-1] + 1)[which]
    usual = random.normal(6, 0.5, which[-1] + 1)[which]
    lengths = np.exp(usual + random.normal(0, 0.3, n)).astype(np.int64)
    return unit(centres[about] + 0.4 * random.standard_normal((n, DIMENSION))), lengths


def reference(count: int = 5, seed: int = 7) -> Reference:
    return Reference(topics(count, seed), [f"group {k % 2}" for k in range(count)])


def make(options: DriftOptions = SMALL, **sets: Reference) -> StreamDrift:
    return StreamDrift(options, DIMENSION, sets or {"task": reference()})


def watching(**sets: Reference) -> StreamDrift:
    """A drift that has its baseline, and empty windows."""
    if not sets:
        return deepcopy(_watching_usual())
    drift = make(**sets)
    drift.add(*documents(SMALL.warmup + SMALL.baseline_documents, seed=0), now_ms=1000)
    return drift


@cache
def _watching_usual() -> StreamDrift:
    return watching(task=reference())
