"""Segments: immutable files of selection records with an index for random access.

The index is little-endian: the magic, then as uint64 the number of rows n and the bytes of all ids; then offsets of the
lines (uint64, n + 1) and of the ids (uint64, n + 1), multiplicities (int64), probabilities and weights as sent
(float64), keys of the points (16 bytes each), crc32 of the lines (uint32), and the ids (UTF-8).
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final
from zlib import crc32

import numpy as np
import orjson
from numpy.typing import NDArray

from tsds_stream.durable import Disk
from tsds_stream.records import Json
from tsds_stream.sealed import DamagedFileError, check_file
from tsds_stream.streams.layout import SetLayout

MAGIC: Final = b"TSDSSEG1"
KEY_BYTES: Final = 16
RESTORE: Final = (
    "Restore the file from a copy, or move the whole directory away and let the selection be published anew."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One selection record and what the index keeps of it."""

    line: bytes  # JSON with the newline
    id: str
    key: bytes  # of the point, 16 bytes
    multiplicity: int
    probability: float  # as sent
    weight: float  # as sent

    @classmethod
    def of(cls, record: Json, key: bytes) -> Row:
        """Raises `TypeError` when JSON cannot hold the record."""
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        return cls(line, record["id"], key, record["multiplicity"], record["probability"], record["weight"])


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """What a manifest says of a segment."""

    number: int
    rows: int
    data_bytes: int
    data_sha256: str
    index_bytes: int
    index_sha256: str


def write_segment(disk: Disk, layout: SetLayout, number: int, rows: Sequence[Row]) -> SegmentInfo:
    """Write a segment of at least one row; the caller syncs its files and their directory."""
    lines = [row.line for row in rows]
    index = _index(rows)
    lines_sha256 = hashlib.sha256()
    for line in lines:
        lines_sha256.update(line)
    disk.write(layout.lines(number), lines)
    disk.write(layout.index(number), [index])
    return SegmentInfo(
        number,
        len(rows),
        sum(map(len, lines)),
        lines_sha256.hexdigest(),
        len(index),
        hashlib.sha256(index).hexdigest(),
    )


def _index(rows: Sequence[Row]) -> bytes:
    ids = [row.id.encode() for row in rows]
    if any(len(row.key) != KEY_BYTES for row in rows):
        raise ValueError(f"a point key has {KEY_BYTES} bytes")
    columns: list[NDArray[Any]] = [
        _ends([len(row.line) for row in rows]),
        _ends([len(name) for name in ids]),
        np.array([row.multiplicity for row in rows], "<i8"),
        np.array([row.probability for row in rows], "<f8"),
        np.array([row.weight for row in rows], "<f8"),
        np.frombuffer(b"".join([row.key for row in rows]), np.uint8),
        np.array([crc32(row.line) for row in rows], "<u4"),
    ]
    blob = b"".join(ids)
    head = np.array([len(rows), len(blob)], "<u8")
    return b"".join([MAGIC, head.tobytes(), *(column.tobytes() for column in columns), blob])


def _ends(lengths: Iterable[int]) -> NDArray[np.uint64]:
    return np.cumsum([0, *lengths], dtype=np.uint64).astype("<u8")


class Segment:
    """A segment opened for reading; both files are memory-mapped. Columns are aligned with its rows.

    Attributes:
        data, offsets: the lines, and where each begins; row i is `data[offsets[i] : offsets[i + 1]]`.
        compared: 1 for lines whose checksum was found right.

    Raises:
        DamagedFileError: a file is missing or has another size than the manifest says.
    """

    def __init__(self, layout: SetLayout, info: SegmentInfo) -> None:
        self.info = info
        self.path = layout.lines(info.number)
        self.index_path = layout.index(info.number)
        check_file(self.path, info.data_bytes, None, RESTORE)
        check_file(self.index_path, info.index_bytes, None, RESTORE)
        index: NDArray[np.uint8] = np.asarray(np.memmap(self.index_path, np.uint8, "r"))  # whose slices cost less
        n = info.rows
        widths = [8, 16, 8 * (n + 1), 8 * (n + 1), 8 * n, 8 * n, 8 * n, KEY_BYTES * n, 4 * n]
        cuts = np.cumsum([0, *widths]).tolist()
        if cuts[-1] > len(index) or index[:8].tobytes() != MAGIC or int(index[8:16].view("<u8")[0]) != n:
            raise DamagedFileError(self.index_path, "is not the index of this segment", RESTORE)
        part = [index[a:b] for a, b in pairwise(cuts[2:])]
        offsets: NDArray[np.uint64] = part[0].view("<u8").astype(np.uint64, copy=False)
        self.offsets = memoryview(offsets.data)  # whose items cost less than those of an array
        self._id_ends: NDArray[np.uint64] = part[1].view("<u8")
        self.multiplicities: NDArray[np.int64] = part[2].view("<i8")
        self.probabilities: NDArray[np.float64] = part[3].view("<f8")
        self.weights: NDArray[np.float64] = part[4].view("<f8")
        self.keys: NDArray[np.uint8] = part[5].reshape(n, KEY_BYTES)
        self._checksums: NDArray[np.uint32] = part[6].view("<u4")
        self._ids = index[cuts[-1] :]
        self._index = index
        self.compared = bytearray(n)
        with self.path.open("rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @cached_property
    def ids(self) -> NDArray[np.object_]:
        """(n,) str, in the order of the rows."""
        blob, ends = self._ids.tobytes(), self._id_ends.tolist()
        out = np.empty(len(ends) - 1, dtype=object)
        try:
            out[:] = [blob[a:b].decode() for a, b in pairwise(ends)]
        except UnicodeDecodeError:
            raise DamagedFileError(self.index_path, "holds ids that are not UTF-8", RESTORE) from None
        return out

    def id(self, row: int) -> str:
        """The id in a row; for one of them no others are decoded. Raises `DamagedFileError`."""
        start, end = int(self._id_ends[row]), int(self._id_ends[row + 1])
        try:
            return self._ids[start:end].tobytes().decode()
        except UnicodeDecodeError:
            raise DamagedFileError(self.index_path, "holds ids that are not UTF-8", RESTORE) from None

    def line(self, row: int) -> bytes:
        """The record of a row as it was written, with its newline; compared with its checksum when it is first read.

        Raises:
            DamagedFileError: it is not what was written.
        """
        start, end = self.offsets[row], self.offsets[row + 1]
        line = self.data[start:end]
        if not self.compared[row]:
            if crc32(line) != self._checksums.item(row):
                raise DamagedFileError(self.path, f"is damaged in line {row + 1} (byte {start})", RESTORE)
            self.compared[row] = 1
        return line

    def row(self, row: int) -> Row:
        """One row, to be copied into another segment."""
        return Row(
            self.line(row),
            str(self.ids[row]),
            self.keys[row].tobytes(),
            int(self.multiplicities[row]),
            float(self.probabilities[row]),
            float(self.weights[row]),
        )

    def check_index(self) -> None:
        """Compare the sha256 of the index that is open, whose file may be gone. Raises `DamagedFileError`."""
        if hashlib.sha256(self._index.data).hexdigest() != self.info.index_sha256:
            raise DamagedFileError(self.index_path, "does not have the sha256 that it was written with", RESTORE)

    def verify(self, *, lines: bool = True) -> None:
        """Compare the sha256 of the index, and of the lines when asked.

        Raises:
            DamagedFileError: the message names the first line that is damaged.
        """
        check_file(self.index_path, self.info.index_bytes, self.info.index_sha256, RESTORE)
        if lines:
            try:
                check_file(self.path, self.info.data_bytes, self.info.data_sha256, RESTORE)
            except DamagedFileError:
                if self.path.exists() and self.path.stat().st_size == self.info.data_bytes:
                    self.compared = bytearray(self.info.rows)  # lines may have been right when they were read
                    for row in range(self.info.rows):
                        self.line(row)
                raise
