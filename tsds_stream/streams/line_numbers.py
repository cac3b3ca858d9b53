"""Line numbers for dead letters: counted only when one is asked for, and every byte once."""

from __future__ import annotations

from pathlib import Path

from tsds_stream.streams.byte_streams import ByteStream, DamagedFileError, open_bytes


class LineNumbers:
    """Counts the lines in front of offsets of one file after the other; offsets of one file ascend."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._stream: ByteStream | None = None
        self._line = 1

    def at(self, path: Path, compression: str, offset: int) -> int | None:
        """The number, from 1, of the line at `offset` (decompressed) of a file; None when it cannot be read so far."""
        try:
            if path != self._path or self._stream is None or self._stream.offset > offset:
                self.close()
                self._stream = open_bytes(path, compression)
                self._path, self._line = path, 1
            stream = self._stream
            while stream.offset < offset:
                data = stream.read(min(1 << 20, offset - stream.offset))
                if not data:
                    return None
                self._line += data.count(b"\n")
        except (OSError, DamagedFileError):
            return None
        return self._line

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._path = self._stream = None
