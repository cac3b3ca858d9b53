"""Writing checkpoints in the background: the stream goes on while arrays that were copied for it reach the disk."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tsds_stream.checkpoint import CheckpointStore
from tsds_stream.engine.clock import Clock
from tsds_stream.engine.recovery import part_of
from tsds_stream.engine.statistics import Statistics
from tsds_stream.engine.stop import Deadline
from tsds_stream.engine.texts import Pair, Texts
from tsds_stream.logs import Log
from tsds_stream.records import Json


class Snapshot(Protocol):
    """A copy of a selector's state that another thread may write."""

    def write(self, directory: Path) -> None: ...


class Checkpointer:
    """Writes one checkpoint at a time in a thread of its own. A failure is logged and counted, and ends nothing:
    an older checkpoint only makes a restart longer.
    """

    def __init__(
        self, store: CheckpointStore | None, texts: Texts, clock: Clock, statistics: Statistics, log: Log
    ) -> None:
        self._store = store
        self._texts = texts
        self._clock = clock
        self._statistics = statistics
        self._log = log
        self._thread: threading.Thread | None = None

    @property
    def wanted(self) -> bool:
        """There is a place for checkpoints."""
        return self._store is not None

    @property
    def busy(self) -> bool:
        """A checkpoint is being written."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, manifest: Json, snapshots: Mapping[str, Snapshot], held: Sequence[Pair]) -> None:
        """Begin to write; only when `wanted` and not `busy`.

        Args:
            manifest: what the checkpoint says of itself.
            snapshots: by target set.
            held: every document that a selector holds now; texts of others are let go of in time.
        """
        self._thread = threading.Thread(
            target=self._write, args=(manifest, snapshots, held), name="tsds-checkpoint", daemon=True
        )
        self._thread.start()

    def finish(self, deadline: Deadline) -> bool:
        """Wait for the checkpoint that is being written; whether nothing is left to wait for."""
        if self._thread is not None:
            self._thread.join(deadline.remaining)
        return not self.busy

    def _write(self, manifest: Json, snapshots: Mapping[str, Snapshot], held: Sequence[Pair]) -> None:
        began = self._clock.monotonic()
        assert self._store is not None
        try:
            checkpoint = self._store.save(lambda directory: _fill(directory, snapshots), manifest)
            self._texts.collect(held, checkpoint.number)
        except Exception as error:  # noqa: BLE001 - a failed checkpoint must not end the stream; it is counted
            self._statistics.checkpoint_failures += 1
            self._statistics.checkpoint_error = str(error)
            self._log.error("checkpoint failed", error=str(error), kind=type(error).__name__)
            return
        self._statistics.checkpoints += 1
        self._statistics.checkpoint_error = None
        self._statistics.checkpoint_seconds = self._clock.monotonic() - began
        self._statistics.stages["checkpoint"].observe(self._statistics.checkpoint_seconds)
        self._statistics.checkpoint_bytes = checkpoint.size
        self._statistics.last_checkpoint = self._clock.now()
        self._log.debug("checkpoint written", seconds=self._statistics.checkpoint_seconds, bytes=checkpoint.size)


def _fill(directory: Path, snapshots: Mapping[str, Snapshot]) -> None:
    for name, snapshot in snapshots.items():
        part = directory / part_of(name)
        part.mkdir()
        snapshot.write(part)
