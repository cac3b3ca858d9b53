"""Hashed byte n-grams: vectors without a model, for any language, code or bytes.

The hash, for those who want the same vectors elsewhere. An n-gram b_1 … b_n of UTF-8 bytes is the integer
c = b_1 + 2^8 b_2 + … + 2^(8(n-1)) b_n; h = mix(c + 2^32 n), where mix is the finaliser of splitmix64. Its bucket is
floor((h >> 32) · d / 2^32), its sign is + when h is even and − when it is odd (signed feature hashing, Weinberger et
al. 2009, arXiv 0902.2206). An n-gram that occurs t times counts sqrt(t): repetition matters less and less.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tsds_stream.embedding.base import Embedder, EmbedResult, Failure
from tsds_stream.embedding.settings import HashingSettings
from tsds_stream.embedding.text import EMPTY, first_bytes, is_blank, valid_unicode

VERSION: Final = 1  # of the hash and the weights; part of the fingerprint

UInt64 = NDArray[np.uint64]


class HashingEmbedder(Embedder):
    """Signed, hashed counts of byte n-grams; (n, d) float32 of unit length before rounding to float32.

    Each length of n-gram contributes a vector of unit length, so that the few, frequent short ones do not drown the
    rest. Only integers, square roots, divisions and sums in a fixed order are used: the bits are the same on every
    machine and in every batch.
    """

    def __init__(self, settings: HashingSettings | None = None) -> None:
        self._settings = settings or HashingSettings()

    @property
    def dimension(self) -> int:
        return self._settings.dimension

    @property
    def fingerprint(self) -> str:
        """`hashing:bytes-<d>:` and a hash of the options."""
        s = self._settings
        options = f"v{VERSION};d={s.dimension};n={s.min_n}..{s.max_n};max_bytes={s.max_bytes}".encode()
        return f"hashing:bytes-{s.dimension}:{blake2b(options, digest_size=6).hexdigest()}"

    @property
    def batch_independent(self) -> bool:
        return True

    def embed_all(self, texts: Sequence[str]) -> EmbedResult:
        s = self._settings
        result = EmbedResult(np.zeros((len(texts), s.dimension), np.float32))
        for i, text in enumerate(texts):
            if s.max_bytes is not None:
                text = text[: s.max_bytes]  # bounds the work on a huge text
            text = valid_unicode(text)
            if s.max_bytes is not None:
                text = first_bytes(text, s.max_bytes)
            vector = None if is_blank(text) else self._vector(np.frombuffer(text.encode(), np.uint8))
            if vector is not None:
                result.vectors[i] = vector
            else:
                result.failures[i] = EMPTY if is_blank(text) else Failure("empty", "The text has no usable n-gram.")
        return result

    def _vector(self, data: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        total = np.zeros(self.dimension)
        for n in range(self._settings.min_n, min(self._settings.max_n, len(data)) + 1):
            codes, counts = _counted(_codes(data, n))
            hashed = _mix(codes.astype(np.uint64) + (np.uint64(n) << np.uint64(32)))
            buckets = ((hashed >> np.uint64(32)) * np.uint64(self.dimension) >> np.uint64(32)).astype(np.int64)
            values = np.sqrt(counts.astype(np.float64))
            np.negative(values, out=values, where=(hashed & np.uint64(1)).astype(np.bool_))
            part = np.bincount(buckets, values, self.dimension)  # adds one value after the other
            length = np.sqrt(np.cumsum(part * part)[-1])  # so does cumsum; sum's order depends on the machine
            if length > 0:
                total += part / length
        length = np.sqrt(np.cumsum(total * total)[-1])
        return total / length if length > 0 else None

    def close(self) -> None:
        """Nothing is held."""


def _codes(data: NDArray[np.uint8], n: int) -> NDArray[np.uint32]:
    """The n-grams of `data` as integers, first byte lowest."""
    count = len(data) - n + 1
    codes = data[:count].astype(np.uint32)
    for k in range(1, n):
        codes |= data[k : k + count].astype(np.uint32) << np.uint32(8 * k)
    return codes


def _counted(codes: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The distinct values of `codes` in ascending order, and how often each occurs."""
    codes = np.sort(codes)
    starts = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    return codes[starts], np.diff(np.append(starts, len(codes)))


def _mix(x: UInt64) -> UInt64:
    """The finaliser of splitmix64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
