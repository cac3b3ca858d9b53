"""Caps on the sphere: targets of a known mix, and the optimal transport plan by a linear program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.evidence.trials import DEFAULTS, SEED, Trial
from tsds_stream.comparison.near_copies import near_copy_distance
from tsds_stream.comparison.pool import Pool, Targets
from tsds_stream.comparison.task import Task
from tsds_stream.selection.arithmetic import Float32, Float64, Int64, canonical, squared_distances
from tsds_stream.selection.selector import Selector
from tsds_stream.selection.settings import Regularizer, SelectorConfig

MIX: Final = (0.5, 0.3, 0.2)  # of the targets
_POOLED: Final = (1, 2, 4)  # documents of the caps in the pool, in proportion: other than those of the targets
_IN_CAPS: Final = 0.2  # of the pool; the rest is anywhere on the sphere
_DIMENSION: Final = 64
_WIDTH: Final = 0.6  # a member's distance from the axis, before it is made a unit vector
_WIDE: Final = 1.0  # a kernel that reaches a cap's other members, so that densities differ
_HELD_OUT: Final = 300


def cap_trial(seed: int, documents: int, targets: int, budget: int) -> Trial:
    """Targets of three caps in the shares of MIX; a pool with the same caps in other shares, and much else."""
    random = np.random.default_rng((SEED, seed))
    axes, _ = np.linalg.qr(random.standard_normal((_DIMENSION, len(MIX))))

    def members(counts: list[int]) -> Float32:
        centres = np.repeat(axes.T, counts, axis=0)
        return _beside(centres, random)

    def examples(number: int) -> Targets:
        vectors = members([round(number * share) for share in MIX])
        return Targets.of([f"{row:05d}" for row in range(len(vectors))], vectors)

    asked, unseen = examples(targets), examples(_HELD_OUT)
    counts = [round(_IN_CAPS * documents * part / sum(_POOLED)) for part in _POOLED]
    others = random.standard_normal((documents - sum(counts), _DIMENSION)).astype(np.float32)
    vectors = np.concatenate([members(counts), others])
    domains = np.concatenate([np.repeat(np.arange(len(MIX)), counts), np.full(len(others), len(MIX))])
    arrival = random.permutation(len(vectors))
    pool = Pool.of([f"{row:06d}" for row in range(len(arrival))], vectors[arrival], np.ones(len(arrival), np.int64))
    near_copy = near_copy_distance(pool, asked, DEFAULTS.calibration)
    task = Task.of(pool, asked, budget, near_copy, seed)
    return Trial(task, unseen, np.arange(len(pool)), domains[arrival], np.array([*MIX, 0.0]))


def _beside(centres: Float64, random: np.random.Generator) -> Float32:
    noise = random.standard_normal(centres.shape) / np.sqrt(centres.shape[1])
    members: Float32 = (centres + _WIDTH * noise).astype(np.float32)
    return members


@dataclass(frozen=True)
class Optimum:
    """The product's plan beside the least that a linear program finds.

    Attributes:
        excess: of the plan's objective over the least, relative.
        difference: total variation between the two distributions over documents.
    """

    excess: float
    difference: float


def against_linear_program(seed: int, regularizer: Regularizer, documents: int, targets: int, budget: int) -> Optimum:
    """A small pool, of which nothing is cut off.

    The program knows the embeddings, sigma and alpha, and nothing of how the product computes: it minimises
    alpha Σ γ_ij d_ij + (1 - alpha) G with Σ_j γ_ij = 1/M, γ >= 0 and M ρ_j γ_ij <= G.
    """
    task = cap_trial(seed, documents, targets, budget).task
    config = SelectorConfig(regularizer=regularizer, budget=budget, max_k=documents, sigma=_WIDE)
    selector = Selector(task.targets.given, config, task.targets.ids)
    selector.add(task.pool.ids, task.pool.vectors, canonical=True)
    revision = selector.refresh()
    assert revision is not None
    assert revision.alpha is not None
    assert revision.s is not None
    assert revision.transport_cost is not None
    plan = np.zeros(documents)
    ids, mass = selector.probabilities()
    plan[[int(name) for name in ids]] = mass

    if regularizer == "kde":
        squared = squared_distances(task.pool.vectors, task.pool.vectors)
        density = np.maximum(0.0, 1.0 - squared / _WIDE**2).sum(1)
    else:
        density = np.ones(documents)
    distances = np.sqrt(squared_distances(canonical(task.targets.given), task.pool.vectors))
    least, best = _least(distances, density, revision.alpha)
    found = revision.alpha * revision.transport_cost + (1 - revision.alpha) / revision.s
    return Optimum(found / least - 1, 0.5 * float(np.abs(plan - best).sum()))


def _least(distances: Float64, density: Float64, alpha: float) -> tuple[float, Float64]:
    """The least objective and the mass of every document."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    targets, documents = distances.shape
    n = targets * documents
    entry: Int64 = np.arange(n)
    bound = coo_array(
        (np.r_[np.tile(targets * density, targets), -np.ones(n)], (np.r_[entry, entry], np.r_[entry, np.full(n, n)]))
    )
    rows = coo_array((np.ones(n), (entry // documents, entry)), shape=(targets, n + 1))
    done = linprog(
        np.r_[alpha * distances.ravel(), 1 - alpha],
        A_ub=bound, b_ub=np.zeros(n), A_eq=rows, b_eq=np.full(targets, 1 / targets), method="highs-ipm",
    )  # fmt: skip
    if done.status:
        raise ArithmeticError(f"the linear program was not solved: {done.message}")
    return float(done.fun), done.x[:n].reshape(targets, documents).sum(0)
