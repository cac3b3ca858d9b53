"""The decompressed bytes of a file that may still be growing."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Protocol

import zstandard

_RAW = 1 << 16  # compressed bytes read at a time
_ZSTD_PIECE = 512  # a zstd block of 4 bytes may stand for 128 KiB: bounds what one call can unfold to 16 MiB


class DamagedFileError(Exception):
    """The compressed bytes cannot be read on from here; the message is a clause that says why."""


class ByteStream(Protocol):
    """Bytes in order from `offset` (decompressed); `read` gives b"" at the present end, and more once there is more."""

    offset: int

    def read(self, size: int) -> bytes: ...

    def skip_to(self, offset: int) -> bool:
        """Go to a later offset; False when the file does not reach so far. Compressed: costs reading up to there."""

    @property
    def whole(self) -> bool:
        """The present end is not in the middle of a compressed member."""

    @property
    def raw_offset(self) -> int:
        """Bytes of the file itself that were read."""

    def status(self) -> os.stat_result: ...

    def close(self) -> None: ...


class PlainStream:
    """A file as it is."""

    whole = True

    def __init__(self, path: Path) -> None:
        self.offset = 0
        self._descriptor = os.open(path, os.O_RDONLY)

    def read(self, size: int) -> bytes:
        data = os.pread(self._descriptor, size, self.offset)
        self.offset += len(data)
        return data

    def skip_to(self, offset: int) -> bool:
        if os.fstat(self._descriptor).st_size < offset:
            return False
        self.offset = offset
        return True

    @property
    def raw_offset(self) -> int:
        return self.offset

    def status(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class CompressedStream:
    """Concatenated gzip members or zstd frames; subclasses unfold one piece of one of them."""

    def __init__(self, path: Path) -> None:
        self.offset = 0
        self.raw_offset = 0
        self._descriptor = os.open(path, os.O_RDONLY)
        self._input = b""
        self._output = b""
        self._given = 0  # bytes of the output that were given out
        self._inside = False  # in the middle of a member
        self._first = True

    @property
    def whole(self) -> bool:
        return not self._inside and not self._input

    def read(self, size: int) -> bytes:
        while self._given == len(self._output):
            if not self._inside:
                if not self._first:
                    self._input = self._input.lstrip(b"\0")  # padding that some tools leave behind the last member
                if self._input:
                    self._start()
                    self._inside, self._first = True, False
            if self._inside:
                self._output, self._given = self._unfold(size), 0
                if self._output:
                    break
            if not self._input:
                self._input = os.pread(self._descriptor, _RAW, self.raw_offset)
                self.raw_offset += len(self._input)
                if not self._input:
                    return b""
        data = self._output[self._given : self._given + size]
        self._given += len(data)
        self.offset += len(data)
        return data

    def skip_to(self, offset: int) -> bool:
        while self.offset < offset:
            if not self.read(min(1 << 20, offset - self.offset)):
                return False
        return True

    def status(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)

    def _start(self) -> None:
        raise AssertionError("a subclass starts a member")

    def _unfold(self, size: int) -> bytes:
        raise AssertionError("a subclass unfolds")


class GzipStream(CompressedStream):
    """A .gz file, of one member or several."""

    def _start(self) -> None:
        self._member = zlib.decompressobj(31)

    def _unfold(self, size: int) -> bytes:
        try:
            data = self._member.decompress(self._input, size)
        except zlib.error as error:
            raise DamagedFileError(f"the gzip data is damaged ({error})") from None
        self._input = self._member.unconsumed_tail
        if self._member.eof:
            self._input, self._inside = self._member.unused_data, False
        return data


class ZstdStream(CompressedStream):
    """A .zst file, of one frame or several."""

    def _start(self) -> None:
        self._frame = zstandard.ZstdDecompressor().decompressobj()

    def _unfold(self, size: int) -> bytes:
        piece, self._input = self._input[:_ZSTD_PIECE], self._input[_ZSTD_PIECE:]
        if not piece:
            return b""
        try:
            data = self._frame.decompress(piece)
        except zstandard.ZstdError as error:
            raise DamagedFileError(f"the zstd data is damaged ({error})") from None
        if self._frame.eof:
            self._input, self._inside = self._frame.unused_data + self._input, False
        return data


def open_bytes(path: Path, compression: str) -> ByteStream:
    """The byte stream of a file; `compression` is "", "gz" or "zst". Raises `OSError`."""
    if compression == "gz":
        return GzipStream(path)
    return ZstdStream(path) if compression == "zst" else PlainStream(path)
