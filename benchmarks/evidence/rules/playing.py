"""Turns of the targets, where each orders the documents by any keys: for experiments, plain and slow."""

from __future__ import annotations

from typing import Final

import numpy as np

from tsds_stream.comparison.task import Task
from tsds_stream.selection.arithmetic import Float64, Int64

_FIRST: Final = 128  # entries of a row to begin with


def played(task: Task, keys: Float64, radius: float) -> Int64:
    """Rows of the pool in the order in which the targets take them.

    What `tsds_stream.selection.turns` does with equal weights of the targets, except that a target prefers small keys
    and not small distances.

    Args:
        keys: (M, n) float64; ties are decided by the place in key order.
        radius: what lies nearer than this to a taken document is left out.
    """
    depth = min(_FIRST, len(task.pool))
    while True:
        taken = _played(task, keys, _nearest(task, keys, depth), radius)
        if taken is not None:
            return taken
        depth = min(4 * depth, len(task.pool))


def _nearest(task: Task, keys: Float64, depth: int) -> Int64:
    """(M, depth) documents with the smallest keys of each row, in order."""
    found = np.empty((len(keys), depth), np.int64)
    for row, values in enumerate(keys):
        near = np.flatnonzero(values <= np.partition(values, depth - 1)[depth - 1])
        found[row] = near[np.lexsort((task.pool.rank[near], values[near]))[:depth]]
    return found


def _played(task: Task, keys: Float64, lists: Int64, radius: float) -> Int64 | None:
    """The same from the beginnings of the rows; none when one of them is asked for more."""
    pool, least = task.pool, 1.0 - 0.5 * radius * radius
    out = ~pool.eligible(task.budget)
    vectors = np.empty((len(pool) if len(pool) < 4096 else 4096, pool.vectors.shape[1]))
    compared = np.zeros(len(pool), np.int64)  # with how many of the taken ones
    taken: list[int] = []
    place = np.zeros(len(lists), np.int64)
    left = task.budget
    ended = np.zeros(len(lists), np.bool_)

    def excluded(point: int) -> bool:
        if not out[point] and compared[point] < len(taken):
            some = vectors[compared[point] : len(taken)]
            # Norms of canonical rows differ from 1 by less than 2^-20, so this threshold is good to that.
            out[point] = bool((some @ pool.vectors[point].astype(np.float64)).max() > least)
            compared[point] = len(taken)
        return bool(out[point])

    def move(row: int) -> bool:
        """Whether the row has a point left in sight."""
        entries = lists[row]
        while place[row] < len(entries) and excluded(int(entries[place[row]])):
            place[row] += 1
        ended[row] = place[row] == len(entries)
        return not ended[row]

    while True:
        waiting = [row for row in range(len(lists)) if not ended[row] and move(row)]
        if ended.any() and lists.shape[1] < len(pool):
            return None
        if not waiting:
            return np.array(taken, np.int64)
        waiting.sort(key=lambda row: keys[row, lists[row, place[row]]])
        for row in waiting:
            if not move(row):
                if lists.shape[1] < len(pool):
                    return None
                continue
            point = int(lists[row, place[row]])
            left -= int(pool.tokens[point])
            if left < 0:
                return np.array(taken, np.int64)
            if len(taken) == len(vectors):
                vectors = np.concatenate([vectors, np.empty_like(vectors)])
            vectors[len(taken)] = pool.vectors[point]
            taken.append(point)
            out[point] = True
