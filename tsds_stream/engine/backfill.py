"""Reading the past of the stream again, beside the live stream, for targets that came late and rows that ran short."""

from __future__ import annotations

from collections.abc import Callable

from tsds_stream.engine.clock import Clock
from tsds_stream.engine.options import Options
from tsds_stream.engine.past import PastSource
from tsds_stream.engine.pipeline import Pipeline
from tsds_stream.engine.preparation import Prepared, Preparer
from tsds_stream.engine.statistics import Statistics
from tsds_stream.records import Json
from tsds_stream.streams.base import Positions, Source


class Backfill:
    """A second reader of the source, from the beginning to the positions at which the need arose.

    It takes at most a share of the engine's time while live documents wait, and all of it while none do.

    Args:
        source: an instance of its own; it is closed with the backfill.
        until: positions at which the past ends.
        at: positions from which to go on after a restart; None: from the beginning.
        names: of the target sets that wait for it.
    """

    def __init__(
        self,
        source: Source,
        preparer: Preparer,
        clock: Clock,
        options: Options,
        *,
        until: Positions,
        at: Positions | None,
        names: list[str],
    ) -> None:
        past = PastSource(source, at)
        self.until = until
        self.at = at
        self.names = names
        self._source = past
        self._clock = clock
        self._share = options.backfill_share
        self._began = clock.monotonic()
        self._spent = 0.0
        self.done = False
        self._statistics = Statistics()  # what is read again must not count as read
        self._pipeline = Pipeline(
            past,
            preparer,
            self._statistics,
            clock,
            limit=options.batch,
            documents=options.queue_documents,
            size=options.queue_bytes,
            until=until,
        )
        self._pipeline.__enter__()

    def step(self, apply: Callable[[Prepared], None], *, live_waits: bool, patience: float) -> None:
        """Apply one batch, when there is one and it is the backfill's turn.

        Args:
            live_waits: live documents are ready to be applied.
            patience: seconds to wait for a batch when nothing else is to be done.
        """
        started = self._clock.monotonic()
        if live_waits and self._spent > self._share * (started - self._began):
            return
        batch = self._pipeline.get(0.0 if live_waits else patience)
        if batch is not None:
            began = self._clock.monotonic()
            apply(batch)
            self.at = batch.positions or self.at
            self._spent += self._clock.monotonic() - began
        self.done = self._pipeline.ended

    @property
    def complete(self) -> bool:
        """Whether the source still holds all of the past; ask when it is `done`."""
        return self._source.reaches_back(self.until)

    @property
    def standing(self) -> Json:
        """How far it is, for the log."""
        left = {f"left_{what}": int(amount) for what, amount in self._statistics.lag.items() if what != "seconds"}
        return {"reading": "retractions" if self._source.surveying else "documents", **left}

    def as_record(self) -> Json:
        """What a checkpoint keeps of it."""
        return {"until": self.until, "at": self.at, "sets": self.names}

    def close(self) -> None:
        """End its threads and let go of the source."""
        self._pipeline.close()
        self._source.close()
