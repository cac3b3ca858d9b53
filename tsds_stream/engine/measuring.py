"""Measuring while the stream goes on: how long records wait, and how the insides of the selectors stand."""

from __future__ import annotations

from collections.abc import Sequence

from tsds_stream.engine.clock import Clock, Every
from tsds_stream.engine.options import Options
from tsds_stream.engine.preparation import Prepared
from tsds_stream.engine.statistics import Statistics
from tsds_stream.engine.target_set import TargetSet

_RECALL_SAMPLE = 100  # points whose neighbours are sought by exact search
_TIMED = 8  # documents of a batch whose latency is measured


class Measuring:
    """Works in the engine's thread: nobody else may look into a selector.

    Args:
        stamped: records carry the moment at which they were produced; otherwise their time begins when they are read.
    """

    def __init__(
        self, sets: Sequence[TargetSet], statistics: Statistics, clock: Clock, options: Options, *, stamped: bool
    ) -> None:
        self._sets = sets
        self._statistics = statistics
        self._clock = clock
        self._stamped = stamped
        self._moments: list[int] = []  # of records that no refresh has seen yet
        self._standing_due = Every(options.standing_interval, clock)
        self._recall_due = Every(options.recall_interval, clock)

    def applied(self, batch: Prepared) -> None:
        """Some documents of the batch wait from their moments on."""
        for document in batch.documents[:: -(-len(batch.documents) // _TIMED) or 1]:
            produced = document.timestamp if self._stamped else None
            self._moments.append(batch.taken if produced is None else produced)

    def refreshed(self) -> None:
        """All of them are reflected in what is published now."""
        self._statistics.latency.observe(self._clock.now(), self._moments)
        self._moments = []

    def look(self, *, now: bool = False) -> None:
        """See how the selectors stand, when it is time or `now`; the recall of an approximate index takes longer."""
        if not (now or self._standing_due.due):
            return
        recall = self._recall_due.due
        for one in self._sets:
            numbers = self._statistics.sets[one.name]
            numbers.standing = one.selector.standing()
            if recall and numbers.standing.kind == "hnsw":
                numbers.recall = one.selector.recall(_RECALL_SAMPLE)
                numbers.recall_at = self._clock.now()
        self._standing_due.done()
        if recall:
            self._recall_due.done()
