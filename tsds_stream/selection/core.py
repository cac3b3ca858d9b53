"""The mutable state of a selector: targets, pools, sigma and densities, and how they act on each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tsds_stream.selection.arithmetic import Bool, Int64, salt_of
from tsds_stream.selection.calibration import nearest_distance_sigma
from tsds_stream.selection.census import Census
from tsds_stream.selection.density import Density
from tsds_stream.selection.expiry import Expiry
from tsds_stream.selection.intake import Documents
from tsds_stream.selection.late import Late
from tsds_stream.selection.points import PointStore
from tsds_stream.selection.pool import Offered, Pool
from tsds_stream.selection.settings import MAX_SIGMA, MIN_SIGMA, SelectorConfig
from tsds_stream.selection.spacing import Remembered
from tsds_stream.selection.targets import Query, Targets
from tsds_stream.selection.transport import Hint

_FIRST_SWEEP = 1 << 16  # slots in use before points that no shortlist holds are looked for between refreshes


class Core:
    """What a selector knows. Every public method leaves it consistent.

    Attributes:
        active: queries that take part, ascending by id; row i of the pool belongs to active[i].
        pool: of the active queries; late: of those that wait, if any.
        seen: usable records; changed: whether anything that a selection depends on changed since the last `solve`.
        lossy: something was given up by a bound (capacity, max_ids): no longer exact.
    """

    def __init__(self, name: str, config: SelectorConfig, dimension: int) -> None:
        self.name = name
        self.config = config
        self.dimension = dimension
        self.targets = Targets(dimension)
        self.active: list[Query] = []
        self.late: Late | None = None
        self.seen = 0
        self.changed = True
        self.lossy = False
        self.max_k = 0
        self.calibrated = config.sigma != "auto"
        self.expiry = None if config.ttl is None else Expiry(config.ttl)
        self.tokens: dict[str, int] | None = None if config.token_budget is None else {}
        self.census = self._new_census(config)
        self.unproven: set[bytes] = set()  # queries that became active without the past
        self.density: Density | None = None
        self.hint: Hint | None = None
        self.remembered: Remembered | None = None
        self.frozen_sigma: float | None = None if config.sigma == "auto" else config.sigma
        self._sweep_at = _FIRST_SWEEP

    # -- making -------------------------------------------------------------------------------------------------

    def create_pool(self, max_k: int | None = None) -> None:
        """Make the pool of all targets; "auto" is fixed by their number, or given."""
        self.active = self.targets.queries()
        auto = self.config.shortlist_length(len(self.active))
        self.max_k = auto if max_k is None or self.config.max_k != "auto" else max_k
        self.pool = self.new_pool([query.key for query in self.active])

    def new_pool(self, keys: list[bytes]) -> Pool:
        """An empty pool for some queries."""
        config = self.config
        return Pool(
            self.targets.vectors(keys),
            self.max_k,
            config.reserve_length(self.max_k),
            salt_of(config.seed, self.name),
            config.max_ids,
            keep_all=config.scope == "corpus",
        )

    def set_config(self, config: SelectorConfig) -> None:
        """Other non-structural parameters."""
        if config.token_budget is not None and self.tokens is None:
            raise ValueError("token_budget needs the tokens of every document: read the documents again")
        before, self.config = self.config, config
        if config.sigma != before.sigma:
            self.frozen_sigma = None if config.sigma == "auto" else config.sigma
            self.calibrated = config.sigma != "auto"
        if self.census is None:
            self.census = self._new_census(config)
        if config.seed != before.seed:
            for store in self.stores():
                store.resalt(salt_of(config.seed, self.name))
        self.changed = True
        self.calibrate_when_due()

    def _new_census(self, config: SelectorConfig) -> Census | None:
        """Names of live documents are kept for `tv` alone, from the start; what expires unheld cannot be told."""
        if config.regularizer != "tv":
            return None
        return Census(config.max_ids, known=self.seen == 0 and self.expiry is None)

    def stores(self) -> Iterator[PointStore]:
        yield self.pool.store
        if self.late is not None:
            yield self.late.pool.store

    # -- documents ----------------------------------------------------------------------------------------------

    def require(self, documents: Documents) -> None:
        """Raise ValueError when a column is missing that the configuration needs."""
        if self.tokens is not None and documents.tokens is None:
            raise ValueError("token_budget is set: every document needs tokens")
        if self.expiry is not None and documents.timestamps is None:
            raise ValueError("ttl is set: every document needs a timestamp")

    def until_calibration(self, documents: Documents) -> Iterator[Documents]:
        """Split a call where sigma is frozen, so that it depends on the stream and not on its batches."""
        left = self.config.calibration - self.seen
        if self.calibrated or left <= 0 or left >= len(documents.ids):
            yield documents
        else:
            yield documents.part(slice(0, left))
            yield documents.part(slice(left, None))

    def add_all(self, documents: Documents, canonical: bool) -> tuple[Offered, int]:
        """Apply the records of a call; what became of them, positions being those of the call."""
        totals, expired = Offered([], []), 0
        for part in self.until_calibration(documents):
            offered, old = self.add(part, canonical)
            totals.held += offered.held
            totals.keys += offered.keys
            totals.admitted += offered.admitted
            totals.duplicates += offered.duplicates + len(part.ids) - len(set(part.ids))
            expired += old
        return totals, expired

    def add(self, documents: Documents, canonical: bool) -> tuple[Offered, int]:
        """Apply records in stream order; what became of them, and how many had expired already."""
        self.seen += len(documents.ids)
        if self.expiry is not None and documents.timestamps is not None and len(documents.ids):
            self.expiry.advance(int(documents.timestamps.max()))
            self.changed |= self.expiry.due  # even if none of these documents is held
        documents = documents.latest()
        if self.census is not None:
            self.census.add(documents.ids)
            self.changed = True
        kept, old = documents, np.empty(0, np.int64)
        if self.expiry is not None and documents.timestamps is not None:
            old = np.flatnonzero(documents.timestamps <= self.expiry.cutoff)
        if len(old):
            self.remove([documents.ids[k] for k in old.tolist()])
            kept = documents.part(np.setdiff1d(np.arange(len(documents.ids)), old))
        waiting = None if self.late is None else self.late.arrive(kept.ids, kept.vectors, canonical)
        superseded = self.pool.superseded
        offered = self.pool.offer(kept.ids, kept.vectors, canonical)
        if waiting is not None:  # held by late targets only: who keeps texts has to know of them, too
            known = set(offered.held)
            also = [k for k, position in enumerate(waiting.held) if position not in known]
            offered.held += [waiting.held[k] for k in also]
            offered.keys += [waiting.keys[k] for k in also]
        self.remember(kept, offered.held)
        if offered.held or offered.duplicates or self.pool.superseded != superseded:
            self.changed = True
        offered.held = kept.positions[offered.held].tolist() if offered.held else []
        self._sweep_if_crowded()
        self._tidy_columns()
        self.calibrate_when_due()
        return offered, len(old)

    def remember(self, documents: Documents, held: Sequence[int]) -> None:
        """Tokens and timestamps of held ids: columns that only some configurations need, by name as ids are."""
        for k in held:
            name = documents.ids[k]
            if self.tokens is not None and documents.tokens is not None:
                self.tokens[name] = int(documents.tokens[k])
            if self.expiry is not None and documents.timestamps is not None:
                self.expiry.hold(name, int(documents.timestamps[k]))

    def remove(self, names: list[str]) -> int:
        if self.census is not None:
            self.census.remove(names)
        return self._retract(names)

    def _retract(self, names: list[str]) -> int:
        self.changed = True
        if self.late is not None:
            self.late.leave(names)
        return self.pool.retract(names)

    def slots_of(self, ids: Sequence[str]) -> Int64:
        """Slots of held ids. Raises KeyError."""
        slots = [self.pool.store.slot_of_id(name) for name in ids]
        missing = [name for name, slot in zip(ids, slots, strict=True) if slot is None]
        if missing:
            raise KeyError(f"not held: {', '.join(map(repr, missing[:5]))}{' …' if len(missing) > 5 else ''}")
        return np.array(slots, np.int64)

    # -- targets ------------------------------------------------------------------------------------------------

    def set_active(self, keys: set[bytes]) -> None:
        """Bring ids, weights and the order of rows up to date; new keys get empty rows."""
        before = {query.key: row for row, query in enumerate(self.active)}
        self.active = [query for query in self.targets.queries() if query.key in keys]
        source = np.array([before.get(query.key, -1) for query in self.active], np.int64)
        if not np.array_equal(source, np.arange(len(before))):
            self.pool.set_queries(self.targets.vectors(query.key for query in self.active), source)
        self.changed = True

    def active_target_ids(self) -> list[str]:
        return self.targets.ids_of(query.key for query in self.active)

    def pending_target_ids(self) -> list[str]:
        if self.late is None:
            return []
        active = {query.key for query in self.active}
        return self.targets.ids_of(key for key in self.late.keys if key not in active)

    # -- sigma --------------------------------------------------------------------------------------------------

    def sigma(self) -> float | None:
        """The kernel width in use."""
        return self.frozen_sigma if self.calibrated else self._nearest_distance_sigma()

    def sigma_for(self, config: SelectorConfig) -> float | None:
        """The kernel width under other parameters."""
        if config.sigma == self.config.sigma:
            return self.sigma()
        return self._nearest_distance_sigma() if config.sigma == "auto" else config.sigma

    def calibrated_for(self, config: SelectorConfig) -> bool:
        """Whether the kernel width under other parameters is final."""
        if config.sigma == self.config.sigma:
            return self.calibrated
        return config.sigma != "auto" or self.seen >= config.calibration

    def calibrate(self, sigma: float | None) -> float:
        if self.config.sigma != "auto":
            raise ValueError(f"sigma is set to {self.config.sigma}: only sigma = auto is calibrated")
        if sigma is None:
            sigma = self._nearest_distance_sigma()
        elif not MIN_SIGMA <= sigma <= MAX_SIGMA:
            raise ValueError(f"sigma must lie between 2^-20 and 2^10, not {sigma}")
        if sigma is None:
            raise ValueError("sigma = auto needs at least one target and one document")
        self.frozen_sigma, self.calibrated, self.changed = sigma, True, True
        return sigma

    def calibrate_when_due(self) -> None:
        """Freeze sigma = auto as soon as enough documents were seen and an active query has one."""
        if not self.calibrated and self.seen >= self.config.calibration:
            sigma = self._nearest_distance_sigma()
            if sigma is not None:
                self.calibrate(sigma)

    def _nearest_distance_sigma(self) -> float | None:
        self.expire()
        self.pool.purge()
        return nearest_distance_sigma(self.pool.lists)

    def settle_state(self) -> None:
        """Bring the pools into the form in which they are saved: live points on ordered rows."""
        self.expire()
        self.tidy_pool()
        if self.late is not None:
            self.late.tidy()
            self.late.pool.lists.sort_all(self.late.pool.store)

    # -- housekeeping -------------------------------------------------------------------------------------------

    def expire(self) -> None:
        if self.expiry is not None:
            names = self.expiry.expired()
            if names:
                self._retract(names)

    def tidy_pool(self) -> None:
        """Take out of the pool whatever is not live any more, and order its rows."""
        self.pool.purge()
        self.pool.lists.sort_all(self.pool.store)
        self.sweep()

    def sweep(self) -> None:
        """Free the points that no shortlist holds and no density counts."""
        counted = np.zeros(0, np.int64) if self.density is None else self.density.counted
        freed = self.pool.sweep(counted)
        if self.density is not None:
            self.density.drop(freed)
        self._sweep_at = max(2 * self.pool.store.in_use, _FIRST_SWEEP)
        self._tidy_columns()

    def _tidy_columns(self) -> None:
        """Keep tokens and timestamps of what is held, so that memory follows it."""
        count = sum(store.ids for store in self.stores())
        if self.tokens is not None and len(self.tokens) > 2 * count + 1024:
            held = self._held_names()
            self.tokens = {name: count for name, count in self.tokens.items() if name in held}
        if self.expiry is not None:
            self.expiry.tidy(count, self._held_names)

    def _held_names(self) -> set[str]:
        return {name for store in self.stores() for name, _ in store.items()}

    def _sweep_if_crowded(self) -> None:
        if self.pool.store.in_use > self._sweep_at:
            self.expire()
            self.tidy_pool()  # in scope corpus a sweep frees retracted points, which may no longer stand in a row
            self._keep_within_capacity()
            self.sweep()
        late = self.late
        if late is not None and late.pool.store.in_use > self._sweep_at:
            late.tidy()

    def bring_up_to_date(self) -> None:
        """Live points only, on ordered rows; in scope corpus within the capacity, and no row short."""
        self.expire()
        self.tidy_pool()
        if self.config.scope == "corpus":
            self._keep_within_capacity()
            drained = np.flatnonzero(self.short_rows())
            if len(drained):
                self.pool.rescan(drained)
                self.pool.lists.sort_all(self.pool.store)
            self.sweep()

    def _keep_within_capacity(self) -> None:
        """Let the oldest points go that are no candidates."""
        capacity, store = self.config.capacity, self.pool.store
        if capacity is None or store.points <= capacity:
            return
        candidates = self.pool.lists.mark(store.size, self.max_k)
        live = store.live()
        spare = live[~candidates[live]]
        leaving = spare[np.argsort(store.born[spare], kind="stable")[: store.points - capacity]]
        if len(leaving):
            self.lossy = True
            for slot in leaving.tolist():  # ids have no array form
                self.pool.retract(store.names_at(slot))
            self.pool.purge()

    # -- what is known ------------------------------------------------------------------------------------------

    def live_documents(self) -> int | None:
        """Live ids, where they are known."""
        if self.config.scope == "corpus":
            return int(self.pool.store.multiplicity.sum())
        return None if self.census is None else self.census.count

    @property
    def count_is_known(self) -> bool:
        """Whether the number of live documents is exact."""
        return self.config.scope == "corpus" or (self.census is not None and self.census.known)

    def short_rows(self) -> Bool:
        """(M,) bool rows that have lost points: fewer than max_k although something was left out."""
        lists = self.pool.lists
        short: Bool = (lists.counts < self.max_k) & np.isfinite(lists.frontier)
        return short
