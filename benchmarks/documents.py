"""Streams of any length and width from the real rows of the corpus."""

from __future__ import annotations

import numpy as np

from tsds_stream.selection.arithmetic import Float32

_SECOND = 0.6  # weight of the second row of a mixture


class Documents:
    """Real rows first, then mixtures of two real rows (x + 0.6 y), never twice the same pair.

    Args:
        real: (N, 256) float32 embeddings of real text.
        dimension: 256, or more: then columns of a second real row are appended.
    """

    def __init__(self, real: Float32, dimension: int = 256, seed: int = 0) -> None:
        self._real = real
        self._extra = dimension - real.shape[1]
        self._random = np.random.default_rng(seed)
        self._used = 0
        self.count = 0

    def names(self, count: int) -> list[str]:
        """Ids of the next documents."""
        names = [str(k) for k in range(self.count, self.count + count)]
        self.count += count
        return names

    def real(self, count: int) -> Float32:
        """The next real rows, (≤ count, d); empty when all were given."""
        rows = np.array(self._real[self._used : self._used + count])
        self._used += len(rows)
        return self._widened(rows)

    def mixtures(self, count: int) -> Float32:
        """(count, d) new rows: a block of real rows, and another one shifted against it."""
        return self._widened(self._block(count) + _SECOND * self._block(count))

    def next(self, count: int) -> Float32:
        """(count, d): real rows while there are any."""
        rows = self.real(count)
        if len(rows) < count:
            rows = np.concatenate([rows, self.mixtures(count - len(rows))])
        return rows

    def _block(self, count: int) -> Float32:
        start = int(self._random.integers(0, len(self._real)))
        return np.take(self._real, np.arange(start, start + count), axis=0, mode="wrap")

    def _widened(self, rows: Float32) -> Float32:
        if not self._extra:
            return rows
        return np.concatenate([rows, _SECOND * self._block(len(rows))[:, : self._extra]], axis=1)
