"""Solving: from the present state of a selector to a selection, and what may be said of it."""

from __future__ import annotations

import numpy as np

from tsds_stream.selection.arithmetic import Int64
from tsds_stream.selection.calibration import median_nearest_distance
from tsds_stream.selection.core import Core
from tsds_stream.selection.density import Density, ExactDensity
from tsds_stream.selection.drawing import draw
from tsds_stream.selection.exactness import reasons, rows_are_incomplete, warnings
from tsds_stream.selection.graph_density import GraphDensity
from tsds_stream.selection.planning import Problem, Solution, filling_alpha, let_go, plan
from tsds_stream.selection.revising import Outcome
from tsds_stream.selection.revision import Notice
from tsds_stream.selection.sampling import Sample
from tsds_stream.selection.settings import SelectorConfig


def solve(core: Core) -> Outcome:
    """The selection under the configured parameters; densities and the hint of the plan are kept for the next time."""
    core.bring_up_to_date()
    problem = _problem(core, core.config)
    if problem is None:
        outcome = _outcome(core, core.config, None, None, None, None)
    else:
        core.density = _density(core, problem, core.config)
        solution = plan(problem, core.config, core.density, core.hint)
        core.hint = solution.hint
        outcome = _drawn(core, core.config, problem, solution, core.density)
        core.remembered = None if outcome.sample is None else outcome.sample.remembered
        if core.density is not None:
            let_go(problem.rows, solution, core.density)
    core.sweep()
    core.changed = False
    return outcome


def preview(core: Core, config: SelectorConfig) -> Outcome:
    """The selection under other parameters; the state stays as it is."""
    core.bring_up_to_date()
    problem = _problem(core, config)
    if problem is None:
        return _outcome(core, config, None, None, None, None)
    density = _density(core, problem, config)
    return _drawn(core, config, problem, plan(problem, config, density, None), density)


def _problem(core: Core, config: SelectorConfig) -> Problem | None:
    """None when no query has a point."""
    lists, store = core.pool.lists, core.pool.store
    chosen = np.flatnonzero(lists.counts)
    if not len(chosen):
        return None
    listed = np.flatnonzero(lists.mark(store.size, core.max_k))
    tokens = None
    if config.token_budget is not None:
        if core.tokens is None:
            raise ValueError("token_budget needs the tokens of every document: read the documents again")
        tokens = np.zeros(store.size, np.int64)
        # Which id represents a point changes with its copies, so tokens are looked up by name.
        tokens[listed] = [core.tokens[store.representative(slot)] for slot in listed.tolist()]
    weights = np.array([core.active[row].weight for row in chosen.tolist()])
    documents = core.live_documents()
    held = int(store.multiplicity.sum())
    return Problem(
        lists.rows(chosen), weights, store.multiplicity, store.words, listed, tokens, max(documents or 0, held)
    )


def _density(core: Core, problem: Problem, config: SelectorConfig) -> Density | None:
    """The density that `kde` needs, its index brought up to date; None where none is needed."""
    sigma = core.sigma_for(config)
    if config.regularizer != "kde" or not sigma:
        return None
    indexed = problem.multiplicities
    if core.config.scope == "candidates":
        indexed = np.zeros(len(problem.multiplicities), np.int64)
        indexed[problem.listed] = problem.multiplicities[problem.listed]
    density = core.density
    if density is None or density.sigma != sigma or _outgrown(core, density, indexed):
        density = _new_density(core, sigma, indexed)
    density.index(indexed)
    return density


def _outgrown(core: Core, density: Density, indexed: Int64) -> bool:
    return (
        core.config.index == "auto"
        and isinstance(density, ExactDensity)
        and int(np.count_nonzero(indexed)) > core.config.exact_limit
    )


def _new_density(core: Core, sigma: float, indexed: Int64) -> Density:
    config = core.config
    if config.index == "hnsw" or (config.index == "auto" and int(np.count_nonzero(indexed)) > config.exact_limit):
        return GraphDensity(core.pool.store, sigma, config.kde_k)
    return ExactDensity(core.pool.store, sigma)


def _drawn(
    core: Core, config: SelectorConfig, problem: Problem, solution: Solution, density: Density | None
) -> Outcome:
    sample = draw(problem, solution, core.pool.store, config, core.sigma_for(config), core.name, core.remembered)
    return _outcome(core, config, problem, solution, sample, density)


def _outcome(
    core: Core,
    config: SelectorConfig,
    problem: Problem | None,
    solution: Solution | None,
    sample: Sample | None,
    density: Density | None,
) -> Outcome:
    sigma = core.sigma_for(config)
    lists = core.pool.lists
    # A row that has lost its last point takes no part, although it should.
    short = bool((core.short_rows() & (lists.counts == 0)).any())
    filling = None
    truncated = 0
    notes: tuple[Notice, ...] = ()
    if problem is not None and solution is not None and sample is not None:
        queries = core.pool.queries[np.flatnonzero(lists.counts)]
        short |= rows_are_incomplete(problem, solution, config, sigma, queries, core.pool.store.vectors)
        truncated = max(int(solution.truncated.sum()), sample.truncated_rows or 0)
        if sample.short_of_budget and config.mode != "turns":  # those take what is listed, whatever the plan
            filling = filling_alpha(problem, config, density)
        notes = warnings(
            config,
            len(problem.weights),
            sigma,
            median_nearest_distance(lists),
            truncated,
            sample,
            filling,
            support=len(solution.support),
            listed=len(problem.listed),
        )
    why = reasons(
        truncated=truncated > 0,
        short=short,
        provisional=_provisional(core, config),
        approximate=density is not None and not isinstance(density, ExactDensity),
        saturated=density is not None and density.saturated > 0,
        capacity=core.lossy or core.pool.store.unnamed > 0,
        count=config.regularizer == "tv" and not core.count_is_known,
    )
    return Outcome(
        problem=problem,
        solution=solution,
        sample=sample,
        density=density,
        sigma=sigma,
        reasons=why,
        truncated=truncated,
        filling_alpha=filling,
        warnings=notes,
        targets_active=len(core.active_target_ids()),
        targets_pending=len(core.pending_target_ids()),
        targets_digest=core.targets.digest(query.key for query in core.active),
        documents_seen=core.seen,
        live_documents=core.live_documents(),
    )


def _provisional(core: Core, config: SelectorConfig) -> bool:
    """Sigma is still moving, or a query that never saw the past is short of documents."""
    if config.uses_sigma and not core.calibrated_for(config):
        return True
    if not core.unproven:
        return False
    short = core.short_rows()
    return any(short[row] for row, query in enumerate(core.active) if query.key in core.unproven)
