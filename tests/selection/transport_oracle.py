"""The transport plan by its definition, in plain Python over lists: slow, obvious, and the same bits.

Nothing here knows NumPy. Python's floats are the float64 of the promise; `+` from left to right is the sequential sum.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, sqrt

Row = Sequence[tuple[float, int]]  # (squared distance, point number), ascending by (squared distance, key)


@dataclass
class OraclePlan:
    s: float | None
    phi: float | None
    reached: bool
    reach: list[int]
    truncated: list[bool]
    gamma: list[tuple[int, int, float]]  # row, column, mass > 0
    p: list[float]
    cost: float


def query_shares(target_weights: Sequence[float]) -> list[float]:
    return [w * len(target_weights) / _sum(target_weights) for w in target_weights]


def volume(s: float, least: Sequence[float], weights: Sequence[float], order: Sequence[int], factors=None) -> float:
    """V(s): points by ascending key."""
    return _sum(min(max(s - least[j], 0.0), weights[j]) * (1.0 if factors is None else factors[j]) for j in order)


def least_mass_in_front(rows: Sequence[Row], weights: Sequence[float], points: int) -> list[float]:
    """T_j = min_i S_i,k−1."""
    least = [inf] * points
    for row in rows:
        front = 0.0
        for _, j in row:
            least[j] = min(least[j], front)
            front += weights[j]
    return least


def plan(
    rows: Sequence[Row],
    frontiers: Sequence[float],
    max_k: int,
    weights: Sequence[float],
    shares: Sequence[float],
    threshold: float | None = None,
    volume_target: float | None = None,
    order: Sequence[int] = (),
    factors: Sequence[float] | None = None,
) -> OraclePlan:
    """`kde` (weights m/ρ) and `uniform` (weights m): `threshold` is M·λ; `volume_target` is for alpha = auto.

    Args:
        rows: at most max_k entries each.
        frontiers: squared distance of the nearest point ever left out of the row; inf: none was, the row is complete.
        weights: by point number; only listed points are read.
        order: point numbers by ascending key.
    """
    rows = [row[:max_k] for row in rows]
    mass: list[list[float]] = []  # S_ik
    cost: list[list[float]] = []  # partial sums of S_ik (d_i,k+1 − d_ik)
    for row, frontier in zip(rows, frontiers, strict=True):
        short = len(row) < max_k and frontier < inf
        distances = [sqrt(d2) for d2, _ in row]
        after = [*distances[1:], sqrt(frontier) if short else distances[-1]] if row else []
        mass.append(_running([weights[j] for _, j in row]))
        cost.append(_running([s * (b - a) for s, a, b in zip(mass[-1], distances, after, strict=True)]))

    def phi(s: float) -> float:
        reach = [bisect_right(row, s) for row in mass]
        return _sum(a * (c[k - 1] if k else 0.0) for a, c, k in zip(shares, cost, reach, strict=True))

    goal: Callable[[float], float]
    if threshold is not None:
        goal, target = phi, threshold
    else:
        assert volume_target is not None
        least = least_mass_in_front(rows, weights, len(weights))
        goal, target = lambda s: volume(s, least, weights, order, factors), volume_target

    complete = [frontier == inf and len(row) > 0 for row, frontier in zip(rows, frontiers, strict=True)]
    cap = min((row[-1] for row, whole in zip(mass, complete, strict=True) if whole), default=inf)
    breakpoints = sorted({s for row in mass for s in row})
    found = [s for s in breakpoints if s <= cap and goal(s) >= target][:1]
    s = found[0] if found else min(cap, breakpoints[-1])

    gamma = []
    for i, row in enumerate(mass):
        before = 0.0
        for k, now in enumerate(row):
            c = min(s, row[-1])
            value = shares[i] / len(shares) * ((min(now, c) - min(before, c)) / c)
            before = now
            if value > 0:
                gamma.append((i, k, value))
    truncated = [
        len(row) > 0 and not whole and (row[-1] < s or (not found and not any(complete)))
        for row, whole in zip(mass, complete, strict=True)
    ]
    reach = [bisect_right(row, s) for row in mass]
    return _finished(rows, len(weights), s, phi(s), bool(found), reach, truncated, gamma)


def total_variation(
    rows: Sequence[Row],
    frontiers: Sequence[float],
    max_k: int,
    multiplicities: Sequence[int],
    shares: Sequence[float],
    price: float,
    documents: int,
) -> OraclePlan:
    """`tv`: `price` is λ, `documents` is N."""
    rows = [row[:max_k] for row in rows]
    gamma, reach, truncated = [], [], []
    for i, (row, frontier) in enumerate(zip(rows, frontiers, strict=True)):
        distances = [sqrt(d2) for d2, _ in row]
        near = [k for k in range(len(row)) if distances[k] - distances[0] <= price]
        elsewhere = sum(multiplicities[row[k][1]] for k in near[1:])
        for k in near:
            m = documents - elsewhere if k == 0 else multiplicities[row[k][1]]
            gamma.append((i, k, shares[i] / len(shares) * (m / documents)))
        end = sqrt(frontier) if len(row) < max_k else (distances or [0.0])[-1]
        reach.append(len(near))
        truncated.append(bool(row) and frontier < inf and end - distances[0] <= price)
    return _finished(rows, len(multiplicities), None, None, True, reach, truncated, gamma)


def effective_sample_size(p: Sequence[float], order: Sequence[int]) -> float:
    return 1.0 / _sum(p[j] * p[j] for j in order)


def _finished(rows, points, s, phi, reached, reach, truncated, gamma) -> OraclePlan:
    p = [0.0] * points
    for i, k, value in gamma:
        p[rows[i][k][1]] += value
    cost = _sum(value * sqrt(rows[i][k][0]) for i, k, value in gamma)
    return OraclePlan(s, phi, reached, reach, truncated, gamma, p, cost)


def _running(values: Sequence[float]) -> list[float]:
    out, total = [], 0.0
    for value in values:
        total += value
        out.append(total)
    return out


def _sum(values) -> float:
    total = 0.0  # not `sum`, which compensates from Python 3.12 on
    for value in values:
        total += value
    return total
