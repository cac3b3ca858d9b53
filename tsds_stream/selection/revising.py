"""Building revisions, and deciding whether one differs from the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tsds_stream.digests import digest_of
from tsds_stream.selection.arithmetic import Float64, Int64
from tsds_stream.selection.density import Density
from tsds_stream.selection.planning import Problem, Solution
from tsds_stream.selection.points import PointStore
from tsds_stream.selection.revision import Notice, Revision
from tsds_stream.selection.sampling import Sample


@dataclass(frozen=True)
class Outcome:
    """A selection as computed: everything but its place in the series of revisions."""

    problem: Problem | None  # None: there is no document to select from
    solution: Solution | None
    sample: Sample | None
    density: Density | None
    sigma: float | None
    reasons: tuple[str, ...]
    truncated: int  # rows that end too early for the plan, or (mode turns) for the sample
    filling_alpha: float | None
    warnings: tuple[Notice, ...]
    targets_active: int
    targets_pending: int
    targets_digest: str
    documents_seen: int
    live_documents: int | None


def revision_of(outcome: Outcome, store: PointStore, number: int) -> Revision:
    """A revision without a predecessor: everything in it is new."""
    slots, sample, solution = np.empty(0, np.int64), outcome.sample, outcome.solution
    weights: Float64 = np.empty(0)
    if sample is not None:
        slots, weights = sample.chosen, sample.weights
    names = [store.representative(slot) for slot in slots.tolist()]
    order = np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)
    ids, slots, weights = [names[k] for k in order.tolist()], slots[order], weights[order]
    probabilities = np.empty(0) if solution is None else solution.probabilities[slots]
    rows = None if outcome.problem is None else outcome.problem.rows
    return Revision(
        number=number,
        ids=ids,
        keys=store.keys(slots),
        probabilities=probabilities,
        weights=weights,
        densities=_densities(outcome.density, slots),
        multiplicities=store.multiplicity[slots].copy(),
        added=list(ids),
        removed=[],
        exact=not outcome.reasons,
        reasons=outcome.reasons,
        short_of_budget=sample is None or sample.short_of_budget,
        filling_alpha=outcome.filling_alpha,
        digest=digest_of(ids, probabilities, weights),
        tau=None if sample is None else sample.tau,
        alpha=None if solution is None else solution.alpha,
        sigma=outcome.sigma,
        s=None if solution is None else solution.s,
        transport_cost=0.0 if solution is None else solution.mass.transport_cost,
        effective_sample_size=None if solution is None else solution.effective_sample_size,
        support=0 if solution is None else len(solution.support),
        truncated=outcome.truncated,
        short=0 if rows is None else int(rows.short.sum()),
        targets_active=outcome.targets_active,
        targets_pending=outcome.targets_pending,
        targets_digest=outcome.targets_digest,
        documents_seen=outcome.documents_seen,
        live_documents=outcome.live_documents,
        warnings=outcome.warnings,
    )


def follow(fresh: Revision, before: Revision | None) -> Revision | None:
    """The revision that follows another one, or None when it would say the same."""
    if before is not None and _told(fresh) == _told(before):
        return None
    last = [] if before is None else before.ids
    return replace(
        fresh,
        added=sorted(set(fresh.ids) - set(last)),
        removed=sorted(set(last) - set(fresh.ids)),
    )


def _told(revision: Revision) -> tuple[object, ...]:
    """What a revision says of its members and of itself."""
    return (
        revision.digest,
        revision.keys,
        revision.multiplicities.tolist(),
        revision.reasons,
        revision.targets_digest,
        revision.targets_active,
        revision.targets_pending,
        revision.short_of_budget,
    )


def _densities(density: Density | None, slots: Int64) -> Float64:
    values = np.full(len(slots), np.nan)
    if density is not None:
        known = density.settled[slots]
        values[known] = density.values(slots[known])
    return values
