"""Which documents are looked at: as many per second as the configuration allows, evenly spread over what arrives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


class Sampler:
    """A bucket that fills with time: looking at documents costs little, however fast they come.

    Args:
        rate: documents per second.
        clock: seconds, steady.
    """

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._allowed = rate  # documents: a second's worth at the start
        self._at = clock()

    def take(self, count: int) -> NDArray[np.int64]:
        """(k,) int64 ascending positions among `count` documents that have just arrived."""
        now = self._clock()
        self._allowed = min(self._allowed + self._rate * (now - self._at), max(self._rate, 1.0))
        self._at = now
        taken = min(count, int(self._allowed))
        self._allowed -= taken
        return (np.arange(taken) * count + count // 2) // max(taken, 1)
