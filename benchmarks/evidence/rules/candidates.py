"""The candidates: turns with targets that were moved, and turns that prefer what many targets want."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Final

import numpy as np

from benchmarks.evidence.rules.playing import played
from tsds_stream.comparison.methods import method_of
from tsds_stream.comparison.neighbours import AllNeighbours, squared_distances_to
from tsds_stream.comparison.pool import Pool, Targets
from tsds_stream.comparison.task import Method, Task
from tsds_stream.selection.arithmetic import Float64, Int64, canonical

_SPREAD: Final = 3.0  # a target's reach, in documents per document that it will take
_OUT_OF_REACH: Final = 1e6


@dataclass(frozen=True)
class Moved:
    """Another method, asked for other targets: q + near · (mean of its nearest other targets) + every · (mean of all
    targets) - away · (mean of the documents seen so far when sigma is frozen), scaled to unit length.

    A function of the targets and of a mean that is taken once, so whatever holds for the method (function of the set,
    stability, exactness) holds for the moved targets, too. The near-copy distance stays that of the targets as given.
    """

    method: Method
    near: float = 0.0
    every: float = 0.0
    away: float = 0.0
    neighbours: int = 5
    needs_texts: bool = False

    @property
    def about(self) -> str:
        """In a few words."""
        return f"targets moved; then {self.method.about}"

    def select(self, task: Task) -> Int64:
        """See `Method.select`."""
        targets = moved(task.targets, self.directions(task.targets, task.pool, task.config.calibration))
        neighbours = AllNeighbours(task.pool, targets)
        return self.method.select(replace(task, targets=targets, neighbours=neighbours, _selectors={}))

    def directions(self, targets: Targets, pool: Pool, calibration: int) -> Float64:
        """(M, d) float64: by what each target is moved."""
        wide = targets.vectors.astype(np.float64)
        by = self.every * wide.mean(0) - self.away * pool.vectors[:calibration].astype(np.float64).mean(0)
        count = min(self.neighbours, len(targets) - 1)
        if self.near == 0 or count == 0:
            return np.broadcast_to(by, wide.shape)
        products = wide @ wide.T
        np.fill_diagonal(products, -np.inf)
        others = np.argsort(-products, axis=1, kind="stable")[:, :count]  # ties by target id
        directions: Float64 = by + self.near * wide[others].mean(1)
        return directions


def moved(targets: Targets, by: Float64) -> Targets:
    """The same number of targets at other places."""
    given = (targets.vectors + by).astype(np.float32)
    points = canonical(given)
    return replace(targets, given=given, vectors=points)


@dataclass(frozen=True)
class Turns:
    """The product's turns, by the plain code of these experiments."""

    about: str = "targets take turns, near-copies apart"
    needs_texts: bool = False

    def select(self, task: Task) -> Int64:
        """See `Method.select`."""
        return played(task, squared_distances_to(task.pool, task.targets), task.near_copy)


@dataclass(frozen=True)
class ScoredTurns:
    """Turns in which a target takes, among the documents in its reach, the one that most targets want most.

    The reach of a target is its nearest `_SPREAD` times its share of the budget, of a pool without near-copies. A
    document's score is the sum over the targets that reach it of log(1 + 1/k), for the k-th nearest of a target.
    """

    about: str = "targets take turns by score within their reach"
    needs_texts: bool = False

    def select(self, task: Task) -> Int64:
        """See `Method.select`."""
        documents = task.budget / max(float(task.pool.tokens.mean()), 1.0)
        reach = min(ceil(_SPREAD * documents / len(task.targets)), len(task.pool))
        lists = task.neighbours.lists(reach).points[:, :reach].astype(np.int64)
        gain = np.broadcast_to(np.log1p(1.0 / np.arange(1, lists.shape[1] + 1)), lists.shape)
        score = np.bincount(lists.ravel(), gain.ravel(), len(task.pool))
        keys = squared_distances_to(task.pool, task.targets) + _OUT_OF_REACH
        np.put_along_axis(keys, lists, -score[lists], 1)
        return played(task, keys, task.near_copy)


SMOOTHED: Final = "turns, smoothed targets"
CONTRASTED: Final = "turns, contrasted targets"
BOTH: Final = "turns, smoothed and contrasted"
SIMPLE: Final = "dedup+round_robin, smoothed and contrasted"
SCORED: Final = "turns by score"

WITH_COPIES: Final[dict[str, Method]] = {
    "kde": method_of("kde"),
    "turns": method_of("turns"),
    SMOOTHED: Moved(Turns(), near=0.5),
    CONTRASTED: Moved(Turns(), every=1.0, away=1.0),
    BOTH: Moved(Turns(), near=1.0, away=1.0),
}
WITHOUT_COPIES: Final[dict[str, Method]] = {  # asked after near-copies were removed
    "dedup+round_robin": method_of("round_robin"),
    SIMPLE: Moved(method_of("round_robin"), near=1.0, away=1.0),
    SCORED: ScoredTurns(),
}
