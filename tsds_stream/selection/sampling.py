"""A selection from the probabilities of the transport plan: coordinated, largest first, or with replacement.

All functions see the support only: arrays over the n points with p > 0. A result is a function of the set of points;
the order of the arrays does not matter. `budget` counts documents and `token_budget` tokens; at least one is given, and
the first one reached ends the selection. A point with more tokens than the whole token budget is not eligible: it is
treated as if it were not in the support.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tsds_stream.selection.arithmetic import (
    Bool,
    Float64,
    Int64,
    UInt64,
    counted_uniforms,
    key_order,
)
from tsds_stream.selection.spacing import Exclusions, Remembered, Spacing

_BLOCK: Final = 256  # points looked at together; changes the speed, never the result


@dataclass(frozen=True)
class Sample:
    """What was taken.

    Attributes:
        chosen: (k,) int64 indices of the points, in the order in which they were taken; no point stands twice.
        weights: (k,) float64. Coordinated: `published_weights`, mean 1. Multinomial: how often each was drawn. Else 1.
        inclusion: (k,) float64 probability with which each was taken; 1 where the mode draws nothing at random.
        tau: threshold of the ranks (coordinated only): the rank of the first point that did not fit; none when there
            was no such point, which is τ = infinity.
        short_of_budget: the points ran out before a point was met that did not fit. A support of exactly `budget`
            points is flagged too (nothing was left to choose from); `turns` stops when the budget is full, so there a
            full budget is never flagged.
        approximate_inclusion: inclusion (and the weights made from it) is approximate: points were left out because
            they were too near to others, or the number of draws depended on the draws (multinomial, token budget).
        truncated_rows: turns only: incomplete rows that were asked for a point beyond their end; exact iff 0.
        remembered: turns only: distances that the next draw need not compare.
    """

    chosen: Int64
    weights: Float64
    inclusion: Float64
    tau: float | None
    short_of_budget: bool
    approximate_inclusion: bool
    truncated_rows: int | None = None
    remembered: Remembered | None = field(default=None, repr=False)


def coordinated(
    p: Float64,
    u: Float64,
    words: UInt64,
    budget: int | None,
    tokens: Int64 | None = None,
    token_budget: int | None = None,
    spacing: Spacing | None = None,
) -> Sample:
    """The smallest ranks u/p: probability proportional to size without replacement, stable when p moves a little.

    This is priority sampling (Duffield, Lund, Thorup, J. ACM 2007), a bottom-k sketch. Points are walked by (rank, key)
    up to the first that does not fit; τ is its rank. Then π = min(1, p·τ), and Σ max(p, 1/τ)·f over the sample is an
    unbiased estimate of Σ p·f over the eligible points, under a document budget, a token budget or both. Reason: given
    the other ranks, let i be the first of the others that would no longer fit beside point j; then j is taken iff its
    rank is below that of i, and in that case τ is the rank of i. (Going on after a document that does not fit, to fill
    the rest with shorter ones, would break this.) When everything fits, π = 1 and τ is none.

    Args:
        p: (n,) float64, positive; only ratios matter.
        u: (n,) float64 fixed uniforms in (0, 1) of the points.
        words: (n, 2) uint64 `key_words`.
        tokens: (n,) int64, not negative; needed for a token budget.
        spacing: leave out, in rank order, what is too near to something taken; vectors aligned with p. τ is then the
            rank of the first point that was not left out and did not fit, and inclusion is approximate.

    Raises:
        ValueError: neither budget is given, tokens are missing, or a p is not positive and finite.
    """
    _check(p, budget, tokens, token_budget)
    ranks = u / p
    taken, stopped_by = _walk(_order(ranks, words), budget, tokens, token_budget, spacing)
    tau = None if stopped_by is None else float(ranks[stopped_by])
    return Sample(
        chosen=taken,
        weights=published_weights(p[taken], tau, words[taken]),
        inclusion=inclusion_probabilities(p[taken], tau),
        tau=tau,
        short_of_budget=tau is None,
        approximate_inclusion=spacing is not None,
    )


def top(
    p: Float64,
    words: UInt64,
    budget: int | None,
    tokens: Int64 | None = None,
    token_budget: int | None = None,
    spacing: Spacing | None = None,
) -> Sample:
    """The largest p first, ties by key, up to the first point that does not fit. Arguments as in `coordinated`."""
    _check(p, budget, tokens, token_budget)
    taken, stopped_by = _walk(_order(-p, words), budget, tokens, token_budget, spacing)
    ones = np.ones(len(taken))
    return Sample(taken, ones, ones.copy(), None, stopped_by is None, approximate_inclusion=False)


def multinomial(
    p: Float64,
    words: UInt64,
    seed: int,
    name: str,
    budget: int | None,
    tokens: Int64 | None = None,
    token_budget: int | None = None,
) -> Sample:
    """Independent draws with replacement, proportional to p: what the published batch code does. Not stable.

    Draw t takes the point j, in key order, with P_j-1 <= u_t · P_n < P_j, where P are the sequential partial sums of p
    and u_t = `counted_uniforms(seed, name)[t]`. There are `budget` draws. Under a token budget each draw costs the
    tokens of its point, repeats included (a document of weight 3 is read three times), and at least one token so that
    the draws end; the first draw that does not fit ends them. Spacing has no meaning here.

    Returns:
        A sample in order of first draw, with weight = count and inclusion = 1 - (1 - p_j / Σp)^draws.
    """
    _check(p, budget, tokens, token_budget)
    eligible = _eligible(len(p), tokens, token_budget)
    order = key_order(words)
    order = order[eligible[order]]
    if len(order) == 0:
        return Sample(order, np.empty(0), np.empty(0), None, short_of_budget=True, approximate_inclusion=False)
    sums = np.cumsum(p[order])
    count = _BLOCK if budget is None else budget
    while True:
        uniforms = counted_uniforms(seed, name, count)
        draws = order[np.minimum(np.searchsorted(sums, uniforms * sums[-1], side="right"), len(order) - 1)]
        if token_budget is None or tokens is None:
            break
        fitting = int(np.searchsorted(np.cumsum(np.maximum(tokens[draws], 1)), token_budget, side="right"))
        if fitting < count or budget is not None:
            draws = draws[:fitting]
            break
        count *= 2
    chosen, first, counts = np.unique(draws, return_index=True, return_counts=True)
    by_first = np.argsort(first)
    chosen = chosen[by_first].astype(np.int64)
    return Sample(
        chosen=chosen,
        weights=counts[by_first].astype(np.float64),
        inclusion=_at_least_once(p[chosen] / sums[-1], len(draws)),
        tau=None,
        short_of_budget=False,
        approximate_inclusion=token_budget is not None,
    )


def inclusion_probabilities(p: Float64, tau: float | None) -> Float64:
    """π = min(1, p·τ), for points of the sample or others; all 1 when τ is none (infinite)."""
    return np.ones(len(p)) if tau is None else np.minimum(1.0, p * tau)


def published_weights(p: Float64, tau: float | None, words: UInt64) -> Float64:
    """max(1, p·τ) of the points of a sample, normalised to mean 1; in the limit τ = none (infinite) that is p.

    Proportional to max(p, 1/τ), so a weighted mean over the sample estimates the mean under p. The sum is taken
    sequentially in key order.
    """
    if len(p) == 0:
        return np.empty(0)
    weights = p if tau is None else np.maximum(1.0, p * tau)
    total = np.cumsum(weights[key_order(words)])[-1]
    scaled: Float64 = weights / (total / len(weights))
    return scaled


def _check(p: Float64, budget: int | None, tokens: Int64 | None, token_budget: int | None) -> None:
    if len(p) and not (np.isfinite(p).all() and (p > 0).all()):
        raise ValueError("probabilities must be positive and finite: pass the support only")
    check_budgets(budget, tokens, token_budget)


def check_budgets(budget: int | None, tokens: Int64 | None, token_budget: int | None) -> None:
    """Raise ValueError unless a budget is given, and tokens with a token budget."""
    if budget is None and token_budget is None:
        raise ValueError("give budget or token_budget (or both)")
    if token_budget is not None and tokens is None:
        raise ValueError("token_budget needs the tokens of every point")


def _eligible(n: int, tokens: Int64 | None, token_budget: int | None) -> Bool:
    if tokens is None or token_budget is None:
        return np.ones(n, np.bool_)
    eligible: Bool = tokens <= token_budget
    return eligible


def _order(values: Float64, words: UInt64) -> Int64:
    order = key_order(words)
    return order[np.argsort(values[order], kind="stable")]


def _walk(
    order: Int64, budget: int | None, tokens: Int64 | None, token_budget: int | None, spacing: Spacing | None
) -> tuple[Int64, int | None]:
    """The points taken in this order, and the first one that did not fit (none if there was none)."""
    order = order[_eligible(len(order), tokens, token_budget)[order]]
    if spacing is not None:
        return _walk_apart(order, budget, tokens, token_budget, spacing)
    count = len(order) if budget is None else min(budget, len(order))
    if tokens is not None and token_budget is not None:
        count = min(count, int(np.searchsorted(np.cumsum(tokens[order]), token_budget, side="right")))
    return order[:count], int(order[count]) if count < len(order) else None


def _walk_apart(
    order: Int64, budget: int | None, tokens: Int64 | None, token_budget: int | None, spacing: Spacing
) -> tuple[Int64, int | None]:
    exclusions = Exclusions(np.zeros(len(spacing.norms), np.bool_), spacing)
    left = token_budget
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        exclusions.watch(block)
        for point in block[~exclusions.out[block]].tolist():
            if exclusions.out[point]:  # since the block was begun
                continue
            cost = 0 if tokens is None else int(tokens[point])
            if len(exclusions.taken) == budget or (left is not None and cost > left):
                return np.array(exclusions.taken, np.int64), point
            exclusions.take(point)
            if left is not None:
                left -= cost
    return np.array(exclusions.taken, np.int64), None


def _at_least_once(p: Float64, draws: int) -> Float64:
    """1 - (1 - p)^draws by repeated doubling of q = 1 - (1 - p)^k: no power function, no cancellation at small p."""
    result, q = np.zeros(len(p)), p
    while draws:
        if draws & 1:
            result = result + q - result * q
        q = q + q - q * q
        draws >>= 1
    return result
