"""The selector of one target set: documents in, revisions of the selection out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from tsds_stream.selection import adoption
from tsds_stream.selection.arithmetic import Bool, Float32, Float64, UInt64, single
from tsds_stream.selection.core import Core
from tsds_stream.selection.exactness import served
from tsds_stream.selection.expiry import Expiry
from tsds_stream.selection.explain import Explanation, nearest_queries
from tsds_stream.selection.explaining import explain_held, explain_vector
from tsds_stream.selection.intake import usable
from tsds_stream.selection.probing import measured_recall
from tsds_stream.selection.revising import Outcome, follow, revision_of
from tsds_stream.selection.revision import AddReport, RemoveReport, Revision
from tsds_stream.selection.settings import STRUCTURAL, SelectorConfig
from tsds_stream.selection.snapshot import Snapshot, read_state, write_state
from tsds_stream.selection.solving import preview, solve
from tsds_stream.selection.standing import Standing, held_densities, mass_of, named_mass, nearest_selected, standing_of
from tsds_stream.selection.targets import Query


class Selector:
    """Keeps the best `budget` documents seen so far for a set of target examples.

    Whatever the order and the batches in which documents came, a revision that says `exact` is bit for bit the one that
    a batch computation over the prefix gives. Not safe for use by several threads at once.

    Args:
        targets: (M, d) float32 finite, non-zero rows; normalised and rounded to the canonical grid here.
        config: parameters; default `SelectorConfig()`.
        target_ids: M distinct ids; default "0", "1", ….
        target_weights: M positive numbers; default 1.
        name: of the target set; part of the seed of the sample.
        max_k: stands for "auto", which goes by the number of targets at the creation of a set, where that is past.

    Raises:
        ValueError: targets that cannot be used.
    """

    def __init__(
        self,
        targets: ArrayLike,
        config: SelectorConfig | None = None,
        target_ids: Sequence[str] | None = None,
        target_weights: Sequence[float] | None = None,
        name: str = "default",
        max_k: int | None = None,
    ) -> None:
        vectors = single(targets)
        if vectors.ndim != 2:
            raise ValueError(f"targets must have shape (M, d), got {vectors.shape}")
        ids = [str(k) for k in range(len(vectors))] if target_ids is None else list(target_ids)
        self._core = Core(name, config or SelectorConfig(), vectors.shape[1])
        self._core.targets.add(ids, vectors, target_weights)
        self._core.create_pool(max_k)
        self._start(None, 0)

    def _start(self, revision: Revision | None, number: int) -> None:
        self._revision = revision
        self._number = number
        self._outcome: Outcome | None = None  # of the present state, unless the core has changed since
        self._judged: Outcome | None = None  # what the last refresh looked at

    # -- settings -----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._core.name

    @property
    def config(self) -> SelectorConfig:
        return self._core.config

    @property
    def dimension(self) -> int:
        return self._core.dimension

    @property
    def sigma(self) -> float | None:
        """The kernel width in use; None while `auto` has nothing to go by."""
        return self._core.sigma()

    @property
    def calibrated(self) -> bool:
        """Whether sigma is final: given as a number, or frozen."""
        return self._core.calibrated

    @property
    def documents_seen(self) -> int:
        """Usable records so far, each counted once per delivery."""
        return self._core.seen

    @property
    def max_k(self) -> int:
        """Length of the shortlists; `auto` was resolved when the set was created."""
        return self._core.max_k

    def calibrate(self, sigma: float | None = None) -> float:
        """Freeze `sigma = "auto"` at its present value, or at one that was published before; returns it.

        Raises:
            ValueError: sigma is set to a number; or there is no document or no target to measure it with.
        """
        return self._core.calibrate(sigma)

    def reconfigure(self, config: SelectorConfig) -> None:
        """Take up other parameters on the present state.

        Raises:
            ValueError: a structural parameter differs, which needs the documents to be read again.
        """
        if differing := [field for field in STRUCTURAL if getattr(config, field) != getattr(self.config, field)]:
            raise ValueError(f"{', '.join(differing)} cannot change on a running selector: read the documents again")
        if config != self.config:
            self._core.set_config(config)

    # -- documents ----------------------------------------------------------------------------------------------

    def add(
        self,
        ids: Sequence[str],
        embeddings: ArrayLike,
        tokens: ArrayLike | None = None,
        timestamps: ArrayLike | None = None,
        canonical: bool = False,
    ) -> AddReport:
        """Take in documents, new versions of documents, or redeliveries, in the order of the stream.

        Args:
            ids: n ids; where one is repeated its last record counts.
            embeddings: (n, d) float32, of any length; with `canonical` the bytes of canonical rows, taken as they are.
            tokens: (n,) integers; required with a token budget.
            timestamps: (n,) int64 milliseconds of event time; required with a time to live.

        Raises:
            ValueError: shapes that do not fit, or a missing column. A bad record is rejected in the report instead.
        """
        documents = usable(ids, embeddings, tokens, timestamps, self.dimension)
        self._core.require(documents)
        totals, expired = self._core.add_all(documents, canonical)
        return AddReport(
            accepted=len(documents.ids),
            admitted=totals.admitted,
            duplicates=totals.duplicates,
            expired=expired,
            rejected=documents.rejected,
            held=np.array(totals.held, np.int64),
            keys=totals.keys,
        )

    def remove(self, ids: Sequence[str]) -> RemoveReport:
        """Retract documents. An unknown id (never seen, or seen and not held) is counted, not an error."""
        removed = self._core.remove(list(ids))
        return RemoveReport(removed, len(ids) - removed)

    def holds(self, ids: Sequence[str], waiting: bool = False) -> Bool:
        """(n,) bool: ids held by active targets (scope corpus: all that are live), or also by `waiting` ones."""
        stores = self._core.stores() if waiting else [self._core.pool.store]
        known = set().union(*(store.known(ids) for store in stores))
        return np.array([name in known for name in ids], np.bool_)

    def vectors(self, ids: Sequence[str]) -> Float32:
        """(n, d) float32 copy of the canonical embeddings of held documents. Raises `KeyError` if not held."""
        return self._core.pool.store.vectors[self._core.slots_of(ids)]

    @property
    def expiry(self) -> Expiry | None:
        """Event times of what is held, with a time to live; only to be read."""
        return self._core.expiry

    def held(self) -> Iterator[tuple[str, bytes]]:
        """(id, 16-byte point key) of every id that is held, by active and waiting targets."""
        for store in self._core.stores():
            pairs = list(store.items())
            keys = store.keys(np.array([slot for _, slot in pairs], np.int64))
            yield from ((name, key) for (name, _), key in zip(pairs, keys, strict=True))

    # -- targets ------------------------------------------------------------------------------------------------

    @property
    def target_ids(self) -> list[str]:
        """Ids of the active queries, ascending; identical targets are merged under the smallest id."""
        return [query.id for query in self._core.active]

    @property
    def queries(self) -> tuple[list[Query], Float32]:
        """The active queries, ascending by id, and a copy of their (M, d) canonical embeddings."""
        return list(self._core.active), self._core.pool.queries.copy()

    @property
    def active_targets(self) -> list[str]:
        """Ids of all targets that take part."""
        return self._core.targets.ids_of(query.key for query in self._core.active)

    @property
    def pending_targets(self) -> list[str]:
        """Ids of targets that wait until the past of the stream has been read again (`backfill`)."""
        return self._core.pending_target_ids()

    @property
    def waiting(self) -> bool:
        """Whether pending targets, or short rows after `begin_refill`, wait for `backfill` and `finish_backfill`."""
        return self._core.late is not None

    def add_targets(self, ids: Sequence[str], embeddings: ArrayLike, weights: Sequence[float] | None = None) -> None:
        """Add targets, or change the embedding or weight of known ones.

        Before the first document, for an embedding that is already a query, and in scope corpus they take part at
        once. Otherwise they are pending until every live document has been given to `backfill` and `finish_backfill`
        was called; a call made while others are pending starts the backfill anew for all.

        Raises:
            ValueError: targets that cannot be used; nothing is then added.
        """
        adoption.add_targets(self._core, list(ids), single(embeddings), weights)

    def remove_targets(self, ids: Sequence[str]) -> None:
        """Withdraw targets; exact at once. Raises `KeyError` for an unknown id; nothing is then withdrawn."""
        adoption.remove_targets(self._core, list(ids))

    @property
    def refill_needed(self) -> bool:
        """Whether rows have lost points to retractions or expiry that only the past of the stream can replace."""
        return bool(self._core.short_rows().any())

    def begin_refill(self) -> None:
        """Let short rows wait for a backfill, as late targets do; they take part meanwhile as they are."""
        adoption.begin(self._core, refill=True)

    def backfill(
        self,
        ids: Sequence[str],
        embeddings: ArrayLike,
        tokens: ArrayLike | None = None,
        timestamps: ArrayLike | None = None,
        canonical: bool = False,
    ) -> AddReport:
        """Give pending targets the past: every document live at their adoption, or the log up to there in its order.

        Records of ids that changed since the adoption are left out. Arguments, report and errors as in `add`;
        `ValueError` also when nothing is pending.
        """
        documents = usable(ids, embeddings, tokens, timestamps, self.dimension)
        self._core.require(documents)
        offered = adoption.backfill(self._core, documents.latest(), canonical)
        return AddReport(
            accepted=len(documents.ids),
            admitted=offered.admitted,
            duplicates=offered.duplicates,
            expired=0,
            rejected=documents.rejected,
            held=np.array(offered.held, np.int64),
            keys=offered.keys,
        )

    def backfill_remove(self, ids: Sequence[str]) -> None:
        """Retractions that stand in the log before the adoption."""
        adoption.waiting(self._core).backfill_leave(list(ids))

    def finish_backfill(self, complete: bool = True) -> None:
        """The past has been read: pending targets become active.

        With `complete` false (it cannot be read) rows hold what is provable, provisional while one is short.
        """
        adoption.finish(self._core, complete)

    # -- the selection ------------------------------------------------------------------------------------------

    def refresh(self) -> Revision | None:
        """The selection of the present state.

        Returns:
            The previous revision, the same object, when the selection and what is said of it are the same; None before
            there are an active target and an accepted document.
        """
        core = self._core
        if not core.active or core.seen == 0:
            return None
        outcome = self._last()
        if self._judged is not outcome:
            self._judged = outcome
            following = follow(revision_of(outcome, core.pool.store, self._number + 1), self._revision)
            if following is not None:
                self._revision, self._number = following, following.number
        return self._revision

    def renumber(self, last: int) -> None:
        """Continue the series of revisions after number `last`."""
        self._number = last

    def preview(self, **settings: object) -> Revision:
        """What other settings would select from the present state; publishes nothing.

        Args:
            settings: any non-structural fields of `SelectorConfig`: budget, alpha, sigma, spread, mode, seed, ….

        Raises:
            ValueError: a structural or unknown setting, an impossible value, or no documents yet.
        """
        if structural := sorted(set(settings) & set(STRUCTURAL)):
            raise ValueError(f"{', '.join(structural)} cannot be previewed: the documents would have to be read again")
        config = SelectorConfig(**{**self.config.model_dump(), **settings})
        if not self._core.active or self._core.seen == 0:
            raise ValueError("there is nothing to preview before a target and a document")
        revision = revision_of(preview(self._core, config), self._core.pool.store, 0)
        return follow(revision, self._revision) or replace(revision, added=[], removed=[])

    def probabilities(self) -> tuple[list[str], Float64]:
        """Every document with mass of the present state: ids ascending, (n,) float64 probabilities."""
        return named_mass(self._core, self._last())

    def densities(self, ids: Sequence[str]) -> Float64:
        """(n,) float64 kernel densities of held documents of the present state; nan for one that is not indexed.

        1 with sigma = 0, and nan where the regularizer uses none (`uniform`, `tv`).

        Raises:
            KeyError: an id is not held.
        """
        density = self._last().density  # before the ids are looked up: solving lets go of what is no longer listed
        return held_densities(self._core, density, self._core.slots_of(ids))

    def recall(self, sample: int = 256) -> float | None:
        """Share of true neighbours within sigma that an approximate index finds; None where densities are exact."""
        return measured_recall(self._core, self._last().density, sample)

    def nearest_targets(self, ids: Sequence[str], count: int = 3) -> list[list[tuple[str, float]]]:
        """For each held document its nearest active targets, by (exact distance, id). Raises `KeyError` if not held."""
        vectors = self._core.pool.store.vectors[self._core.slots_of(ids)]
        return nearest_queries(vectors, self._core.pool.queries, self.target_ids, count)

    def served(self) -> list[tuple[str, float]]:
        """Per active target that has a document, the mean distance of the mass that the plan gives it; worst first."""
        outcome = self._last()
        if outcome.problem is None or outcome.solution is None:
            return []
        names = [self.target_ids[row] for row in np.flatnonzero(self._core.pool.lists.counts).tolist()]
        return served(outcome.solution, outcome.problem.weights, names)

    def nearest_selected(self, named: int = 0) -> tuple[Float64, dict[int, str | None]]:
        """Per active target the distance of the nearest selected document; see `standing.nearest_selected`."""
        return nearest_selected(self._core, self._last(), named)

    def mass(self) -> tuple[UInt64, Float64]:
        """First word of the key, and p, of every point with mass of the present state, in key order."""
        return mass_of(self._core, self._last())

    def standing(self) -> Standing:
        """Index and plan in plain numbers, of the last selection that was computed; solves nothing."""
        return standing_of(self._core, self._outcome)

    def explain(self, id: str) -> Explanation:
        """Why a document is selected or not, of the present state."""
        return explain_held(self._core, self._last(), id)

    def explain_embedding(self, embedding: ArrayLike) -> Explanation:
        """How near a document that is not held lies, and what it would get if it arrived: (d,) float32."""
        vector: Float32 = single(embedding)
        documents = usable(["document"], vector[None], None, None, self.dimension)
        if documents.rejected:
            raise ValueError(f"the embedding is {documents.rejected[0][1].replace('_', '-')}")
        return explain_vector(self._core, self._last(), vector)

    def _last(self) -> Outcome:
        """The selection of the present state, computed when it has changed."""
        if self._outcome is None or self._core.changed:
            if not self._core.active or self._core.seen == 0:
                raise ValueError("there is no selection before a target and a document")
            self._outcome = solve(self._core)
        return self._outcome

    def snapshot(self) -> Snapshot:
        """A copy of the state, which `Snapshot.write` may write in another thread while this selector goes on."""
        return write_state(self._core, self._revision, self._number)

    def save(self, directory: str | Path) -> None:
        """Write the state to a new or empty directory. Raises `OSError`."""
        self.snapshot().write(Path(directory))

    @classmethod
    def load(cls, directory: str | Path) -> Selector:
        """A selector that goes on where the saved one was.

        Raises:
            OSError: files are missing. ValueError: they are damaged or of another format.
        """
        selector = cls.__new__(cls)
        core, revision, number = read_state(Path(directory))
        selector._core = core
        selector._start(revision, number)
        return selector
