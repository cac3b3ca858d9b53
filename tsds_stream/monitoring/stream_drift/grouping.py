"""Groups of targets: those that are named, or clusters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from tsds_stream.selection.arithmetic import Float32, Int64

MOST_GROUPS: Final = 32
OTHER: Final = "other"
_ROUNDS: Final = 25
_LONGEST: Final = 200  # characters of a name


def group_targets(
    ids: Sequence[str],
    vectors: Float32,
    groups: Mapping[str, str | None],
    most: int = 8,
    seed: int = 0,
) -> list[str]:
    """One label per target, at most 32 different ones.

    Where any target has a named group, labels are these names, and "other" for targets without one and for the smallest
    groups beyond 31. Otherwise they are clusters of the targets, "cluster 1" being the largest. They are a function of
    the set of targets, whatever its order.

    Args:
        ids: distinct. vectors: (M, d) float32 rows of unit length.
        groups: name of the group by target id.
        most: clusters.
        seed: of the first centres.
    """
    named = [shortened(groups.get(name)) for name in ids]
    if not any(named):
        order = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)
        labels = np.empty(len(ids), np.int64)
        labels[order] = _clusters(np.asarray(vectors, np.float64)[order], most, seed)
        return [f"cluster {label + 1}" for label in labels]
    sizes = Counter(name for name in named if name)
    kept = [name for name, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))]
    if len(kept) + (None in named or "" in named) > MOST_GROUPS:
        kept = kept[: MOST_GROUPS - 1]
    return [name if name in set(kept) else OTHER for name in (name or OTHER for name in named)]


def shortened(group: str | None) -> str | None:
    """The name of a group, no longer than can be shown."""
    return group if group is None or len(group) <= _LONGEST else f"{group[: _LONGEST - 1]}…"


def _clusters(vectors: np.ndarray, most: int, seed: int) -> Int64:
    """Spherical k-means from k-means++ centres; (M,) numbers, 0 is the largest cluster, ties by the first member."""
    if not len(vectors):
        return np.zeros(0, np.int64)
    centres = _first_centres(vectors, most, np.random.default_rng(seed))
    members = (vectors @ centres.T).argmax(1)
    for _ in range(_ROUNDS):
        for k in np.unique(members):
            total = vectors[members == k].sum(0)
            centres[k] = total / max(float(np.linalg.norm(total)), 1e-12)
        moved = (vectors @ centres.T).argmax(1)
        if (moved == members).all():
            break
        members = moved
    _, first, numbers, sizes = np.unique(members, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(sizes), np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    return rank[numbers.reshape(-1)]


def _first_centres(vectors: np.ndarray, most: int, random: np.random.Generator) -> np.ndarray:
    """Rows far from one another; fewer than `most` where there are fewer different ones."""
    centres = [vectors[int(random.integers(len(vectors)))]]
    while len(centres) < most:
        gaps = np.maximum(0.0, 2.0 - 2.0 * (vectors @ np.array(centres).T).max(1))
        gaps[gaps < 1e-6] = 0.0
        if not gaps.any():
            break
        centres.append(vectors[int(random.choice(len(vectors), p=gaps / gaps.sum()))])
    return np.array(centres)
