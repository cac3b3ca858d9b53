"""A line in the log for each minute with news: a quiet stream leaves a short log, a busy one a readable one."""

from __future__ import annotations

from tsds_stream.engine.clock import Clock, Every
from tsds_stream.engine.statistics import Statistics
from tsds_stream.logs import Log

_QUIET = 3600.0  # seconds after which a stream without news is said to be alive


class Summary:
    """Compares the statistics with those of the last line."""

    def __init__(self, statistics: Statistics, log: Log, clock: Clock, interval: float) -> None:
        self._statistics = statistics
        self._log = log
        self._clock = clock
        self._every = Every(interval, clock)
        self._quiet = Every(_QUIET, clock)
        self._before = self._numbers()

    def _checkpoint(self) -> dict[str, float]:
        """Age in seconds and size of the last one, in this run."""
        s = self._statistics
        if not s.last_checkpoint:
            return {}
        return {
            "checkpoint_age": (self._clock.now() - s.last_checkpoint) // 1000,
            "checkpoint_bytes": s.checkpoint_bytes,
        }

    def _numbers(self) -> dict[str, int]:
        s = self._statistics
        return {
            "documents": s.documents_applied,
            "retractions": s.retractions,
            "dead_letters": s.dead_letters.total(),
            "backfilled": s.backfilled,
            **{f"{name}.revisions": one.revision for name, one in s.sets.items()},
        }

    def tick(self) -> None:
        """Write the line if it is due and there is something to say."""
        if not self._every.due:
            return
        self._every.done()
        now = self._numbers()
        news = {name: count - self._before.get(name, 0) for name, count in now.items()}
        news = {name: count for name, count in news.items() if count}
        if news:
            self._before = now
            self._quiet.done()
            lag = {f"lag_{what}": amount for what, amount in self._statistics.lag.items()}
            self._log.info("progress", **news, **lag, **self._checkpoint())
        elif self._quiet.due:
            self._quiet.done()
            self._log.info("quiet", documents_seen=self._statistics.documents_applied)
