"""Whether a selection is the exact one, why not, and what its user should know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tsds_stream.selection.arithmetic import Float32, Float64, squared_distances
from tsds_stream.selection.planning import Problem, Solution
from tsds_stream.selection.revision import Notice
from tsds_stream.selection.sampling import Sample
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.selection.transport import distance_price

_DISTANCE_MARGIN: Final = 1e-9  # square roots round; a point this near to the edge counts as beyond it
_BLOCK: Final = 4096


def rows_are_incomplete(
    problem: Problem,
    solution: Solution,
    config: SelectorConfig,
    sigma: float | None,
    queries: Float32,
    vectors: Float32,
) -> bool:
    """Whether the points that short rows have lost could change the plan.

    `uniform` needs each short row to reach s. `tv` needs its frontier to lie beyond what the plan reaches. `kde` needs,
    in addition to the first, that no missing point can be within sigma of a point whose density was used: every missing
    point of row l is at least f_l from its query, hence at least f_l - d(q_l, x) from x.

    Args:
        queries: (M, d) float32 of the rows; vectors: (size, d) float32 per slot.
    """
    rows = problem.rows
    short = np.flatnonzero(rows.short)
    if not len(short):
        return False
    if bool(solution.truncated[short].any()):
        return True
    if config.regularizer == "tv":
        nearest = np.sqrt(rows.squared[short, 0])
        price = distance_price(float(config.alpha), config.distance_scale)
        return bool((np.sqrt(rows.frontiers[short]) - nearest <= price).any())
    if config.regularizer == "uniform" or not sigma:
        return False
    frontier = np.sqrt(rows.frontiers[short])
    for start in range(0, len(solution.used), _BLOCK):
        used = vectors[solution.used[start : start + _BLOCK]]
        distance = np.sqrt(squared_distances(queries[short], used))
        if bool((frontier[:, None] - distance < sigma + _DISTANCE_MARGIN).any()):
            return True
    return False


def reasons(
    *,
    truncated: bool,
    short: bool,
    provisional: bool,
    approximate: bool,
    saturated: bool,
    capacity: bool,
    count: bool,
) -> tuple[str, ...]:
    """Why a selection is not exact, in a fixed order; empty when it is."""
    found = {
        "truncated": truncated,
        "short": short,
        "provisional": provisional,
        "approximate_density": approximate,
        "saturated": saturated,
        "capacity": capacity,
        "count": count,
    }
    return tuple(name for name, holds in found.items() if holds)


def warnings(
    config: SelectorConfig,
    queries: int,
    sigma: float | None,
    nearest: float | None,
    truncated: int,
    sample: Sample,
    filling_alpha: float | None,
    support: int,
    listed: int,
) -> tuple[Notice, ...]:
    """What a user should know about these settings on this stream, as data and as sentences.

    Args:
        nearest: median distance from a query to its nearest document that is not identical to it.
        truncated: rows that end too early.
        support: points with mass. listed: points on a shortlist.
    """
    notices = []
    takes_turns = config.mode == "turns"
    if not takes_turns and config.regularizer == "kde" and config.alpha == "auto" and config.budget and queries:
        reach = config.spread * config.budget / queries
        if reach < 2:
            notices.append(
                Notice(
                    "density_without_effect",
                    f"spread x budget / targets is {reach:.2g}: each target keeps about one document, so density can "
                    "have no effect; use fewer targets or a larger budget, or regularizer = uniform",
                )
            )
    if nearest == 0 and config.uses_sigma and config.sigma == "auto":
        notices.append(
            Notice(
                "targets_among_documents",
                "there are no documents near the targets but the targets themselves, so sigma = auto is next to "
                "nothing and near-duplicates count as distinct: keep the targets out of the documents, or set sigma",
            )
        )
    elif sigma and nearest is not None and sigma >= nearest and config.uses_sigma:
        harm = (
            "documents no more alike than a target and its nearest one count as copies"
            if config.keeps_sigma_apart
            else "it flattens the target's own density"
        )
        notices.append(
            Notice(
                "sigma_too_wide",
                f"sigma = {sigma:.3g} is not below {nearest:.3g}, the median distance from a target to its nearest "
                f"document: {harm}; 0.65 of that distance is good",
            )
        )
    if truncated:
        before = "the selection, or the plan that is reported with it," if takes_turns else "the plan"
        notices.append(
            Notice("truncated", f"{truncated} shortlists end before {before} does: raise max_k for an exact selection")
        )
    if sample.short_of_budget and len(sample.chosen) != config.budget:
        taken = len(sample.chosen)
        if takes_turns:
            few, advice = _few(taken, listed, "on the shortlists"), _advice_for_turns(sample, listed)
        else:
            few = _few(taken, support, "with mass in the plan")
            if support > taken:  # points were left out because they are too near to others
                advice = "lower min_distance, or " + ("raise spread" if config.alpha == "auto" else "lower alpha")
            else:
                advice = _advice_to_fill(config, truncated > 0, support == listed, filling_alpha)
        notices.append(Notice("short_of_budget", f"{few}: {advice}"))
    if sample.approximate_inclusion:
        notices.append(
            Notice("approximate_inclusion", "inclusion probabilities, and weights made from them, are approximate here")
        )
    return tuple(notices)


def _few(chosen: int, there: int, which: str) -> str:
    if there > chosen:
        return f"only {chosen:,} of {there:,} documents {which} could be taken, fewer than the budget"
    return f"only {chosen:,} {'document is' if chosen == 1 else 'documents are'} {which}, fewer than the budget"


def _advice_for_turns(sample: Sample, listed: int) -> str:
    ways = ["raise max_k"] if sample.truncated_rows else []
    if listed > len(sample.chosen):  # left out because too near to others, or longer than the whole token budget
        ways.insert(0, "lower min_distance")
    return ", or ".join(ways) if ways else "there are no others, apart from copies"


def _advice_to_fill(config: SelectorConfig, truncated: bool, exhausted: bool, filling_alpha: float | None) -> str:
    if exhausted:  # every point that is listed has mass: no plan can give more
        return "the shortlists hold no more; raise max_k" if truncated else "there are no others, apart from copies"
    advice = "raise spread" if config.alpha == "auto" else "lower alpha"
    return advice if filling_alpha is None else f"{advice} (alpha = {filling_alpha:.4g} would fill it)"


def served(solution: Solution, shares: Float64, names: Sequence[str]) -> list[tuple[str, float]]:
    """Per query its name and the mean distance at which its mass is served; worst first."""
    cost = solution.mass.row_costs(len(shares))
    mass = np.bincount(solution.mass.rows, weights=solution.mass.values, minlength=len(shares))
    distances = np.divide(cost, mass, out=np.full(len(shares), np.nan), where=mass > 0).tolist()
    return sorted(zip(names, distances, strict=True), key=lambda pair: (-pair[1], pair[0]))
