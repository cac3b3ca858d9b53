"""What a selector can say of the state it has last solved, besides the selection: mass, densities, how it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tsds_stream.selection.arithmetic import Float64, Int64, UInt64, squared_distances
from tsds_stream.selection.core import Core
from tsds_stream.selection.density import Density, ExactDensity
from tsds_stream.selection.graph_density import GraphDensity
from tsds_stream.selection.revising import Outcome

_FIRST_COLUMNS = 32  # of a shortlist: nearly every target has a selected document there
_MOST_PAIRS = 1 << 18  # distances computed for targets without one on their shortlists


@dataclass(frozen=True)
class Standing:
    """Plain numbers about the index and the plan, of the last selection that was computed.

    Attributes:
        kind: of the index of densities; "none" where the regularizer uses no density.
        indexed: points in it; settled: those whose density is maintained; saturated: of these, those that have more
            than `kde_k` neighbours; tombstones: removed points that still take room in a graph.
        candidates: distinct points on the shortlists.
        rounds: plans solved until every density that shaped the plan was known.
        mean_reach: points that a target's mass reaches, on average.
        shortlist_deficit: entries that short rows lack, in all.
        weight_spread: standard deviation of the weights of the selection, whose mean is 1.
    """

    kind: Literal["none", "exact", "hnsw"] = "none"
    indexed: int = 0
    settled: int = 0
    candidates: int = 0
    saturated: int = 0
    tombstones: int = 0
    rounds: int = 0
    mean_reach: float = 0.0
    shortlist_deficit: int = 0
    weight_spread: float = 0.0


def standing_of(core: Core, outcome: Outcome | None) -> Standing:
    """Without solving anything; all zero before the first selection."""
    if outcome is None:
        return Standing()
    density, problem, solution, sample = outcome.density, outcome.problem, outcome.solution, outcome.sample
    short = core.short_rows()
    return Standing(
        kind=_kind(density),
        indexed=0 if density is None else int(np.count_nonzero(density.counted)),
        settled=0 if density is None else int(np.count_nonzero(density.settled)),
        candidates=0 if problem is None else len(problem.listed),
        saturated=0 if density is None else density.saturated,
        tombstones=density.statistics.tombstones if isinstance(density, GraphDensity) else 0,
        rounds=0 if solution is None else solution.rounds,
        mean_reach=0.0 if solution is None else float(solution.reach.mean()),
        shortlist_deficit=int((core.max_k - core.pool.lists.counts[short]).sum()),
        weight_spread=0.0 if sample is None or not len(sample.weights) else float(sample.weights.std()),
    )


def _kind(density: Density | None) -> Literal["none", "exact", "hnsw"]:
    return "none" if density is None else "exact" if isinstance(density, ExactDensity) else "hnsw"


def mass_of(core: Core, outcome: Outcome) -> tuple[UInt64, Float64]:
    """(n,) uint64 first word of the key and (n,) float64 p of every point with mass, in key order."""
    if outcome.solution is None:
        return np.empty(0, np.uint64), np.empty(0)
    support = outcome.solution.support
    return core.pool.store.words[support, 0], outcome.solution.probabilities[support]


def named_mass(core: Core, outcome: Outcome) -> tuple[list[str], Float64]:
    """The same by id: every document with mass, ids ascending, (n,) float64 p."""
    if outcome.solution is None:
        return [], np.empty(0)
    support = outcome.solution.support
    names = [core.pool.store.representative(slot) for slot in support.tolist()]
    order = sorted(range(len(names)), key=names.__getitem__)
    return [names[k] for k in order], outcome.solution.probabilities[support[order]]


def nearest_selected(core: Core, outcome: Outcome, named: int) -> tuple[Float64, dict[int, str | None]]:
    """How far the nearest selected document is from each active target, found on the ordered shortlists.

    Where none of a target's shortlist is selected, all selected points are looked at; should there be too many such
    targets for that, the last entry of the shortlist stands in: the nearest selected document is no nearer.

    Args:
        named: how many of the targets, the farthest ones, get the id of that document.

    Returns:
        (M,) float64 distances, nan where nothing is selected; and by target row the id, None where it is not known.
    """
    lists, store = core.pool.lists, core.pool.store
    chosen = np.empty(0, np.int64) if outcome.sample is None else outcome.sample.chosen
    squared, nearest = np.full(len(lists), np.nan), np.full(len(lists), -1, np.int64)
    if not len(chosen):
        return squared, {}
    selected = np.zeros(store.size, np.bool_)
    selected[chosen] = True
    width = int(lists.counts.max(initial=0))
    rows = np.arange(len(lists))
    for columns in (min(_FIRST_COLUMNS, width), width):
        listed = lists.slots[rows, :columns]
        hit = selected[listed] & (np.arange(columns) < lists.counts[rows, None])
        first = hit.argmax(1)
        found = hit[np.arange(len(rows)), first]
        squared[rows[found]] = lists.squared[rows[found], first[found]]
        nearest[rows[found]] = listed[found, first[found]]
        rows = rows[~found]
    for row in rows[: _MOST_PAIRS // len(chosen)].tolist():
        distances = squared_distances(core.pool.queries[row : row + 1], store.vectors[chosen])[0]
        best = int(distances.argmin())
        squared[row], nearest[row] = distances[best], chosen[best]
    unknown = rows[_MOST_PAIRS // len(chosen) :]
    unknown = unknown[lists.counts[unknown] > 0]
    squared[unknown] = lists.squared[unknown, lists.counts[unknown] - 1]
    farthest = np.argsort(-squared, kind="stable")[:named].tolist()
    names = {row: store.representative(slot) if (slot := int(nearest[row])) >= 0 else None for row in farthest}
    return np.sqrt(squared), names


def held_densities(core: Core, density: Density | None, slots: Int64) -> Float64:
    """(n,) float64 densities of held points; nan where one is not indexed, 1 where sigma = 0."""
    switched_off = core.config.regularizer == "kde" and core.sigma() == 0
    values = np.full(len(slots), 1.0 if switched_off else np.nan)
    if density is not None:
        indexed = density.counted[slots] > 0
        missing = np.unique(slots[indexed][~density.settled[slots[indexed]]])
        if len(missing):
            density.settle(missing)
        values[indexed] = density.values(slots[indexed])
    return values
