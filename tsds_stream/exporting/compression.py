"""Compressed bytes that depend on nothing but what is compressed, and on the version of the library."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

import zstandard

Compression = Literal["none", "zstd", "gzip"]
COMPRESSIONS: Final[tuple[Compression, ...]] = ("none", "zstd", "gzip")
LIBRARY: Final[dict[Compression, str]] = {
    "none": "",
    "zstd": f"zstandard {zstandard.__version__} {'.'.join(map(str, zstandard.ZSTD_VERSION))}",
    "gzip": f"zlib {zlib.ZLIB_RUNTIME_VERSION}",
}
_GZIP: Final = 16 + zlib.MAX_WBITS  # its header then has no time and no name


def compressed(parts: Iterable[bytes], compression: Compression) -> Iterator[bytes]:
    """The parts as one compressed stream."""
    if compression == "none":
        yield from parts
        return
    compress, flush = _compressor(compression)
    for part in parts:
        if piece := compress(part):
            yield piece
    yield flush()


def compressed_whole(data: bytes, compression: Compression) -> bytes:
    """The data compressed at once: a zstd frame then says how long it is, which some readers need."""
    if compression == "zstd":
        return zstandard.ZstdCompressor(write_checksum=True).compress(data)
    return b"".join(compressed([data], compression))


def _compressor(compression: Compression) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    if compression == "gzip":
        gzip = zlib.compressobj(wbits=_GZIP)
        return gzip.compress, gzip.flush
    zstd = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return zstd.compress, zstd.flush
