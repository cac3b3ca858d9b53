"""Slow and obvious versions of all ways to draw a selection: plain lists, Python's sort, no blocks, no screens.

Points are 0 .. n-1. Keys are anything that sorts like the points' keys. `near(i, j)` says whether two points are too
near to each other; none switches spacing off. Results are compared bit for bit with the fast versions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor, isinf

Near = Callable[[int, int], bool] | None


@dataclass
class OracleSample:
    chosen: list[int]
    weights: list[float]
    inclusion: list[float]
    tau: float | None
    short_of_budget: bool
    approximate_inclusion: bool
    truncated_rows: int | None = None


def coordinated(p, u, keys, budget, tokens=None, token_budget=None, near: Near = None) -> OracleSample:
    ranks = [u_j / p_j for u_j, p_j in zip(u, p, strict=True)]
    taken, stopped_by = _walk(_sorted_points(ranks, keys), budget, tokens, token_budget, near)
    tau = None if stopped_by is None else ranks[stopped_by]
    raw = {j: p[j] if tau is None else max(1.0, p[j] * tau) for j in taken}
    total = 0.0
    for j in sorted(taken, key=lambda j: keys[j]):
        total += raw[j]
    weights = [raw[j] / (total / len(taken)) for j in taken]
    inclusion = [1.0 if tau is None else min(1.0, p[j] * tau) for j in taken]
    return OracleSample(taken, weights, inclusion, tau, tau is None, near is not None)


def top(p, keys, budget, tokens=None, token_budget=None, near: Near = None) -> OracleSample:
    order = _sorted_points([-p_j for p_j in p], keys)
    taken, stopped_by = _walk(order, budget, tokens, token_budget, near)
    return OracleSample(taken, [1.0] * len(taken), [1.0] * len(taken), None, stopped_by is None, False)


def multinomial(p, draw: Callable[[int], float], keys, budget, tokens=None, token_budget=None) -> OracleSample:
    """`draw(t)` is the uniform of draw t. Inclusion is computed draw by draw, so it agrees only up to rounding."""
    eligible = [j for j in range(len(p)) if token_budget is None or tokens[j] <= token_budget]
    if not eligible:
        return OracleSample([], [], [], None, True, False)
    eligible.sort(key=lambda j: keys[j])
    sums, total = [], 0.0
    for j in eligible:
        total += p[j]
        sums.append(total)
    counts: dict[int, int] = {}
    draws, used = 0, 0
    while budget is None or draws < budget:
        x = draw(draws) * total
        j = next((j for j, reached in zip(eligible, sums, strict=True) if x < reached), eligible[-1])
        if token_budget is not None:
            used += max(tokens[j], 1)
            if used > token_budget:
                break
        counts[j] = counts.get(j, 0) + 1
        draws += 1
    inclusion = []
    for j in counts:
        missed = 1.0
        for _ in range(draws):
            missed *= 1.0 - p[j] / total
        inclusion.append(1.0 - missed)
    return OracleSample(
        list(counts), [float(c) for c in counts.values()], inclusion, None, False, token_budget is not None
    )


def turns(
    rows: Sequence[Sequence[tuple[float, int]]],
    frontiers: Sequence[float],
    weights: Sequence[float],
    budget: int | None,
    tokens=None,
    token_budget=None,
    near: Near = None,
) -> OracleSample:
    """`rows[i]` lists (squared distance, point) of target i in list order; `frontiers[i]` is infinite if complete."""
    taken: list[int] = []
    left = token_budget
    position = [0] * len(rows)
    ran_out: set[int] = set()

    def excluded(j: int) -> bool:
        if token_budget is not None and tokens[j] > token_budget:
            return True
        return j in taken or (near is not None and any(near(j, k) for k in taken))

    def ask(i: int) -> bool:
        while position[i] < len(rows[i]) and excluded(rows[i][position[i]][1]):
            position[i] += 1
        if position[i] == len(rows[i]):
            ran_out.add(i)
        return i not in ran_out

    t, full = 0, budget == 0
    while not full and len(ran_out) < len(rows):
        t += 1
        part = [
            i
            for i in range(len(rows))
            if floor(t * (weights[i] / max(weights))) > floor((t - 1) * (weights[i] / max(weights)))
            and i not in ran_out
        ]
        visits = sorted((rows[i][position[i]][0], i) for i in part if ask(i))
        for _, i in visits:
            if not ask(i):
                continue
            j = rows[i][position[i]][1]
            if left is not None:
                if tokens[j] > left:
                    full = True
                    break
                left -= tokens[j]
            taken.append(j)
            position[i] += 1
            if len(taken) == budget:
                full = True
                break
    truncated = sum(not isinf(frontiers[i]) for i in ran_out)
    return OracleSample(taken, [1.0] * len(taken), [1.0] * len(taken), None, not full, False, truncated)


def reservoir(points: Sequence[tuple[float, bytes]], size: int) -> list[bytes]:
    """The keys of the smallest (uniform, key) among distinct points."""
    return [key for _, key in sorted(set(points))[:size]]


def _sorted_points(values: Sequence[float], keys) -> list[int]:
    return sorted(range(len(values)), key=lambda j: (values[j], keys[j]))


def _walk(order, budget, tokens, token_budget, near: Near) -> tuple[list[int], int | None]:
    taken: list[int] = []
    left = token_budget
    for j in order:
        if token_budget is not None and tokens[j] > token_budget:
            continue
        if near is not None and any(near(j, k) for k in taken):
            continue
        if len(taken) == budget or (left is not None and tokens[j] > left):
            return taken, j
        taken.append(j)
        if left is not None:
            left -= tokens[j]
    return taken, None
