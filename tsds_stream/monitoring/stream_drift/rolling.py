"""Sums over the last documents."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tsds_stream.selection.arithmetic import Float64


class RollingSums:
    """Sums of features over the last chunks, for windows of several sizes.

    Args:
        features: F.
        step: documents of a chunk.
        windows: chunks of each window.
    """

    def __init__(self, features: int, step: int, windows: Mapping[str, int]) -> None:
        self._step = step
        self._windows = dict(windows)
        self._ring = np.zeros((max(windows.values()), features))
        self._sums = {name: np.zeros(features) for name in windows}
        self.chunks = 0

    def add(self, total: Float64) -> None:
        """Take in the sum of one chunk: (F,) multiples of 2^-24, so that all sums are exact."""
        size = len(self._ring)
        for name, chunks in self._windows.items():
            if self.chunks >= chunks:
                self._sums[name] -= self._ring[(self.chunks - chunks) % size]
            self._sums[name] += total
        self._ring[self.chunks % size] = total
        self.chunks += 1

    def documents(self, window: str) -> int:
        """Documents in a window."""
        return min(self.chunks, self._windows[window]) * self._step

    def full(self, window: str) -> bool:
        return self.chunks >= self._windows[window]

    def mean(self, window: str) -> Float64:
        """(F,) mean over the documents in a window, which must not be empty."""
        return self._sums[window] / self.documents(window)

    def recent(self) -> Float64:
        """(k, F) the sums of the last chunks, oldest first; adding them to empty sums restores the windows."""
        held = min(self.chunks, len(self._ring))
        return self._ring[np.arange(self.chunks - held, self.chunks) % len(self._ring)]
