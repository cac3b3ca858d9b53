"""The past of a stream as it is now: without the documents that have been retracted since."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from tsds_stream.streams.base import Batch, Positions, Source

_MOST = 2_000_000  # retracted ids that are remembered


class PastSource(Source):
    """Reads a source twice: first for the ids whose last record is a retraction, then for all other documents.

    In the order of the stream, documents that are gone would push others off a shortlist before they leave it
    themselves, and the row would be short although the log holds what it lacks.

    Args:
        source: one that can rewind; it is closed with this.
        at: positions from which the second reading goes on after a restart; None: from the beginning.
    """

    rewindable = True

    def __init__(self, source: Source, at: Positions | None) -> None:
        self._source = source
        self._at = at
        self._gone: set[str] = set()
        self._surveying = True
        source.seek(None)

    def seek(self, positions: Positions | None) -> None:
        """Let the second reading go on after `positions`."""
        self._source.seek(positions)
        self._surveying = False

    def poll(self, limit: int, timeout: float, until: Positions | None = None) -> Batch:
        """Documents that are live at `until`; none, at no positions, while it looks for those that are gone."""
        began = time.monotonic()
        batch = self._source.poll(limit, timeout, until)
        if not self._surveying:
            live = [one for one in batch.documents if not one.deleted and one.id not in self._gone]
            return Batch(live, [], batch.positions, batch.size)
        for document in batch.documents:
            if not document.deleted:
                self._gone.discard(document.id)
            elif len(self._gone) < _MOST:
                self._gone.add(document.id)
        if self._source.exhausted or batch.positions == until:
            self.seek(self._at)
        else:
            threading.Event().wait(time.monotonic() - began)  # the live stream comes first
        return Batch([], [], {}, 0)

    @property
    def exhausted(self) -> bool:
        return not self._surveying and self._source.exhausted

    def unreachable(self, state: Positions | None, committed: Positions) -> str | None:
        return self._source.unreachable(state, committed)

    def reaches_back(self, positions: Positions) -> bool:
        return self._source.reaches_back(positions)

    def rest(self) -> None:
        self._source.rest()

    @property
    def surveying(self) -> bool:
        """It still looks for documents that are gone."""
        return self._surveying

    def lag(self) -> Mapping[str, float]:
        return self._source.lag()

    def close(self) -> None:
        self._source.close()
