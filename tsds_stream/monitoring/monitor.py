"""Watching a run: once per second a thread makes the status document, and gives it to whoever shows it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

import orjson

from tsds_stream import __version__
from tsds_stream.config import Settings
from tsds_stream.engine.clock import Clock, SystemClock
from tsds_stream.engine.preparation import Prepared
from tsds_stream.engine.statistics import Statistics
from tsds_stream.engine.target_set import TargetSet
from tsds_stream.logs import Log
from tsds_stream.monitoring.events import Events
from tsds_stream.monitoring.history import History
from tsds_stream.monitoring.process import memory_limit_bytes, resident_bytes
from tsds_stream.monitoring.status import FORMAT, Rate, flow_of, parts_of, set_of
from tsds_stream.monitoring.status_file import StatusFile
from tsds_stream.monitoring.watches import Watches
from tsds_stream.records import Json
from tsds_stream.selection.revision import Revision
from tsds_stream.streams.base import Publication

if TYPE_CHECKING:
    from tsds_stream.monitoring.child import Server

Watcher = Callable[[Json], None]  # is given each status document, in the monitor's thread

_INTERVAL: Final = 1.0  # seconds between two status documents
_FILE_EVERY: Final = 2  # documents: how often the file is written


class Monitor:
    """Observes an engine. A context manager: inside it there is a thread and, where it is configured, a port.

    Args:
        settings: of the run.
        log: of the run.
        clock: wall clock of the documents.
        watchers: called with each document.
        interval: seconds between two documents.

    Attributes:
        url: of the status page, once it is entered; None: there is none.

    Raises (on entering):
        CommandError: the port cannot be had, or what serves it is not installed.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        *,
        clock: Clock | None = None,
        watchers: Sequence[Watcher] = (),
        interval: float = _INTERVAL,
    ) -> None:
        self.url: str | None = None
        self._settings = settings
        self._log = log
        self._clock = clock or SystemClock()
        self._watchers = watchers
        self._interval = interval
        self._configs = {one.name: one.selector_config() for one in settings.target_sets}
        self._configuration = _configuration(settings)
        self._memory_limit = memory_limit_bytes(settings.monitoring.memory_limit)
        self._state = Path(settings.state.directory)
        self._statistics = Statistics()
        self._started = self._clock.now()
        self._ended = False
        self._exit: str | None = None
        self._watches = Watches(settings.monitoring.drift, self._state / "monitoring", self._clock, log)
        self._rate, self._history, self._events = Rate(), History(), Events()
        self._file: StatusFile | None = None  # the directory is ours only once the engine has its lock
        self._server: Server | None = None
        self._count = 0
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="tsds-monitor", daemon=True)

    def __enter__(self) -> Monitor:
        monitoring = self._settings.monitoring
        if monitoring.listen is not None:
            from tsds_stream.monitoring.child import Server

            self._server = Server(monitoring, self._state, self._log)
            self.url = self._server.start()
            self._log.info("listening", url=self.url)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._leaving.set()
        self._thread.join(10.0)
        if self._server is not None:
            self._server.close()

    # -- what the engine tells, in its thread ------------------------------------------------------------------------

    def started(self, statistics: Statistics) -> None:
        """As `Observer`."""
        self._statistics = statistics
        statistics.ticked = self._clock.now()
        self._file = StatusFile(self._state, self._log)

    def began(self, sets: Sequence[TargetSet]) -> None:
        """As `Observer`."""
        self._watches.began(sets)

    def applied(self, batch: Prepared, held: Sequence[str]) -> None:
        """As `Observer`."""
        self._watches.applied(batch, held)

    def targets_changed(self, one: TargetSet) -> None:
        """As `Observer`."""
        self._watches.targets_changed(one)

    def published(self, one: TargetSet, revision: Revision, publication: Publication) -> None:
        """As `Observer`."""
        self._watches.published(one, revision, publication)

    def ended(self, error: str | None) -> None:
        """As `Observer`; the last document is made before this returns, while the state directory is still ours."""
        self._exit, self._ended = error, True
        self._leaving.set()
        if self._thread.is_alive():
            self._thread.join(10.0)

    # -- the monitor's thread ----------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._leaving.wait(self._interval):
            self._look()
        self._watches.finish()
        self._look()

    def _look(self) -> None:
        """Make a document and give it away. Whatever fails here must not end the watching, let alone the stream."""
        try:
            status = self.document()
            line = orjson.dumps(status, option=orjson.OPT_SERIALIZE_NUMPY)
            if self._server is not None:
                self._server.send(line)
            if self._file is not None and (self._ended or self._count % _FILE_EVERY == 0):
                self._file.write(line)
            for watcher in self._watchers:
                watcher(status)
            self._count += 1
        except Exception as error:  # noqa: BLE001 - it is told, and the next document may succeed
            self._log.error("monitoring failed", error=str(error), kind=type(error).__name__)

    def document(self) -> Json:
        """The status document of this moment; only for the monitor's thread."""
        now = self._clock.now()
        numbers = self._statistics
        status: Json = {
            "format": FORMAT,
            "version": __version__,
            "created": now,
            "process": {
                "pid": os.getpid(),
                "started": self._started,
                "ticked": numbers.ticked,
                "phase": numbers.phase,
                "resident_bytes": resident_bytes(),
                "memory_limit_bytes": self._memory_limit,
                "cpu_seconds": time.process_time(),
                "exit": self._exit,
            },
            "configuration": self._configuration,
            "flow": flow_of(numbers, self._rate.at(now, numbers.documents_applied)),
            **parts_of(numbers, now),
            "sets": {
                name: set_of(one, self._configs[name], self._watches.selection(name))
                for name, one in sorted(numbers.sets.items())
            },
            "drift": self._watches.drift(),
        }
        self._history.add(now, _charted(status))
        self._events.compare(status)
        status["history"] = self._history.document()
        status["events"] = self._events.document()
        return status


def _configuration(settings: Settings) -> Json:
    """What a reader of numbers must know of the settings; nothing secret."""
    drift = settings.monitoring.drift
    public = settings.model_dump(mode="json", exclude={"kafka": True, "monitoring": {"token"}})
    digest = blake2b(orjson.dumps(public, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
    return {
        "source": settings.source.kind,
        "sink": settings.sink.kind,
        "embedder": settings.embedder.kind,
        "state": settings.state.directory,
        "digest": digest,
        "publish_interval": settings.publish.interval,
        "checkpoint_interval": settings.state.checkpoint_interval,
        "follow": settings.source.kind == "kafka" or settings.source.follow,
        "monitoring": {"short_window": drift.short_window, "long_window": drift.long_window, "rate": drift.rate},
    }


def _charted(status: Json) -> dict[str, float | None]:
    """The numbers whose course is kept."""
    flow = status["flow"]
    numbers: dict[str, float | None] = {
        "documents_per_second": flow["documents_per_second"],
        **{f"lag_{what}": amount for what, amount in flow["lag"].items()},
        "dead_letters": sum(flow["dead_letters"].values()),
        "documents_read": flow["documents_read"],
        "resident_bytes": status["process"]["resident_bytes"],
    }
    for name, one in status["sets"].items():
        watch = one["watch"] or {}
        numbers |= {f"set/{name}/{field}": one[field] for field in ("size", "transport_cost", "revision")}
        numbers |= {f"set/{name}/{field}": watch.get(field) for field in ("turnover", "tv", "group_distance")}
        numbers[f"set/{name}/selection_drift"] = (watch.get("selection_drift") or {}).get("score")
    for signal in status["drift"].get("signals", []):
        place = [signal["signal"], signal["set"], signal["window"]]
        numbers["/".join(["drift", *filter(None, place)])] = signal["score"]
    return numbers
