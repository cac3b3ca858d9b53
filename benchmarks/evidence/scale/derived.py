"""A stream of millions of documents from some hundred thousand real vectors: made block by block, never stored."""

from __future__ import annotations

from typing import Final

import numpy as np

from tsds_stream.selection.arithmetic import Float32

NEAREST, FARTHEST = 0.6, 0.9  # distances of a derived vector from the real one
_LEAST: Final = 1e-6  # of a squared sine: two real vectors may be parallel


class DerivedStream:
    """Real vectors, and between them vectors that lie .6 to .9 from a real one, on the way to another real one.

    Every block holds its share of the real vectors, each of which comes once. Going towards real vectors, and not in
    random directions, keeps the spectrum of the real ones: random noise would be easier to tell apart.

    Args:
        real: (N, d) float32, any length; documents: of the stream, a multiple of `block`, at least N.
    """

    def __init__(self, real: Float32, documents: int, block: int, seed: int) -> None:
        self._real = np.asarray(real / np.linalg.norm(real, axis=1, keepdims=True), np.float32)
        self._seed = seed
        self.block = block
        self.blocks = documents // block

    def names(self, number: int) -> list[str]:
        """The ids of a block."""
        return [str(k) for k in range(number * self.block, (number + 1) * self.block)]

    def vectors(self, number: int) -> Float32:
        """(block, d) float32, the same in every call."""
        random = np.random.default_rng((self._seed, number))
        first, stop = (k * len(self._real) // self.blocks for k in (number, number + 1))
        own = self._real[first:stop]
        count = self.block - len(own)
        source = random.integers(0, len(self._real), count)
        other = (source + random.integers(1, len(self._real), count)) % len(self._real)
        start, end = self._real[source], self._real[other]
        cosine = 1.0 - random.uniform(NEAREST, FARTHEST, count).astype(np.float32) ** 2 / 2.0
        between = np.einsum("ij,ij->i", start, end)
        way = np.sqrt((1.0 - cosine**2) / np.maximum(1.0 - between**2, _LEAST))
        start *= (cosine - way * between)[:, None]
        start += way[:, None] * end
        rows = np.concatenate([own, start])
        return rows[random.permutation(self.block)]
