"""A file of plain text as one document, named by its path: for people who have a folder of texts."""

from __future__ import annotations

import os
from pathlib import Path

from tsds_stream.streams.readers import HEAD, KEPT, Bad, Piece, identity_of


class WholeFileReader:
    """One .txt or .md file: the id is the path, so an edited file is a new version of its document.

    Its offset is 0 before, and its size after. An empty file holds no document.
    """

    def __init__(self, path: Path, name: str, limit_bytes: int) -> None:
        self.offset = 0
        self._path = path
        self._name = name
        self._limit_bytes = limit_bytes
        self._descriptor = os.open(path, os.O_RDONLY)

    @property
    def left(self) -> int:
        return max(0, self.status().st_size - self.offset)

    @property
    def waiting(self) -> bool:
        return False

    def status(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)

    def skip_to(self, offset: int) -> bool:
        self.offset = offset
        return self.status().st_size >= offset

    def identity(self) -> str:
        data = os.pread(self._descriptor, min(self.offset, self._limit_bytes), 0)
        return identity_of(data[:HEAD], data)  # all of it, so that an edit in the middle is noticed

    def take(self, limit: int, until: int | None, final: bool) -> Piece:
        size = self.status().st_size
        if self.offset or not size:
            return Piece()
        if size > self._limit_bytes:
            detail = f"the file has {size} bytes, source.max_document_bytes is {self._limit_bytes}"
            self.offset = size
            return Piece(bad=[Bad("too_large", detail, 0, os.pread(self._descriptor, KEPT, 0))])
        data = os.pread(self._descriptor, self._limit_bytes, 0)
        self.offset = len(data)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            return Piece(bad=[Bad("encoding", f"not UTF-8 at byte {error.start}", 0, data[:KEPT])])
        return Piece([{"id": self._name, "text": text}], [0])
