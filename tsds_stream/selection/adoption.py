"""How targets come and go while documents stream, and how the past of the stream reaches those that come late."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tsds_stream.selection.arithmetic import Float32
from tsds_stream.selection.core import Core
from tsds_stream.selection.intake import Documents
from tsds_stream.selection.late import Late, absorb, provable_frontiers, seed_rows
from tsds_stream.selection.pool import Offered


def add_targets(core: Core, ids: list[str], embeddings: Float32, weights: Sequence[float] | None) -> None:
    """Adopt targets, at once where nothing was missed or the corpus is held; else they wait for the past."""
    core.targets.add(ids, embeddings, weights)
    at_once = core.seen == 0 or core.config.scope == "corpus"
    active = {query.key for query in core.active}
    fresh = {query.key for query in core.targets.queries()} - active
    core.set_active(active | fresh if at_once else active)
    _drop_withdrawn(core)
    if at_once:
        rows = np.array([row for row, query in enumerate(core.active) if query.key in fresh], np.int64)
        if len(rows) and core.seen:
            core.tidy_pool()
            core.pool.rescan(rows)
            core.calibrate_when_due()
    elif fresh:
        begin(core, refill=False)


def remove_targets(core: Core, ids: list[str]) -> None:
    """Withdraw targets: their rows go, the other rows do not depend on them."""
    core.targets.remove(ids)
    core.set_active({query.key for query in core.active})
    _drop_withdrawn(core)


def _drop_withdrawn(core: Core) -> None:
    """Stop waiting for queries that were withdrawn."""
    left = {query.key for query in core.targets.queries()}
    core.unproven &= left
    late = core.late
    if late is None or left.issuperset(late.keys):
        return
    source = np.array([row for row, key in enumerate(late.keys) if key in left], np.int64)
    late.keys = [key for key in late.keys if key in left]
    if late.keys:
        late.pool.set_queries(core.targets.vectors(late.keys), source)
    else:
        core.late = None


def begin(core: Core, refill: bool) -> None:
    """Start to wait for the past, from its beginning, for all queries that need it.

    Args:
        refill: short rows of active queries wait too. They also do when they were waiting already.
    """
    active = {query.key: row for row, query in enumerate(core.active)}
    keys = [query.key for query in core.targets.queries() if query.key not in active]
    if refill or (core.late is not None and not active.keys().isdisjoint(core.late.keys)):
        core.expire()
        core.pool.purge()
        short = core.short_rows()
        keys += [key for key, row in active.items() if short[row]]
    core.late = Late(keys, core.new_pool(keys), core.config.max_ids) if keys else None


def backfill(core: Core, documents: Documents, canonical: bool) -> Offered:
    """Give documents of the past, distinct ids, to the queries that wait."""
    late = waiting(core)
    if core.expiry is not None and documents.timestamps is not None:
        old = documents.timestamps <= core.expiry.cutoff
        late.backfill_leave([documents.ids[k] for k in np.flatnonzero(old).tolist()])  # an older version may be held
        documents = documents.part(np.flatnonzero(~old))
    offered = late.backfill(documents.ids, documents.vectors, canonical)
    # What active queries hold is the last record of its id; what is read again may be an older one.
    known = core.pool.store.known(documents.ids)
    core.remember(documents, [k for k in offered.held if documents.ids[k] not in known])
    offered.held = documents.positions[offered.held].tolist() if offered.held else []
    return offered


def waiting(core: Core) -> Late:
    """The queries that wait. Raises ValueError when none does."""
    if core.late is None:
        raise ValueError("no target is pending: there is nothing to backfill")
    return core.late


def finish(core: Core, complete: bool) -> None:
    """Let the waiting queries take part, with all of the past or (not `complete`) with what is provably whole."""
    late = waiting(core)
    core.expire()
    core.tidy_pool()
    active = {query.key for query in core.active}
    fresh = [key for key in late.keys if key not in active]
    frontiers = provable_frontiers(core.pool.lists, core.targets.vectors(fresh), core.pool.queries)
    core.set_active(active.union(fresh))
    row_of = {query.key: row for row, query in enumerate(core.active)}
    if complete:
        late.tidy()
        rows = np.array([row_of[key] for key in late.keys], np.int64)
        absorb(core.pool, rows, late.pool, np.arange(len(late.keys)))
        core.lossy |= late.overflowed
        core.unproven.difference_update(late.keys)
    elif fresh:
        seed_rows(core.pool, np.array([row_of[key] for key in fresh], np.int64), frontiers)
        core.unproven.update(fresh)
    core.late = None
    core.changed = True
    core.calibrate_when_due()
