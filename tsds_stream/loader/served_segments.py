"""The files of one rank in a served log.

DIR/rank-00003/00000007.log      a record per line, written batch by batch
DIR/rank-00003/00000006.log.zst  a finished one, as zstd frames that can be read each without the others
DIR/rank-00003/writer.lock       held by the one writer
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import zstandard

from tsds_stream.durable import Disk, temporary
from tsds_stream.loader.served_records import is_whole

_RANK = re.compile(r"rank-(\d{5,})")
_SEGMENT = re.compile(r"(\d{8,})\.log(\.zst)?")
_FRAME: Final = 1 << 18  # bytes that are lost together where a bit is flipped
_LEVEL: Final = 9
_MAGIC: Final = b"\x28\xb5\x2f\xfd"  # of a zstd frame
_LARGEST_WINDOW: Final = 1 << 27


class Stretch(NamedTuple):
    """What could be read of a part of a segment.

    Attributes:
        lines: without their ends.
        rest: bytes at the end of a raw segment that are no whole line: a record that is being written, or was when its
            writer was killed.
        damaged: that a part of the file before the lines cannot be unfolded.
    """

    lines: list[bytes]
    rest: int = 0
    damaged: bool = False


def folder_of(directory: Path, rank: int) -> Path:
    return directory / f"rank-{rank:05d}"


def ranks_in(directory: Path) -> list[int]:
    """Ranks that have a folder, ascending."""
    found = (_RANK.fullmatch(path.name) for path in directory.iterdir() if path.is_dir())
    return sorted(int(match[1]) for match in found if match)


def segments_in(folder: Path) -> dict[int, Path]:
    """The segments of a rank by ascending number; the finished file of one that is there twice."""
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):  # the compressed one comes behind the raw one
        match = _SEGMENT.fullmatch(path.name)
        if match:
            found[int(match[1])] = path
    return dict(sorted(found.items()))


def raw_segment(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.log"


def is_raw(path: Path) -> bool:
    return path.suffix == ".log"


def read_segment(path: Path) -> Iterator[Stretch]:
    """The lines of a segment, some at a time.

    Raises:
        OSError: it cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if not is_raw(path):
            raise
        path = _finished(path)  # meanwhile
        data = path.read_bytes()
    if is_raw(path):
        *lines, rest = data.split(b"\n")
        yield Stretch(lines, len(rest))
        return
    start, damaged = 0, False
    while start < len(data):
        unfolding = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()
        try:
            lines = unfolding.decompress(data[start:]).split(b"\n")
            if not unfolding.eof:
                raise zstandard.ZstdError("the frame is cut off")
        except (zstandard.ZstdError, MemoryError):
            damaged = True
            start = data.find(_MAGIC, start + 1)
            if start < 0:
                break
            continue
        yield Stretch(lines[:-1], 0, damaged)
        start, damaged = len(data) - len(unfolding.unused_data), False
    if damaged:
        yield Stretch([], 0, damaged)


def first_lines(path: Path) -> list[bytes]:
    """Lines at the beginning of a segment, without their ends; none where the beginning is damaged."""
    with (path if path.exists() else _finished(path)).open("rb") as file:
        data = file.read(_FRAME)
    if data.startswith(_MAGIC):
        try:
            data = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj().decompress(data)
        except (zstandard.ZstdError, MemoryError):
            return []
    return data.split(b"\n")[:-1]


def cut_tail(path: Path, disk: Disk) -> int:
    """Take away what a killed writer left behind the last whole record of a raw segment; the number of bytes."""
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    while end and not is_whole(data[data.rfind(b"\n", 0, end - 1) + 1 : end - 1]):
        end = data.rfind(b"\n", 0, end - 1) + 1
    if end < len(data):
        disk.truncate(path, end)
    return len(data) - end


def finish(path: Path, disk: Disk) -> None:
    """Replace a raw segment by its compressed form; whatever happens, one of them is there, whole.

    Raises:
        OSError: the raw one is still there.
    """
    data, frames, start = path.read_bytes(), list[bytes](), 0
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    while start < len(data):
        end = data.rfind(b"\n", start, start + _FRAME) + 1 or data.find(b"\n", start) + 1 or len(data)
        frames.append(compressor.compress(data[start:end]))
        start = end
    finished = _finished(path)
    beside = temporary(finished)
    try:
        disk.write(beside, frames)
        disk.sync(beside)
        disk.replace(beside, finished)
    except OSError:
        disk.remove(beside)
        raise
    disk.sync_directory(path.parent)
    disk.remove(path)


def _finished(path: Path) -> Path:
    return path.with_name(path.name + ".zst")
