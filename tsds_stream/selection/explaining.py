"""Explanations, drawn from the present state of a selector."""

from __future__ import annotations

import numpy as np

from tsds_stream.selection.arithmetic import (
    KERNEL_UNIT,
    Float32,
    Float64,
    canonical,
    keys_of,
    squared_distances,
    squared_norms,
)
from tsds_stream.selection.close_pairs import Points, accumulate_density
from tsds_stream.selection.core import Core
from tsds_stream.selection.explain import Explanation, NearTarget, position_in
from tsds_stream.selection.fold import Fold
from tsds_stream.selection.revising import Outcome

_SHOWN = 3


def explain_held(core: Core, outcome: Outcome, name: str) -> Explanation:
    """Why a document, given by its id, is selected or not."""
    slot = core.pool.store.slot_of_id(name)
    if slot is None:
        return _explanation(core, name, "unknown", [], [])
    store, solution, sample = core.pool.store, outcome.solution, outcome.sample
    nearest, reached = _near(core, store.vectors[slot : slot + 1], outcome)
    probability = 0.0 if solution is None else float(solution.probabilities[slot])
    chosen = sample is not None and bool((sample.chosen == slot).any())
    shortlisted = any(near.position is not None for near in nearest) or bool(
        core.pool.lists.mark(store.size, core.max_k)[slot]
    )
    state = "selected" if chosen else "candidate" if probability else "shortlisted" if shortlisted else "far"
    coordinated = core.config.mode == "coordinated"
    draw = float(store.draws[slot])
    rank = draw / probability if probability and coordinated else None
    threshold = None
    if sample is not None and solution is not None and coordinated and len(sample.chosen):
        threshold = float((store.draws[sample.chosen] / solution.probabilities[sample.chosen]).max())
    density = None
    if outcome.density is not None and slot < len(outcome.density.counted) and outcome.density.counted[slot]:
        if not outcome.density.settled[slot]:
            outcome.density.settle(np.array([slot]))
        density = float(outcome.density.values(np.array([slot]))[0])
    weight = None
    if chosen and sample is not None:
        weight = float(sample.weights[sample.chosen == slot][0])
    copy = store.representative(slot) != name
    crowd = None if chosen else _crowd(core, outcome, store.vectors[slot : slot + 1])
    return _explanation(
        core,
        name,
        state,
        nearest,
        _changes(state, core, outcome, rank, threshold, nearest, reached, crowd, copy=copy),
        density=density,
        multiplicity=int(store.multiplicity[slot]),
        representative=store.representative(slot),
        probability=probability,
        uniform=draw if coordinated else None,
        rank=rank,
        threshold=threshold,
        weight=weight,
        crowd=crowd,
    )


def explain_vector(core: Core, outcome: Outcome, vector: Float32) -> Explanation:
    """How near an embedding lies and what it would get: (d,) float32.

    The probability is an estimate: the plan stays as it is, and the document takes the share of its own weight m/ρ at
    its place in each row that still reaches it.
    """
    point = canonical(vector[None])
    nearest, reached = _near(core, point, outcome)
    weight = 1.0
    density = None
    store, solution = core.pool.store, outcome.solution
    if outcome.density is not None:
        indexed = np.flatnonzero(outcome.density.counted)
        fold = Fold(core.dimension)
        mine = Points.of(fold, point, squared_norms(point))
        others = Points(store.vectors, store.norms, store.vectors, indexed)
        total = accumulate_density(fold, mine, others, outcome.sigma or 0.0, outcome.density.counted[indexed])
        density = float(total[0] / KERNEL_UNIT) + 1.0
        weight = 1.0 / density
    estimate = None
    if solution is not None and solution.s is not None and outcome.problem is not None:
        rows = outcome.problem.rows
        chosen = np.flatnonzero(core.pool.lists.counts)
        squared = squared_distances(point, core.pool.queries[chosen])[0]
        reach = np.minimum(solution.reach, rows.counts - 1)
        last = rows.squared[np.arange(len(reach)), reach]
        inside = squared < last
        shares: Float64 = outcome.problem.weights / outcome.problem.weights.sum()
        estimate = float((shares[inside] * min(weight / solution.s, 1.0)).sum())
    state = "far" if not any(near.position for near in nearest) else "candidate" if estimate else "shortlisted"
    crowd = _crowd(core, outcome, point)
    return _explanation(
        core,
        None,
        state,
        nearest,
        _changes(state, core, outcome, None, None, nearest, reached, crowd, held=False),
        density=density,
        multiplicity=1 if density is not None else None,
        would_be_probability=estimate,
        crowd=crowd,
    )


def _crowd(core: Core, outcome: Outcome, point: Float32) -> tuple[str, float] | None:
    """The nearest selected document, ties by id, and its distance, where it is nearer than `min_distance`."""
    radius = core.config.spacing(outcome.sigma)
    if radius is None or outcome.sample is None or core.config.mode == "multinomial" or not len(outcome.sample.chosen):
        return None
    store, slots = core.pool.store, outcome.sample.chosen
    squared = squared_distances(point, store.vectors[slots])[0]
    least = float(squared.min())
    if least >= radius * radius:
        return None
    names = [store.representative(slot) for slot in slots[squared == least].tolist()]
    return min(names), float(np.sqrt(least))


def _near(core: Core, point: Float32, outcome: Outcome) -> tuple[list[NearTarget], float | None]:
    """The nearest targets, and how far the plan reaches in the nearest one's row."""
    lists = core.pool.lists
    squared = squared_distances(point, core.pool.queries)[0]
    mass = np.zeros(len(squared))
    reached = None
    near = np.argsort(squared, kind="stable")[:_SHOWN]
    if outcome.solution is not None:
        chosen = np.flatnonzero(lists.counts)
        row_of = {int(row): k for k, row in enumerate(chosen)}
        entries = outcome.solution.mass
        slot = core.pool.store.slot_of_key(keys_of(point)[0])
        if slot is not None:
            mine = entries.points == slot
            mass[chosen[entries.rows[mine]]] = entries.values[mine]
        if len(near) and int(near[0]) in row_of:
            k = row_of[int(near[0])]
            reach = int(outcome.solution.reach[k])
            reached = float(np.sqrt(lists.squared[near[0], min(reach, int(lists.counts[near[0]]) - 1)]))
    found = []
    for row in near.tolist():
        count = int(min(lists.counts[row], core.max_k))
        position = position_in(lists.squared[row, :count], float(squared[row])) + 1
        inside = position <= count or (count < core.max_k and not np.isfinite(lists.frontier[row]))
        needed = None if inside or not count else float(np.sqrt(lists.squared[row, count - 1]))
        found.append(
            NearTarget(
                core.active[row].id,
                float(np.sqrt(squared[row])),
                position if inside else None,
                needed,
                float(mass[row]),
            )
        )
    return found, reached


def _why_no_turn(outcome: Outcome, held: bool) -> str:
    if not held:
        return "A target would take it as soon as it is the nearest that is left, if the budget lasts until then."
    if outcome.sample is not None and outcome.sample.short_of_budget:  # every shortlist was walked to its end
        return "It has more tokens than the whole token budget."
    return "The budget was full before a target came to it: it would have to lie nearer, or the budget be larger."


def _changes(
    state: str,
    core: Core,
    outcome: Outcome,
    rank: float | None,
    threshold: float | None,
    nearest: list[NearTarget],
    reached: float | None,
    crowd: tuple[str, float] | None,
    *,
    copy: bool = False,
    held: bool = True,
) -> list[str]:
    """What would have to change, as sentences."""
    if copy:
        return ["Copies are published once, under the smallest id: it would have to outlive the others."]
    if state == "selected" or not nearest:
        return []
    first = nearest[0]
    if state == "far":
        where = "" if first.needed is None else f" (now at {first.distance:.4f}, needed below {first.needed:.4f})"
        return [f"It would have to lie nearer to a target{where}."]
    if crowd is not None and (state == "candidate" or core.config.mode == "turns"):
        return [
            f"Document {crowd[0]!r}, which is selected, is only {crowd[1]:.4f} away: of documents nearer to each other "
            "than min_distance only one is taken."
        ]
    if core.config.mode == "turns":
        return [_why_no_turn(outcome, held)]
    if state == "shortlisted":
        how = "" if reached is None else f"The plan reaches {reached:.4f} from target {first.id!r}. "
        return [f"{how}It would have to reach farther: a larger budget or spread, or a smaller alpha."]
    if rank is not None and threshold is not None:
        return [f"Its probability would have to be {rank / threshold:.3g} times as large, or the budget larger."]
    return ["The budget would have to be larger."]


def _explanation(
    core: Core,
    name: str | None,
    state: str,
    nearest: list[NearTarget],
    changes: list[str],
    *,
    density: float | None = None,
    multiplicity: int | None = None,
    representative: str | None = None,
    probability: float | None = None,
    would_be_probability: float | None = None,
    uniform: float | None = None,
    rank: float | None = None,
    threshold: float | None = None,
    weight: float | None = None,
    crowd: tuple[str, float] | None = None,
) -> Explanation:
    return Explanation(
        id=name,
        state=state,
        nearest=nearest,
        density=density,
        multiplicity=multiplicity,
        representative=representative,
        probability=probability,
        would_be_probability=would_be_probability,
        uniform=uniform,
        rank=rank,
        threshold=threshold,
        weight=weight,
        mode=core.config.mode,
        crowded_by=crowd,
        changes=changes,
    )
