"""Giving prepared batches to the selectors of all target sets, and keeping the texts of what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tsds_stream.engine.clock import Clock
from tsds_stream.engine.preparation import Prepared, dead_letter
from tsds_stream.engine.runs import runs
from tsds_stream.engine.statistics import Statistics
from tsds_stream.engine.target_set import TargetSet
from tsds_stream.records import DeadLetter, Document
from tsds_stream.streams.base import Withdrawal

REASONS = {
    "non_finite": ("embedding", "the embedding holds a number that is not finite"),
    "zero": ("embedding", "the embedding is zero"),
    "id": ("id", "the id cannot be used: it is empty or has no UTF-8 form"),
    "timestamp": ("timestamp", "the timestamp cannot be used: it is not within 64-bit milliseconds"),
}


class Keeper(Protocol):
    """Where texts of held documents are kept."""

    def put(self, documents: Sequence[Document], keys: Sequence[bytes]) -> None: ...


class Intake:
    """Applies records in stream order to every target set; none of the sets influences another."""

    def __init__(self, sets: Sequence[TargetSet], keeper: Keeper, clock: Clock, statistics: Statistics) -> None:
        self._sets = sets
        self._keeper = keeper
        self._clock = clock
        self._statistics = statistics
        self.held: list[str] = []  # of the last batch, ids that a selector holds
        self.withdrawn: list[Withdrawal] = []  # of the last batch
        self._event_time = any(one.config.ttl is not None for one in sets)

    def apply(self, batch: Prepared) -> list[DeadLetter]:
        """Apply a batch; what the selectors would not take."""
        in_order = not all(one.selector.calibrated for one in self._sets)
        letters: list[DeadLetter] = []
        self.held, self.withdrawn = [], []
        for retracted, positions in runs(batch.documents, in_order=in_order):
            if retracted:
                self._retract([batch.documents[i] for i in positions])
            else:
                documents, vectors = _part(batch, positions)
                letters += self._add(documents, vectors)
        self._statistics.documents_applied += len(batch.documents)
        return letters

    def backfill(self, batch: Prepared) -> None:
        """Offer a batch of the past to the rows that wait for it; it holds no retractions."""
        for _, positions in runs(batch.documents, in_order=False):
            documents, vectors = _part(batch, positions)
            ids = [document.id for document in documents]
            held: dict[int, bytes] = {}
            for one in self._sets:
                if not one.selector.waiting:
                    continue
                report = one.selector.backfill(ids, vectors, self._tokens(documents), self._timestamps(documents))
                held.update(zip(report.held.tolist(), report.keys, strict=True))
            self._keep(documents, held)
        self._statistics.backfilled += len(batch.documents)

    def _add(self, documents: list[Document], vectors: NDArray[np.float32]) -> list[DeadLetter]:
        ids = [document.id for document in documents]
        tokens, timestamps = self._tokens(documents), self._timestamps(documents)
        held: dict[int, bytes] = {}
        rejected: dict[int, str] = {}
        duplicates = 0
        for one in self._sets:
            report = one.selector.add(ids, vectors, tokens, timestamps)
            held.update(zip(report.held.tolist(), report.keys, strict=True))
            rejected.update(report.rejected)
            duplicates = max(duplicates, report.duplicates)
            self._statistics.sets[one.name].admitted += report.admitted
        self._statistics.duplicates += duplicates
        self._keep(documents, held)
        self.held += [ids[i] for i in held]
        if not rejected:
            return []
        now = self._clock.now()
        return [
            dead_letter(documents[i], *REASONS.get(reason, (reason, "the selector cannot use it")), now)
            for i, reason in sorted(rejected.items())
        ]

    def _retract(self, documents: list[Document]) -> None:
        ids, now = [document.id for document in documents], self._clock.now()
        times = (now if document.timestamp is None else min(document.timestamp, now) for document in documents)
        self.withdrawn += map(Withdrawal, ids, times)
        unknown = len(ids)
        for one in self._sets:
            unknown = min(unknown, one.selector.remove(ids).unknown)
        self._statistics.retractions += len(ids)
        self._statistics.unknown_retractions += unknown

    def _keep(self, documents: list[Document], held: dict[int, bytes]) -> None:
        if held:
            self._keeper.put([documents[i] for i in held], list(held.values()))

    @staticmethod
    def _tokens(documents: list[Document]) -> NDArray[np.int64]:
        # A record without text or count still takes room in a token budget.
        return np.array([1 if d.tokens is None else d.tokens for d in documents], np.int64)

    def _timestamps(self, documents: list[Document]) -> NDArray[np.int64] | None:
        if not self._event_time:
            return None
        now = self._clock.now()
        return np.array([now if d.timestamp is None else d.timestamp for d in documents], np.int64)


def _part(batch: Prepared, positions: list[int]) -> tuple[list[Document], NDArray[np.float32]]:
    if len(positions) == len(batch.documents):
        return batch.documents, batch.embeddings
    return [batch.documents[i] for i in positions], batch.embeddings[positions]
