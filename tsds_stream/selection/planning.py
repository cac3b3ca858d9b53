"""From shortlists to probabilities: the transport plan with densities settled only where the plan looks.

Solving needs weights m/ρ, and a density costs a product with all indexed points. Any positive guess serves for a point
whose density is unknown: if every entry that shaped the plan was known, the plan is the exact one; otherwise those
densities are settled and the plan is solved again. A handful of rounds suffices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsds_stream.selection.arithmetic import Bool, Float64, Int64, UInt64, key_order
from tsds_stream.selection.density import Density
from tsds_stream.selection.mass import Mass, effective_sample_size
from tsds_stream.selection.ragged import ragged
from tsds_stream.selection.rows import Rows
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.selection.total_variation import solve_total_variation
from tsds_stream.selection.transport import Cost, Goal, Hint, Plan, Volume, distance_price, query_shares, solve

_FORGET_BEYOND = 1.25  # settled points beyond this multiple of the reach (and 16 more) in every row are let go


@dataclass(frozen=True)
class Problem:
    """Everything that the plan is a function of.

    Attributes:
        rows: shortlists of the active queries that have a point.
        weights: (M,) float64 target weights of these rows.
        multiplicities: (size,) int64 per slot; words: (size, 2) uint64 keys.
        listed: (k,) int64 slots on the rows (the candidates).
        tokens: (size,) int64 tokens of each listed point's representative, under a token budget.
        documents: live documents, for `tv`.
    """

    rows: Rows
    weights: Float64
    multiplicities: Int64
    words: UInt64
    listed: Int64
    tokens: Int64 | None
    documents: int

    def ordered(self) -> Int64:
        """(k,) listed slots in key order."""
        return self.listed[key_order(self.words[self.listed])]


@dataclass(frozen=True)
class Solution:
    """The plan and what follows from it.

    Attributes:
        mass: the entries of the plan; probabilities: (size,) float64 per slot.
        support: (k,) int64 slots with mass, in key order.
        used: (k,) int64 slots whose density the plan used.
        s, alpha, hint: of the plan (none under `tv`); truncated: (M,) bool; rounds: solves until all was settled.
    """

    mass: Mass
    probabilities: Float64
    support: Int64
    used: Int64
    s: float | None
    alpha: float | None
    truncated: Bool
    reach: Int64
    rounds: int
    hint: Hint | None
    effective_sample_size: float | None


def plan(problem: Problem, config: SelectorConfig, density: Density | None, hint: Hint | None) -> Solution:
    """Solve the transport problem of the configured regularizer.

    Args:
        density: of `kde` with sigma > 0, its index up to date; None otherwise.
    """
    shares = query_shares(problem.weights)
    if config.regularizer == "tv":
        return _total_variation(problem, config, shares)
    solved, rounds = _settled(problem, shares, _goals(problem, config), density, hint)
    alpha = solved.implied_alpha(config.distance_scale) if config.alpha == "auto" else config.alpha
    used = np.empty(0, np.int64)
    if density is not None:
        used = np.flatnonzero(_within(problem.rows, solved.entries, len(problem.multiplicities)))
    mass = solved.mass()
    return _solution(problem, mass, used, solved.s, alpha, solved.truncated, solved.reach, rounds, solved.hint)


def filling_alpha(problem: Problem, config: SelectorConfig, density: Density | None) -> float | None:
    """The numeric alpha whose volume would fill the budget; None when the shortlists cannot."""
    if config.regularizer == "tv":
        return None
    shares = query_shares(problem.weights)
    # Without a density a weight is the number of copies. A selection takes each point once, so it counts them once.
    once = None if density is not None else 1.0 / np.maximum(problem.multiplicities, 1)
    solved, _ = _settled(problem, shares, _volumes(problem, config, 1.0, once), density, None)
    return solved.filling_alpha(config.distance_scale)


def _goals(problem: Problem, config: SelectorConfig) -> list[Goal]:
    if config.alpha != "auto":
        return [Cost.of(config.alpha, config.distance_scale, len(problem.rows.counts))]
    return _volumes(problem, config, config.spread)


def _volumes(problem: Problem, config: SelectorConfig, spread: float, factors: Float64 | None = None) -> list[Goal]:
    """One goal per budget: the first one reached ends, as it ends the selection."""
    order = problem.ordered()
    goals: list[Goal] = []
    if config.budget is not None:
        goals.append(Volume(spread * config.budget, order, factors))
    if config.token_budget is not None and problem.tokens is not None:
        tokens = problem.tokens.astype(np.float64)
        goals.append(Volume(spread * config.token_budget, order, tokens if factors is None else tokens * factors))
    return goals


def _solve(problem: Problem, weights: Float64, shares: Float64, goals: list[Goal], hint: Hint | None) -> Plan:
    return min((solve(problem.rows, weights, shares, goal, hint) for goal in goals), key=lambda plan: plan.s)


def _settled(
    problem: Problem, shares: Float64, goals: list[Goal], density: Density | None, hint: Hint | None
) -> tuple[Plan, int]:
    """Solve until every density that shaped the plan is known."""
    multiplicities = problem.multiplicities.astype(np.float64)
    if density is None:
        return _solve(problem, multiplicities, shares, goals, hint), 1
    rounds = 0
    while True:
        rounds += 1
        settled = density.settled[: len(multiplicities)]
        known = np.flatnonzero(settled)
        weights = np.ones(len(multiplicities))
        if len(known):
            weights[known] = multiplicities[known] / density.values(known)
            weights[~settled] = np.median(weights[known])
        solved = _solve(problem, weights, shares, goals, hint)
        missing = solved.unsettled(settled)
        if not len(missing):
            return solved, rounds
        density.settle(missing)
        hint = solved.hint


def _within(rows: Rows, entries: Int64, size: int) -> Bool:
    """(size,) bool: slots on the first entries[i] positions of some row i."""
    marked = np.zeros(size, np.bool_)
    i, k = ragged(entries)
    marked[rows.points[i, k]] = True
    return marked


def let_go(rows: Rows, solution: Solution, density: Density) -> None:
    """Stop maintaining the densities of points far beyond the reach of a plan."""
    near = np.minimum((solution.reach * _FORGET_BEYOND).astype(np.int64) + 16, rows.counts)
    keep = _within(rows, near, len(density.settled))
    density.unsettle(np.flatnonzero(density.settled & ~keep))


def _total_variation(problem: Problem, config: SelectorConfig, shares: Float64) -> Solution:
    if config.alpha == "auto":
        raise ValueError('regularizer = "tv" needs a numeric alpha')
    price = distance_price(config.alpha, config.distance_scale)
    held = int(problem.multiplicities.sum())
    solved = solve_total_variation(problem.rows, problem.multiplicities, shares, price, max(problem.documents, held))
    nothing = np.empty(0, np.int64)
    return _solution(
        problem, solved.mass(), nothing, None, config.alpha, solved.truncated, solved.reach, 1, None
    )  # fmt: skip


def _solution(
    problem: Problem,
    mass: Mass,
    used: Int64,
    s: float | None,
    alpha: float | None,
    truncated: Bool,
    reach: Int64,
    rounds: int,
    hint: Hint | None,
) -> Solution:
    probabilities = mass.probabilities(len(problem.multiplicities))
    support = np.flatnonzero(probabilities)
    support = support[key_order(problem.words[support])]
    size = effective_sample_size(probabilities, support)
    return Solution(mass, probabilities, support, used, s, alpha, truncated, reach, rounds, hint, size)
