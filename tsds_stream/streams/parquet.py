"""Rows of a Parquet file, read one row group at a time; needs the extra `parquet`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tsds_stream.records import Json
from tsds_stream.streams.base import SourceError
from tsds_stream.streams.readers import HEAD, Bad, Piece, identity_of

try:
    import pyarrow
    import pyarrow.parquet
except ImportError:
    pyarrow = None

_ROWS = 1024  # decoded at a time


class ParquetReader:
    """The fields of a document are its columns; an embedding is a (fixed-size) list of numbers, or little-endian bytes.

    Its offset counts rows. A Parquet file is written once: its identity covers its first and its last bytes.
    """

    def __init__(self, path: Path, limit_bytes: int) -> None:
        if pyarrow is None:
            raise SourceError(
                f"{path} is a Parquet file, which needs pyarrow: install tsds-stream with its extra "
                '"parquet" (in a clone: pip install ".[parquet]")'
            )
        self.offset = 0
        self._limit_bytes = limit_bytes
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY)
        self._file: Any = None
        self._batches: Iterator[Any] = iter(())
        self._rows: list[Json] = []
        self._next = 0

    @property
    def left(self) -> int:
        size = self.status().st_size
        if self._file is None:
            return size
        rows: int = max(1, self._file.metadata.num_rows)
        return size * max(0, rows - self.offset) // rows

    @property
    def waiting(self) -> bool:
        return False

    def status(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        os.close(self._descriptor)

    def skip_to(self, offset: int) -> bool:
        try:
            self._open(offset)
        except (pyarrow.ArrowException, OSError, ValueError):
            return False
        return bool(self._file.metadata.num_rows >= offset)

    def identity(self) -> str:
        size = self.status().st_size
        last = os.pread(self._descriptor, HEAD, max(0, size - HEAD))
        return identity_of(os.pread(self._descriptor, HEAD, 0), last + size.to_bytes(8, "little"))

    def take(self, limit: int, until: int | None, final: bool) -> Piece:
        try:
            if self._file is None:
                self._open(0)
            while self._next >= len(self._rows):
                batch = next(self._batches, None)
                if batch is None:
                    return Piece()
                self._rows, self._next = _rows(batch), 0
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            detail = f"the Parquet file cannot be read ({error}); the rest of it is given up"
            return Piece(bad=[Bad("decode", detail, self.offset, b"")], broken=True)
        room = limit if until is None else min(limit, until - self.offset)
        rows = self._rows[self._next : self._next + room]
        piece = Piece(more=True)
        starts = []
        for start, row in enumerate(rows, self.offset):
            text = row.get("text")
            if isinstance(text, str) and len(text) * 4 > self._limit_bytes < len(text.encode("utf-8", "replace")):
                detail = f"the text is longer than source.max_document_bytes = {self._limit_bytes}"
                piece.bad.append(Bad("too_large", detail, start, b""))
            else:
                piece.values.append(row)
                starts.append(start)
        self._next += len(rows)
        self.offset += len(rows)
        piece.starts = starts
        return piece

    def _open(self, offset: int) -> None:
        self._file = pyarrow.parquet.ParquetFile(self._path)
        metadata = self._file.metadata
        group, first = 0, 0
        while group < metadata.num_row_groups and first + metadata.row_group(group).num_rows <= offset:
            first += metadata.row_group(group).num_rows
            group += 1
        groups = list(range(group, metadata.num_row_groups))
        self._batches = self._file.iter_batches(_ROWS, row_groups=groups, use_threads=False) if groups else iter(())
        self._rows, self._next, self.offset = [], 0, first
        while self.offset < offset and (batch := next(self._batches, None)) is not None:
            self._rows, self._next = _rows(batch), min(batch.num_rows, offset - self.offset)
            self.offset += self._next


def _rows(batch: Any) -> list[Json]:
    """The rows of a record batch as fields; nulls are left out."""
    names = batch.schema.names
    columns = [_column(name, batch.column(i)) for i, name in enumerate(names)]
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in zip(*columns, strict=True)
    ]


def _column(name: str, column: Any) -> list[Any]:
    kind = column.type
    if name == "timestamp" and pyarrow.types.is_timestamp(kind):
        column = column.cast(pyarrow.timestamp("ms", kind.tz), safe=False).cast(pyarrow.int64())
    elif name == "embedding" and not pyarrow.types.is_binary(kind) and not pyarrow.types.is_large_binary(kind):
        matrix = _matrix(column)
        return list(matrix) if matrix is not None else _plain(column.to_pylist())
    values: list[Any] = column.to_pylist()
    simple = name in ("id", "text", "tokens", "timestamp", "embedding")
    return values if simple else _plain(values)


def _matrix(column: Any) -> Any:
    """(n, d) float32 where every row of the column has the same length, else None."""
    if column.null_count or not len(column):
        return None
    if pyarrow.types.is_fixed_size_list(column.type):
        width = column.type.list_size
    elif pyarrow.types.is_list(column.type) or pyarrow.types.is_large_list(column.type):
        widths = column.value_lengths()
        width = widths[0].as_py()
        if len(widths.unique()) != 1:
            return None
    else:
        return None
    flat = column.flatten()
    if flat.null_count or not (pyarrow.types.is_floating(flat.type) or pyarrow.types.is_integer(flat.type)):
        return None
    with np.errstate(over="ignore"):
        return flat.to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(column), width)


def _plain(values: list[Any]) -> list[Any]:
    """Values that JSON has: dates, decimals and bytes become text."""
    return [None if value is None else orjson.loads(orjson.dumps(value, default=str)) for value in values]
