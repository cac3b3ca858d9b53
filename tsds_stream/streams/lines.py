"""Lines of a growing, possibly compressed file, in bounded memory. Only the byte 0x0A ends a line."""

from __future__ import annotations

import os
from bisect import bisect_right
from itertools import accumulate
from typing import Final

import orjson

from tsds_stream.streams.byte_streams import ByteStream, DamagedFileError
from tsds_stream.streams.readers import HEAD, KEPT, TAIL, Bad, Piece, identity_of

CHUNK: Final = 1 << 20  # bytes read at a time
TURN: Final = 1 << 24  # bytes after which `take` returns, however few records they held
_BOM: Final = b"\xef\xbb\xbf"


class LineReader:
    """The lines of one byte stream.

    A line of more than `limit_bytes` is passed over without being held: its dead letter keeps the first 64 KiB. A line
    without newline at the end counts when nothing more will come (`final`), or when it is a whole JSON object already:
    no proper beginning of an object is one, so it cannot be half-written.
    """

    def __init__(self, stream: ByteStream, limit_bytes: int) -> None:
        self.offset = 0
        self._stream = stream
        self._limit_bytes = limit_bytes
        self._head = b""
        self._before = b""  # the last bytes in front of the block
        self._block = b""
        self._block_start = 0
        self._lines: list[bytes] = []
        self._next = 0
        self._parts: list[bytes] = []  # of the line that has no end yet
        self._partial = 0  # bytes of it; more than `_parts` holds once it is oversized
        self._last = b""  # the last bytes of an oversized line
        self._looked_at = 0  # bytes of it when it was last found to be no whole object
        self._error: str | None = None

    @property
    def left(self) -> int:
        return max(0, self._stream.status().st_size - self._stream.raw_offset)

    @property
    def waiting(self) -> bool:
        return self._partial > 0 or not self._stream.whole

    def status(self) -> os.stat_result:
        return self._stream.status()

    def close(self) -> None:
        self._stream.close()

    def skip_to(self, offset: int) -> bool:
        try:
            self._head = self._read_exactly(min(HEAD, offset))
            if offset > HEAD + TAIL:
                if not self._stream.skip_to(offset - TAIL):
                    return False
                self._before = self._read_exactly(TAIL)
            else:
                self._before = (self._head + self._read_exactly(offset - len(self._head)))[-TAIL:]
        except DamagedFileError:
            return False
        self.offset = self._block_start = offset
        return self._stream.offset == offset

    def identity(self) -> str:
        inside = self.offset - self._block_start
        tail = self._block[max(0, inside - TAIL) : inside]
        return identity_of(self._head[: self.offset], (self._before + tail)[-min(TAIL, self.offset) :])

    def take(self, limit: int, until: int | None, final: bool) -> Piece:
        piece = Piece()
        starts: list[int] = []
        begin = self._stream.offset
        while len(piece.values) + len(piece.bad) < limit and (until is None or self.offset < until):
            if self._next < len(self._lines):
                self._take_lines(piece, starts, limit - len(piece.values) - len(piece.bad), until)
            elif self._stream.offset - begin >= TURN:
                piece.more = True
                break
            elif not self._fill(piece):
                self._take_rest(piece, starts, until, final)
                break
        else:
            piece.more = True
        piece.starts = starts
        return piece

    def _take_lines(self, piece: Piece, starts: list[int], limit: int, until: int | None) -> None:
        lines = self._lines[self._next : self._next + limit]
        ends = list(accumulate([len(line) + 1 for line in lines], initial=self.offset))
        if until is not None and ends[-1] > until:
            whole = bisect_right(ends, until) - 1
            cut = until - ends[whole]
            if cut:  # the line had no newline yet when it was read before
                self._lines[self._next + whole] = lines[whole][cut:]
                lines[whole : whole + 1] = [lines[whole][:cut], b""]
            lines, ends = lines[: whole + (cut > 0)], [*ends[: whole + 1], *([until] if cut else [])]
            self._next += whole
        else:
            self._next += len(lines)
        self.offset = ends[-1]
        self._keep(lines, ends, piece, starts)

    def _keep(self, lines: list[bytes], ends: list[int], piece: Piece, starts: list[int]) -> None:
        """Sort records from empty and oversized lines."""
        longest = max(map(len, lines), default=0)
        if longest > self._limit_bytes or not ends[0] or any(map(bytes.isspace, lines)) or not all(lines):
            chosen = []
            for line, start in zip(lines, ends, strict=False):
                if len(line) > self._limit_bytes:
                    piece.bad.append(self._oversized(start, len(line), line[:KEPT]))
                elif line.strip() and not (start == 0 and line.strip() == _BOM):
                    chosen.append((line, start))
            piece.values += [line for line, _ in chosen]
            starts += [start for _, start in chosen]
        else:
            piece.values += lines
            starts += ends[: len(lines)]

    def _fill(self, piece: Piece) -> bool:
        """Read on; False at the present end."""
        if self._error is not None:
            return False
        try:
            data = self._stream.read(CHUNK)
        except DamagedFileError as error:
            self._error = str(error)
            return False
        if not data:
            return False
        if len(self._head) < HEAD:
            self._head = (self._head + data)[:HEAD]
        end = data.find(b"\n")
        if self._partial > self._limit_bytes or (end < 0 and self._partial + len(data) > self._limit_bytes):
            self._pass_over(data, end, piece)
        elif end < 0:
            self._parts.append(data)
            self._partial += len(data)
        else:
            self._split(b"".join([*self._parts, data]))
        return True

    def _split(self, block: bytes) -> None:
        """Make `block`, which starts at `offset`, the current one."""
        self._leave_block()
        self._block = block
        self._lines, self._next = block.split(b"\n"), 0
        rest = self._lines.pop()
        self._parts, self._partial, self._looked_at = ([rest] if rest else []), len(rest), 0

    def _pass_over(self, data: bytes, end: int, piece: Piece) -> None:
        """Go on in an oversized line: hold its first bytes and the last ones, for the letter and for the identity."""
        held = b"".join(self._parts)
        self._remember_last(held)
        line = data if end < 0 else data[:end]
        self._parts = [(held + line)[:KEPT]] if len(held) < KEPT else [held[:KEPT]]
        self._last = (self._last + line[-TAIL:])[-TAIL:]
        self._partial += len(line)
        if end >= 0:
            piece.bad.append(self._oversized(self.offset, self._partial, self._parts[0]))
            self.offset += self._partial + 1
            self._block, self._block_start = b"", self.offset
            self._before = (self._last + b"\n")[-TAIL:]
            self._split(data[end + 1 :])

    def _remember_last(self, held: bytes) -> None:
        """Start to keep the last bytes of an oversized line of which all so far is held."""
        if len(held) == self._partial:
            self._leave_block()
            self._last = (self._before + held)[-TAIL:]

    def _leave_block(self) -> None:
        """Forget the block up to `offset`, except for its last bytes."""
        inside = self.offset - self._block_start
        self._before = (self._before + self._block[max(0, inside - TAIL) : inside])[-TAIL:]
        self._block, self._block_start = b"", self.offset

    def _take_rest(self, piece: Piece, starts: list[int], until: int | None, final: bool) -> None:
        """At the present end: what to do with a line that has no newline, and with damaged data."""
        if self._error is not None:
            kept = b"".join(self._parts)[:KEPT]
            piece.bad.append(Bad("decode", f"{self._error}; the rest of the file is given up", self.offset, kept))
            piece.broken = True
            return
        oversized = self._partial > self._limit_bytes
        if self._partial and until is not None:
            final = True
        if self._partial and (final or (not oversized and self._is_whole())):
            held = b"".join(self._parts)
            size = self._partial if until is None else min(self._partial, until - self.offset)
            if oversized:
                piece.bad.append(self._oversized(self.offset, self._partial, held))
                self._remember_last(held)
                self._block, self._block_start = b"", self.offset + size
                self._before = self._last
                self._parts, self._partial = [], 0
            else:
                self._split(held + b"\n")
                self._lines = []
                line, rest = held[:size], held[size:]
                self._keep([line], [self.offset], piece, starts)
                self._parts, self._partial = ([rest] if rest else []), len(rest)
            self.offset += size
        if final and until is None and not self._stream.whole:
            detail = "the compressed file ends in the middle; what was behind is missing"
            piece.bad.append(Bad("decode", detail, self.offset, b""))

    def _is_whole(self) -> bool:
        if self._partial == self._looked_at or not self._parts[-1].rstrip().endswith(b"}"):
            return False
        self._looked_at = self._partial
        try:
            return isinstance(orjson.loads(b"".join(self._parts)), dict)
        except orjson.JSONDecodeError:
            return False

    def _oversized(self, start: int, size: int, kept: bytes) -> Bad:
        detail = f"the line has {size} bytes, source.max_document_bytes is {self._limit_bytes}"
        return Bad("too_large", detail + (f"; its first {KEPT} are kept" if size > KEPT else ""), start, kept[:KEPT])

    def _read_exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self._stream.read(size - len(data))):
            data += more
        return data
