"""Which document of a revision stands at which position: a function of the revision, the epoch and the seed alone.

| sampling | shuffle | order |
|---|---|---|
| uniform | yes | a keyed permutation, computed where it is needed |
| uniform | no | by ascending id |
| weight | yes | drawn without replacement, each time in proportion to the weights of those that are left |
| weight | no | by descending weight, then ascending id |

The weighted draw is that of Efraimidis and Spirakis ("Weighted random sampling with a reservoir", 2006): by ascending
-ln(u)/w. Its logarithm is made of additions, multiplications and divisions, which every machine rounds alike: the ranks
of a run have to agree on the order to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from tsds_stream.loader.permutation import Permutation, mixed, round_keys
from tsds_stream.loader.reading import Documents

Sampling = Literal["uniform", "weight"]
SAMPLINGS: Final = ("uniform", "weight")
Order = Callable[[NDArray[np.int64]], NDArray[np.int64]]  # (k,) positions within 0 … n-1 -> (k,) places in the revision
_LN2: Final = 0.6931471805599453
_TERMS: Final = 13  # of the series; the first that is left out is below 2^-60


@dataclass(frozen=True, slots=True)
class Ordering:
    """How documents are ordered; what of a dataset's settings the order depends on."""

    seed: int = 0
    shuffle: bool = True
    sampling: Sampling = "uniform"

    def __post_init__(self) -> None:
        if type(self.seed) is not int:  # a state holds it, and finds it again in JSON
            raise ValueError(f"seed is an integer of Python, not {self.seed!r}")
        if self.sampling not in SAMPLINGS:
            raise ValueError(f"sampling is {' or '.join(SAMPLINGS)}, not {self.sampling!r}")

    def of(self, documents: Documents, epoch: int) -> Order:
        """The order of one epoch over one revision. By weight it takes 8 bytes per document, else no memory."""
        n = len(documents)
        key = (self.seed, epoch, documents.number, str(documents.record.get("digest", "")))
        if self.sampling == "weight":
            weights = np.asarray(documents.weights, np.float64)
            places = _drawn(weights, round_keys(1, "weight", *key)[0]) if self.shuffle else _descending(weights)
            return lambda positions: places[positions]
        return Permutation(n, "uniform", *key) if self.shuffle else lambda positions: positions


def _drawn(weights: NDArray[np.float64], key: np.uint64) -> NDArray[np.int64]:
    waiting = -logarithms(_uniforms(len(weights), key))
    heavy, weightless = np.flatnonzero(weights > 0), np.flatnonzero(~(weights > 0))
    first = heavy[np.argsort(waiting[heavy] / weights[heavy], kind="stable")]
    return np.concatenate([first, weightless[np.argsort(waiting[weightless], kind="stable")]])


def _descending(weights: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.argsort(-weights, kind="stable")


def _uniforms(count: int, key: np.uint64) -> NDArray[np.float64]:
    """(count,) float64 in (0, 1], multiples of 2^-54."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    counters = (np.arange(count, dtype=np.uint64) + np.uint64(1)) * golden
    bits = mixed(counters ^ key) >> np.uint64(11)
    return (bits.astype(np.float64) + 0.5) * 2.0**-53


def logarithms(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k,) natural logarithms of positive numbers, right but for the last places, and the same bits on every machine.

    ln((1 + s) / (1 - s)) = 2 (s + s³/3 + s⁵/5 + …), for the fraction of the number.
    """
    fraction, exponent = np.frexp(values)
    small = fraction < 0.7071067811865476
    fraction = np.where(small, fraction * 2, fraction)
    s = (fraction - 1) / (fraction + 1)
    square = s * s
    total = np.zeros_like(s)
    for k in range(_TERMS - 1, -1, -1):
        total = total * square + 1 / (2 * k + 1)
    found: NDArray[np.float64] = 2 * s * total + (exponent - small) * _LN2
    return found
