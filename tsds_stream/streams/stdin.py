"""Standard input as a stream: JSON lines that come by once and cannot be read again."""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Callable, Mapping

from tsds_stream.codecs import Decoder
from tsds_stream.records import DeadLetter, Json
from tsds_stream.streams.base import Batch, Positions, SourceError
from tsds_stream.streams.clocks import wall_clock
from tsds_stream.streams.lines import LineReader
from tsds_stream.streams.readers import KEPT, Bad
from tsds_stream.streams.settings import FileSourceSettings

log = logging.getLogger(__name__)
NAME = "-"
_GONE_BY = "Standard input cannot be read again, and the newest checkpoint lies before what was published."


class PipeStream:
    """The bytes that a pipe has brought so far; `wait` waits for more."""

    raw_offset = 0
    whole = True

    def __init__(self, descriptor: int) -> None:
        self.offset = 0
        self.ended = False
        self._descriptor = descriptor

    def wait(self, seconds: float) -> bool:
        """Whether something, or the end, came within so many seconds."""
        return bool(select.select([self._descriptor], [], [], max(0.0, seconds))[0])

    def read(self, size: int) -> bytes:
        if self.ended or not self.wait(0):
            return b""
        data = os.read(self._descriptor, size)
        self.ended = not data
        self.offset += len(data)
        return data

    def skip_to(self, offset: int) -> bool:
        return offset == self.offset

    def status(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    def close(self) -> None:
        """The descriptor belongs to the process."""


class StandardInput:
    """The `Source` of standard input; positions count its bytes over all runs of one state.

    `seek` takes the next bytes to be the continuation of what was read before: whoever starts the program again pipes
    in what is new. What was read and not published when the last run ended is gone; use a file where that matters.
    """

    rewindable = False

    def __init__(
        self,
        settings: FileSourceSettings,
        decoder: Decoder,
        descriptor: int = 0,
        *,
        now: Callable[[], int] = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._decoder = decoder
        self._now = now
        self._monotonic = monotonic
        self._stream = PipeStream(descriptor)
        self._reader = LineReader(self._stream, settings.max_document_bytes)
        self._before = 0  # bytes of earlier runs
        self._drained = False

    def seek(self, positions: Positions | None) -> None:
        if self._reader.offset:
            raise SourceError("Standard input cannot be read again: what it brought has gone by.")
        try:
            self._before = 0 if positions is None else int(positions["files"][NAME][1])
        except (KeyError, TypeError, ValueError, IndexError):
            raise SourceError(
                "The state was written by another source than standard input. Give this one a state directory and a "
                "sink of its own."
            ) from None
        if self._before:
            log.warning("standard input is taken as the continuation after byte %d of earlier runs", self._before)

    def poll(self, limit: int, timeout: float, until: Positions | None = None) -> Batch:
        if until is not None:
            if until != self._positions():
                raise SourceError(f"{_GONE_BY} Start over with an empty state directory and an empty sink.")
            return Batch([], [], until)
        deadline = self._monotonic() + timeout
        while True:
            begin = self._reader.offset
            piece = self._reader.take(limit, None, self._stream.ended)
            self._drained = self._stream.ended and not piece.more and not self._reader.waiting
            if piece.values or piece.bad or self._drained:
                break
            left = deadline - self._monotonic()
            if not piece.more and not self._stream.ended and (left <= 0 or not self._stream.wait(left)):
                break
        sources: list[Json] = [{"path": NAME, "position": self._before + start} for start in piece.starts]
        documents, errors = self._decoder.documents(piece.values, sources=sources)
        bad = list(piece.bad)
        for position, error in errors:
            value = piece.values[position]
            kept = value if isinstance(value, bytes) else b""
            bad.append(Bad(error.reason, error.detail, piece.starts[position], kept))
        letters = [
            DeadLetter(one.reason, one.detail, {"path": NAME, "position": self._before + one.start}, None,
                       one.value[:KEPT], self._now())
            for one in bad
        ]  # fmt: skip
        return Batch(documents, letters, self._positions(), self._reader.offset - begin)

    @property
    def exhausted(self) -> bool:
        return self._drained

    def unreachable(self, state: Positions | None, committed: Positions) -> str | None:
        """Why a state of other positions cannot be brought to those that are published, or None."""
        return None if state == committed else _GONE_BY

    def reaches_back(self, positions: Positions) -> bool:
        """Never: a pipe brings everything once."""
        return False

    def rest(self) -> None:
        """The pipe holds up whoever writes to it."""

    def lag(self) -> Mapping[str, float]:
        return {}

    def close(self) -> None:
        self._reader.close()

    def _positions(self) -> Positions:
        return {"files": {NAME: ["", self._before + self._reader.offset]}, "finished": [0, ""]}
