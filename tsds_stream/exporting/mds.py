"""MDS, the shards of mosaicml-streaming (`streaming.StreamingDataset`), version 2 of the format.

A shard is little-endian: the number of samples n (uint32); where each sample begins and the last one ends, from the
start of the file (uint32, n + 1); the columns as JSON, which readers take from the index instead; the samples. A sample
has the sizes of its values of variable size (uint32 each), then all values in the order of the columns, which is
alphabetical. index.json lists shards with sizes and hashes. Compressed, a whole shard is one frame.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import nan
from typing import Final

import orjson

from tsds_stream.exporting.compression import LIBRARY, Compression, compressed_whole
from tsds_stream.exporting.documents import FIELDS, Document
from tsds_stream.exporting.errors import ExportError
from tsds_stream.exporting.formats import File
from tsds_stream.records import Json

MOST_BYTES: Final = (1 << 32) - 1  # of a shard: its offsets are uint32
_KINDS: Final = {
    "id": "str",
    "text": "str",
    "meta": "json",
    "weight": "float64",
    "probability": "float64",
    "density": "float64",
    "multiplicity": "int64",
    "nearest": "json",
    "source": "json",
    "revision": "int64",
}
_COLUMNS: Final = sorted(FIELDS)
_FIXED: Final = {"float64": struct.Struct("<d"), "int64": struct.Struct("<q")}
_NAMES: Final[dict[Compression, str | None]] = {"none": None, "zstd": "zstd", "gzip": "gz"}


class MosaicShards:
    """shard.00000.mds, … and index.json.

    The format has no missing values: a text that is not there is an empty one, a number NaN, and the rest None.
    """

    def __init__(self, compression: Compression, shard_size: int) -> None:
        self.libraries = f"orjson {orjson.__version__} {LIBRARY[compression]}".strip()
        self._compression = compression
        self._settings: Json = {
            "column_encodings": [_KINDS[name] for name in _COLUMNS],
            "column_names": _COLUMNS,
            "column_sizes": [8 if _KINDS[name] in _FIXED else None for name in _COLUMNS],
            "compression": _NAMES[compression],
            "format": "mds",
            "hashes": ["sha256"],
            "size_limit": shard_size,
            "version": 2,
        }

    def name(self, number: int) -> str:
        end = _NAMES[self._compression]
        return f"shard.{number:05d}.mds" + (f".{end}" if end is not None else "")

    def encode(self, documents: Iterable[Document], note: Json) -> Iterator[bytes]:
        samples = [_sample(document.fields) for document in documents]
        settings = json.dumps(self._settings, sort_keys=True).encode()
        start = 4 + 4 * (len(samples) + 1) + len(settings)
        offsets = list(accumulate(map(len, samples), initial=start))
        if offsets[-1] > MOST_BYTES:
            raise ExportError(
                f"An MDS shard would have {offsets[-1]} bytes, and the format ends at {MOST_BYTES}. Give a smaller "
                "--shard-size, or another --format if it is one document."
            )
        raw = b"".join([struct.pack(f"<{len(offsets) + 1}I", len(samples), *offsets), settings, *samples])
        note |= {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
        yield compressed_whole(raw, self._compression)

    def index(self, files: Sequence[File]) -> dict[str, bytes]:
        shards = []
        for file in files:
            as_it_is = _described(file.name, file.bytes, file.sha256)
            if self._compression == "none":
                raw, packed = as_it_is, None
            else:
                raw = _described(file.name.rpartition(".")[0], file.note["bytes"], file.note["sha256"])
                packed = as_it_is
            shards.append({**self._settings, "raw_data": raw, "samples": file.documents, "zip_data": packed})
        return {"index.json": json.dumps({"shards": shards, "version": 2}, sort_keys=True).encode()}


def _described(name: str, size: int, sha256: str) -> Json:
    return {"basename": name, "bytes": size, "hashes": {"sha256": sha256}}


def _sample(fields: Json) -> bytes:
    values = [_encoded(_KINDS[name], fields[name]) for name in _COLUMNS]
    variable = [len(value) for name, value in zip(_COLUMNS, values, strict=True) if _KINDS[name] not in _FIXED]
    return b"".join([struct.pack(f"<{len(variable)}I", *variable), *values])


def _encoded(kind: str, value: object) -> bytes:
    if kind == "json":
        return orjson.dumps(value)
    if kind == "str":
        return ("" if value is None else str(value)).encode()
    if kind == "float64":
        return _FIXED[kind].pack(nan if value is None else value)
    return _FIXED[kind].pack(0 if value is None else value)
