"""How fast the transport plan is solved: `python -m benchmarks.plan`.

Each case is solved cold (no hint) and warm (hint of the plan before, weights slightly changed), and the mass is built.
Beside it stands the bare cumulative sum of what the plan uses, twice (weights and costs): no exact method can do less.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tsds_stream.selection.rows import Rows
from tsds_stream.selection.transport import Cost, Volume, solve


def example_rows(queries: int, length: int, points: int, seed: int = 0) -> Rows:
    """Shortlists with the look of real ones: a quick rise, then a slow one; rows share points and differ in density."""
    rng = np.random.default_rng(seed)
    nearest = rng.uniform(0.3, 0.7, (queries, 1))
    steps = rng.exponential(1.0, (queries, length)) / np.arange(10, length + 10)
    distance = nearest + 0.08 * np.cumsum(steps, axis=1)
    shuffled = rng.permutation(points).astype(np.int32)
    first = rng.integers(0, points, (queries, 1))
    numbers = rng.permuted(shuffled[(first + np.arange(length)) % points], axis=1)
    counts = np.full(queries, length, np.int64)
    return Rows(distance**2, numbers, counts, (distance[:, -1] + 0.001) ** 2, length)


def best(action: Callable[[], object], repeats: int = 7) -> float:
    """Least wall time of several runs in milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times) * 1000


def measure() -> dict[str, list[dict[str, Any]]]:
    """One list of rows per shape; times in milliseconds."""
    results: dict[str, list[dict[str, Any]]] = {}
    for queries, length, points, reaches in (
        (1000, 5000, 200_000, (60, 180, 560, 800, 1400, 2900)),
        (256, 1024, 90_000, (60, 250, 500)),
    ):
        rows = example_rows(queries, length, points)
        rng = np.random.default_rng(1)
        weights = 1.0 / rng.uniform(1.0, 3.0, points)
        later = weights * rng.uniform(0.999, 1.001, points)
        shares = np.ones(queries)
        order = rng.permutation(points)
        table = results[f"{queries} x {length}"] = []
        for reach in reaches:
            s = float(np.median(np.cumsum(weights[rows.points[:, :reach]], axis=1)[:, -1]))
            bare = np.ascontiguousarray(rows.squared[:, :reach])
            bare_ms = 2 * best(partial(np.cumsum, bare, axis=1))
            for name in ("cost", "volume"):
                goal = _goal(name, rows, weights, shares, order, s)
                plan = solve(rows, weights, shares, goal)
                table.append(
                    {
                        "goal": name,
                        "mean reach": float(plan.reach.mean()),
                        "largest reach": int(plan.reach.max()),
                        "cold ms": best(partial(solve, rows, weights, shares, goal)),
                        "warm ms": best(partial(solve, rows, later, shares, goal, plan.hint)),
                        "mass ms": best(plan.mass),
                        "two cumsums ms": bare_ms,
                    }
                )
    return results


def _goal(name: str, rows: Rows, weights: Any, shares: Any, order: Any, s: float) -> Cost | Volume:
    """The goal whose answer lies near s."""
    mass = np.cumsum(weights[rows.points], axis=1)
    if name == "cost":
        gaps = np.diff(np.sqrt(rows.squared), axis=1)
        return Cost(float((np.where(mass <= s, mass, 0.0)[:, :-1] * gaps).sum()))
    least = np.full(len(weights), np.inf)
    np.minimum.at(least, rows.points[:, 1:], mass[:, :-1])
    least[rows.points[:, 0]] = 0.0
    return Volume(float(np.clip(s - least, 0.0, weights).sum()), order)


def main() -> None:
    """Print the tables."""
    for shape, table in measure().items():
        print(f"\n{shape}")
        print(f"{'goal':8}{'mean/max reach':>18}{'cold':>9}{'warm':>9}{'mass':>9}{'2 cumsums':>11}{'warm/cumsums':>14}")
        for row in table:
            reach = f"{row['mean reach']:.0f} / {row['largest reach']}"
            ratio = row["warm ms"] / row["two cumsums ms"]
            print(
                f"{row['goal']:8}{reach:>18}{row['cold ms']:9.1f}{row['warm ms']:9.1f}{row['mass ms']:9.1f}"
                f"{row['two cumsums ms']:11.1f}{ratio:14.1f}"
            )


if __name__ == "__main__":
    main()
