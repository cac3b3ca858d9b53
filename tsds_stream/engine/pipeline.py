"""Reading and embedding in two threads, ahead of the selectors, as far as bounded queues allow."""

from __future__ import annotations

import threading
from types import TracebackType

from tsds_stream.engine.bounded_queue import BoundedQueue
from tsds_stream.engine.clock import Clock
from tsds_stream.engine.preparation import GivenUpError, Prepared, Preparer
from tsds_stream.engine.statistics import Statistics
from tsds_stream.streams.base import Batch, Positions, Source, TopicSource

_LAG_INTERVAL = 1.0  # seconds
_POLL_TIMEOUT = 0.1  # seconds a source may wait for its first record: bounds how late a stop is noticed


class Pipeline:
    """Prepared batches of one source, in order. A context manager: leaving it ends both threads.

    What was read ahead and not taken is lost with the pipeline, which is right: positions count only when applied.
    The source belongs to the reader thread while the pipeline lives.

    Args:
        limit: the most records per batch.
        documents, size: bounds of each of the two queues.
        until: positions at which reading ends; None: at the end of the source.
    """

    def __init__(
        self,
        source: Source,
        preparer: Preparer,
        statistics: Statistics,
        clock: Clock,
        *,
        limit: int,
        documents: int,
        size: int,
        until: Positions | None = None,
    ) -> None:
        self._source = source
        self._preparer = preparer
        self._statistics = statistics
        self._clock = clock
        self._limit = limit
        self._until = until
        self._raw: BoundedQueue[Batch] = BoundedQueue(documents, size)
        self._ready: BoundedQueue[Prepared] = BoundedQueue(documents, size)
        self._leaving = threading.Event()
        self._threads = [
            threading.Thread(target=self._read, name="tsds-reader", daemon=True),
            threading.Thread(target=self._prepare, name="tsds-embedder", daemon=True),
        ]

    def __enter__(self) -> Pipeline:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self, timeout: float | None = 5.0) -> None:
        """End both threads; one that hangs in the world beyond `timeout` seconds is left behind (it is a daemon)."""
        self._leaving.set()
        self._raw.close()
        self._ready.close()
        for thread in self._threads:
            thread.join(timeout)

    def get(self, timeout: float) -> Prepared | None:
        """The next batch, or None when none came in time. Raises what a thread failed with."""
        return self._ready.get(timeout)

    @property
    def ended(self) -> bool:
        """Every batch was taken, and no more will come."""
        return self._ready.ended

    @property
    def queued(self) -> int:
        """Documents that were read and wait."""
        return self._raw.documents + self._ready.documents

    def _read(self) -> None:
        positions: Positions | None = None
        measured = self._clock.monotonic()
        try:
            while not self._leaving.is_set():
                started = self._clock.monotonic()
                batch = self._source.poll(self._limit, _POLL_TIMEOUT, self._until)
                finished = self._clock.monotonic()
                if finished >= measured + _LAG_INTERVAL:
                    measured = finished
                    self._measure_lag()
                if batch.documents or batch.dead_letters or batch.positions != positions:
                    positions = batch.positions
                    self._statistics.stages["read"].observe(finished - started)
                    self._statistics.documents_read += len(batch.documents) + len(batch.dead_letters)
                    self._statistics.bytes_read += batch.size
                    if not self._raw.put(batch, len(batch.documents), batch.size, self._source.rest):
                        return
                if self._source.exhausted or (self._until is not None and batch.positions == self._until):
                    break
            self._measure_lag()
        except Exception as error:  # noqa: BLE001 - carried to the engine's thread, which raises it
            self._raw.finish(error)
        else:
            self._raw.finish()

    def _measure_lag(self) -> None:
        self._statistics.lag = dict(self._source.lag())
        if isinstance(self._source, TopicSource):
            self._statistics.partition_lag = dict(self._source.partition_lag())

    def _prepare(self) -> None:
        try:
            while (batch := self._raw.get()) is not None:
                prepared = self._preparer.prepare(batch)
                if not self._ready.put(prepared, len(batch.documents), batch.size):
                    return
        except GivenUpError:
            self._ready.close()
        except Exception as error:  # noqa: BLE001 - carried to the engine's thread, which raises it
            self._ready.finish(error)
        else:
            self._ready.finish()
