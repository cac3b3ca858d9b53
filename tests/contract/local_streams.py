"""Streams without a server: in memory, in files, and through a pipe."""

from __future__ import annotations

import gzip
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import orjson

from tests.contract.streams import Put, Stream
from tests.engine_fakes import Bad, MemorySource, Wait, World, doc
from tests.engine_fakes import gone as gone_item
from tsds_stream.codecs import Decoder
from tsds_stream.streams.base import Source
from tsds_stream.streams.chained import ChainedSource
from tsds_stream.streams.files import FileSource
from tsds_stream.streams.settings import FileSourceSettings
from tsds_stream.streams.stdin import StandardInput

LATER = 4_000_000_000_000  # milliseconds: every file is quiet


class MemoryStream(Stream):
    def __init__(self, folder: Path, follow: bool = False) -> None:
        super().__init__()
        self.ends = not follow
        self.world = World([], follow=follow)

    def disturb(self, lane: int) -> None:
        self.world.items.append(Wait(0.0))

    def _write(self, records: Sequence[Put], lane: int) -> None:
        for one in records:
            if one.kind == "broken":
                self.world.items.append(Bad(one.text.encode()))
            else:
                self.world.items.append(gone_item(one.id) if one.kind == "gone" else doc(one.id, one.text))

    def _open(self) -> Source:
        return MemorySource(self.world)


class FileStream(Stream):
    """Lines in as many files as there are lanes; a single file, or a directory.

    Args:
        names: of the files, in ascending order.
    """

    def __init__(self, folder: Path, names: Sequence[str] = ("only.jsonl",), follow: bool = False) -> None:
        self.lanes = len(names)
        super().__init__()
        self.ends = not follow
        self._follow = follow
        self._root = folder / "documents"
        self._root.mkdir()
        self._files = [self._root / name for name in names]
        self._states = (folder / f"state-{number}" for number in itertools.count())
        self._path = self._root if self.lanes > 1 else self._files[0]
        self.begin()

    def begin(self) -> None:
        self._state = next(self._states)

    def disturb(self, lane: int) -> None:
        self._append(b"\r\n \n", lane)

    def _write(self, records: Sequence[Put], lane: int) -> None:
        self._append(b"".join(map(line, records)), lane)

    def _append(self, data: bytes, lane: int) -> None:
        path = self._files[lane]
        with path.open("ab") as file:
            file.write(gzip.compress(data) if path.suffix == ".gz" else data)

    def _open(self) -> Source:
        return self._source(self._path, self._state)

    def _source(self, path: Path, state: Path | None) -> FileSource:
        settings = FileSourceSettings(path=str(path), follow=self._follow, poll_interval=0.01)
        return FileSource(settings, Decoder(), state, now=lambda: LATER)


class ChainedStream(FileStream):
    """The same files, one source for each."""

    def _open(self) -> Source:
        return ChainedSource([self._source(path, None) for path in self._files])


class PipedStream(Stream):
    """What is put is piped into the process that is opened next."""

    rewindable = False

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._written = b""
        self._pipe: int | None = None

    def disturb(self, lane: int) -> None:
        self._written += b"\n"

    def forget(self) -> None:
        """A next process gets another input."""
        self._written, self.given = b"", [[]]

    def leave(self) -> None:
        super().leave()
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

    def _write(self, records: Sequence[Put], lane: int) -> None:
        self._written += b"".join(map(line, records))
        assert len(self._written) < 60_000, "a pipe holds no more"

    def _open(self) -> Source:
        self.leave()
        self._pipe, writing = os.pipe()
        os.write(writing, self._written)
        os.close(writing)
        return StandardInput(FileSourceSettings(path="-"), Decoder(), self._pipe)


def line(one: Put) -> bytes:
    if one.kind == "broken":
        return one.text.encode() + b"\n"
    fields = {"id": one.id, "deleted": True} if one.kind == "gone" else {"id": one.id, "text": one.text}
    return orjson.dumps(fields) + b"\n"
