"""A file source in a test's hands: a clock that it moves, and everything that a source gives until it has no more."""

from __future__ import annotations

from pathlib import Path

import orjson

from tsds_stream.codecs import Decoder
from tsds_stream.streams.base import Batch, Positions
from tsds_stream.streams.files import FileSource
from tsds_stream.streams.settings import FileSourceSettings


class Clock:
    """Both clocks of a source; sleeping moves them."""

    def __init__(self, seconds: float = 2_000_000_000.0) -> None:
        self.seconds = seconds  # by default later than any file that a test makes: all are quiet at once

    def now(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def open_files(path: Path, state: Path | None = None, clock: Clock | None = None, **settings: object) -> FileSource:
    clock = clock or Clock()
    return FileSource(
        FileSourceSettings(path=str(path), **settings),
        Decoder(),
        state,
        now=clock.now,
        monotonic=clock.monotonic,
        sleep=clock.sleep,
    )


def drain(source: FileSource, limit: int = 1000, until: Positions | None = None, polls: int = 10_000) -> Batch:
    """Everything that comes until a poll brings nothing, as one batch."""
    whole = Batch([], [], {})
    for _ in range(polls):
        batch = source.poll(limit, 0.0, until)
        assert len(batch.documents) + len(batch.dead_letters) <= limit
        whole.documents += batch.documents
        whole.dead_letters += batch.dead_letters
        whole.size += batch.size
        whole.positions = batch.positions
        if source.exhausted or not (batch.documents or batch.dead_letters or batch.size):
            return whole
    raise AssertionError("the source never comes to an end")


def ids(batch: Batch) -> list[str]:
    return [document.id for document in batch.documents]


def lines(*names: str) -> bytes:
    return b"".join(orjson.dumps({"id": name, "text": f"text of {name}"}) + b"\n" for name in names)


def numbered(start: int, stop: int) -> list[str]:
    return [f"d{i}" for i in range(start, stop)]
