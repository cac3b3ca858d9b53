"""Parquet files; needs the extra `parquet`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import orjson
import pyarrow
import pyarrow.parquet

from tsds_stream.exporting.compression import Compression
from tsds_stream.exporting.documents import FIELDS, Document
from tsds_stream.exporting.formats import File
from tsds_stream.records import Json

_GROUP_ROWS: Final = 8192
_GROUP_BYTES: Final = 16 << 20  # of JSON; one or the other ends a row group
_NEAREST = pyarrow.list_(pyarrow.struct({"target": pyarrow.string(), "distance": pyarrow.float64()}))
_TYPES: Final = {
    "id": pyarrow.string(),
    "text": pyarrow.string(),
    "meta": pyarrow.string(),
    "weight": pyarrow.float64(),
    "probability": pyarrow.float64(),
    "density": pyarrow.float64(),
    "multiplicity": pyarrow.int64(),
    "nearest": _NEAREST,
    "source": pyarrow.string(),
    "revision": pyarrow.int64(),
}
_JSON: Final = ("meta", "source")
SCHEMA: Final = pyarrow.schema([pyarrow.field(name, _TYPES[name]) for name in FIELDS])


class Parquet:
    """documents-00000.parquet, …; `meta` and `source`, of which every document may have another kind, are JSON."""

    def __init__(self, compression: Compression) -> None:
        self.libraries = f"pyarrow {pyarrow.__version__}"
        self._compression = compression

    def name(self, number: int) -> str:
        return f"documents-{number:05d}.parquet"

    def encode(self, documents: Iterable[Document], note: Json) -> Iterator[bytes]:
        sink = pyarrow.BufferOutputStream()
        with pyarrow.parquet.ParquetWriter(sink, SCHEMA, compression=self._compression) as writer:
            for rows in _groups(documents):
                writer.write_table(pyarrow.Table.from_pylist(rows, SCHEMA), row_group_size=_GROUP_ROWS)
        yield memoryview(sink.getvalue()).cast("B")  # type: ignore[misc]

    def index(self, files: Sequence[File]) -> dict[str, bytes]:
        return {}


def _groups(documents: Iterable[Document]) -> Iterator[list[Json]]:
    rows: list[Json] = []
    size = 0
    for document in documents:
        rows.append({name: _cell(name, value) for name, value in document.fields.items()})
        size += len(document.line)
        if len(rows) == _GROUP_ROWS or size >= _GROUP_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _cell(name: str, value: object) -> object:
    return orjson.dumps(value).decode() if name in _JSON and value is not None else value
