"""Thresholds hold what the false alarm rate promises, on streams whose neighbours are alike too."""

from __future__ import annotations

import numpy as np
import pytest

from tsds_stream.monitoring.stream_drift.calibration import Aim, block_length, thresholds
from tsds_stream.monitoring.stream_drift.measures import JENSEN_SHANNON, MEAN_DISTANCE, MMD, PSI, WASSERSTEIN

WINDOWS = {"short": 10, "long": 50}
HORIZON = 300


def aim(probability: float = 0.05, horizon: int = HORIZON) -> Aim:
    return Aim(WINDOWS, horizon, probability, seed=0)


def chunks(n: int, seed: int, memory: float = 0.0, features: int = 12) -> np.ndarray:
    """Normal, each `memory` times the one before, and of unit variance."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((n, features))
    for k in range(1, n):
        rows[k] = memory * rows[k - 1] + (1 - memory**2) ** 0.5 * rows[k]
    return rows


def shares(rows: np.ndarray) -> np.ndarray:
    powers = np.exp(0.5 * rows[:, :4])
    return powers / powers.sum(1, keepdims=True)


def farthest(rows: np.ndarray, centre: np.ndarray, measure, size: int) -> float:
    sums = np.concatenate([np.zeros((1, rows.shape[1])), rows.cumsum(0)])
    return float(measure.function((sums[size:] - sums[:-size]) / size, centre).max())


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("measure", [MEAN_DISTANCE, WASSERSTEIN, JENSEN_SHANNON, PSI], ids=lambda m: m.name)
def test_unchanged_streams_rarely_cross(measure, memory):
    crossed, seeds = {"short": 0, "long": 0}, 20
    for seed in range(seeds):
        rows = chunks(100 + 50 + HORIZON, seed, memory)
        rows = shares(rows) if measure.shares else rows
        found = thresholds(rows[:100], measure, aim())
        for name, size in WINDOWS.items():
            crossed[name] += farthest(rows[100:], rows[:100].mean(0), measure, size) > found[name]
    assert max(crossed.values()) <= 4  # of 20 at 5%: more in 3 of 1,000 cases


@pytest.mark.parametrize(("memory", "lengths"), [(0.0, {1, 2}), (0.5, {2, 4, 8}), (0.9, {4, 8})])
def test_blocks_are_longer_where_neighbours_are_more_alike(memory, lengths):
    assert {block_length(chunks(200, seed, memory, features=40)) for seed in range(6)} <= lengths


def test_thresholds_are_higher_for_rarer_alarms_longer_promises_and_smaller_windows():
    rows = chunks(100, 1)
    usual = thresholds(rows, MMD, aim())
    assert usual["short"] > usual["long"]
    for harder in (aim(probability=0.001), aim(horizon=30_000)):
        found = thresholds(rows, MMD, harder)
        assert all(found[name] > usual[name] for name in WINDOWS)


def test_thresholds_are_higher_where_neighbours_are_alike():
    alone, alike = (thresholds(chunks(200, 1, memory), MMD, aim()) for memory in (0.0, 0.8))
    assert all(alike[name] > 1.3 * alone[name] for name in WINDOWS)


def test_thresholds_are_a_function_of_the_baseline():
    rows = chunks(100, 1)
    assert thresholds(rows, MMD, aim()) == thresholds(rows.copy(), MMD, aim())


def test_equal_chunks_leave_no_doubt():
    assert thresholds(np.ones((60, 3)), MMD, aim()) == {"short": 0.0, "long": 0.0}
