"""How a selection divides: by target group against what was asked, and by source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tsds_stream.records import Json
from tsds_stream.selection.arithmetic import Float64, Int32, Int64

_SOURCES = 10


def shares(weights: Float64, numbers: Int32 | Int64, count: int) -> Float64 | None:
    """(count,) parts of the weight by number, of those with a number ≥ 0, summing to 1; None without any."""
    known = numbers >= 0
    sums = np.bincount(numbers[known], weights=weights[known], minlength=count)
    total = float(sums.sum())
    return sums / total if total > 0 else None


def group_document(
    labels: Sequence[str], asked: Float64, target: Int32, weights: Float64
) -> tuple[list[Json], float | None]:
    """What was asked and what was selected per group, largest first, and the total variation between the two.

    Args:
        labels: (M,) group of each target; asked: (M,) weights of the targets.
        target: (n,) nearest target of each member; weights: (n,) of the members.
    """
    names = sorted(set(labels))
    number = {name: k for k, name in enumerate(names)}
    of_target = np.array([number[label] for label in labels], np.int64)
    wanted = shares(asked, of_target, len(names))
    known = target >= 0
    got = shares(weights[known], of_target[target[known]], len(names))
    if wanted is None:
        return [], None
    order = sorted(range(len(names)), key=lambda k: (-wanted[k], names[k]))
    groups: list[Json] = [
        {"group": names[k], "asked": float(wanted[k]), "selected": None if got is None else float(got[k])}
        for k in order
    ]
    return groups, None if got is None else float(0.5 * np.abs(wanted - got).sum())


def source_document(sources: Sequence[str], source: Int32, weights: Float64) -> tuple[list[Json], float | None]:
    """The ten largest sources, and the Herfindahl index Σ share² over all: 1 is a single one, 1/k are k equal ones."""
    parts = shares(weights, source, len(sources))
    if parts is None:
        return [], None
    order = np.argsort(-parts, kind="stable")[:_SOURCES]
    largest: list[Json] = [{"source": sources[k], "share": float(parts[k])} for k in order.tolist() if parts[k] > 0]
    return largest, float(np.square(parts).sum())
