"""Concatenated msgpack maps in a growing, possibly compressed file."""

from __future__ import annotations

import os
from typing import Any

import msgpack

from tsds_stream.streams.byte_streams import ByteStream, DamagedFileError
from tsds_stream.streams.lines import CHUNK, TURN
from tsds_stream.streams.readers import HEAD, KEPT, TAIL, Bad, Piece, identity_of


class PackedReader:
    """The msgpack values of one byte stream, cut apart here and decoded elsewhere.

    Nothing marks where a value starts, so after damage, or a value of far more than `limit_bytes`, the rest of the file
    is given up. A last value that is not whole waits.
    """

    def __init__(self, stream: ByteStream, limit_bytes: int) -> None:
        self.offset = 0
        self._stream = stream
        self._limit_bytes = limit_bytes
        self._head = b""
        self._before = b""  # the last bytes in front of the data
        self._data = b""
        self._end = 0  # of the last whole value in the data
        self._cutter = _cutter(b"")

    @property
    def left(self) -> int:
        return max(0, self._stream.status().st_size - self._stream.raw_offset)

    @property
    def waiting(self) -> bool:
        return len(self._data) > self._end or not self._stream.whole

    def status(self) -> os.stat_result:
        return self._stream.status()

    def close(self) -> None:
        self._stream.close()

    def skip_to(self, offset: int) -> bool:
        try:
            while len(self._head) < min(HEAD, offset) and (
                data := self._stream.read(min(HEAD, offset) - len(self._head))
            ):
                self._head += data
            if not self._stream.skip_to(max(self._stream.offset, offset - TAIL)):
                return False
            tail = self._head[max(0, offset - TAIL) :]
            while self._stream.offset < offset and (data := self._stream.read(offset - self._stream.offset)):
                tail += data
        except DamagedFileError:
            return False
        self._before = tail[-TAIL:]
        self.offset = offset
        return self._stream.offset == offset

    def identity(self) -> str:
        tail = self._before + self._data[max(0, self._end - TAIL) : self._end]
        return identity_of(self._head[: self.offset], tail[-min(TAIL, self.offset) :])

    def take(self, limit: int, until: int | None, final: bool) -> Piece:
        piece = Piece()
        starts: list[int] = []
        begin = self._stream.offset
        while len(piece.values) + len(piece.bad) < limit and (until is None or self.offset < until):
            try:
                self._cutter.skip()
            except msgpack.OutOfData:
                if self._stream.offset - begin >= TURN:
                    piece.more = True
                    break
                if not self._fill(piece):
                    if final and until is None and not piece.broken and self.waiting:
                        self._give_up(piece, "the file ends in the middle of a record")
                    break
            except (msgpack.UnpackException, ValueError) as error:
                self._give_up(piece, f"not msgpack ({str(error) or type(error).__name__})")
                break
            else:
                end = self._cutter.tell()
                size = end - self._end
                if size > self._limit_bytes:
                    kept = self._data[self._end : min(end, self._end + KEPT)]
                    detail = f"the record has {size} bytes, source.max_document_bytes is {self._limit_bytes}"
                    piece.bad.append(Bad("too_large", detail, self.offset, kept))
                else:
                    piece.values.append(self._data[self._end : end])
                    starts.append(self.offset)
                self._end = end
                self.offset += size
        else:
            piece.more = True
        piece.starts = starts
        return piece

    def _fill(self, piece: Piece) -> bool:
        try:
            data = self._stream.read(CHUNK)
        except DamagedFileError as error:
            self._give_up(piece, str(error))
            return False
        if not data:
            return False
        if len(self._head) < HEAD:
            self._head = (self._head + data)[:HEAD]
        rest = self._data[self._end :]
        if len(rest) > self._limit_bytes + CHUNK:
            detail = f"a record has more than {len(rest)} bytes, source.max_document_bytes is {self._limit_bytes}"
            self._give_up(piece, detail)
            return False
        self._restart(rest + data)
        return True

    def _restart(self, data: bytes) -> None:
        """Go on with `data`, which starts at `offset`."""
        self._before = (self._before + self._data[max(0, self._end - TAIL) : self._end])[-TAIL:]
        self._data, self._end, self._cutter = data, 0, _cutter(data)

    def _give_up(self, piece: Piece, why: str) -> None:
        kept = self._data[self._end : self._end + KEPT]
        piece.bad.append(Bad("decode", f"{why}; the rest of the file is given up", self.offset, kept))
        piece.broken = True


def _cutter(data: bytes) -> Any:
    """Finds the ends of the values in `data`. Lengths are not limited: nothing is allocated for what is passed over."""
    most = 2**31 - 1
    cutter = msgpack.Unpacker(
        max_buffer_size=most, max_str_len=most, max_bin_len=most, max_array_len=most, max_map_len=most, max_ext_len=most
    )
    cutter.feed(data)
    return cutter
