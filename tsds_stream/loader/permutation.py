"""A shuffled order that is computed where it is needed: nothing to store, nothing to restore.

A keyed permutation of 0 … n-1: a Feistel network over the smallest even number of bits that hold n, walked until it
leads back below n (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002). Rounds are splitmix64.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

_ROUNDS: Final = 8


class Permutation:
    """A permutation of `length` positions that is a function of the key alone.

    Args:
        length: n >= 0.
        key: whatever tells one order from another, such as a seed, an epoch and a revision.
    """

    def __init__(self, length: int, *key: int | str) -> None:
        if length < 0:
            raise ValueError(f"a permutation has at least 0 positions, not {length}")
        self.length = length
        bits = max(1, -(-max(length - 1, 1).bit_length() // 2))
        self._bits, self._mask = np.uint64(bits), np.uint64((1 << bits) - 1)
        self._keys = round_keys(_ROUNDS, *key)

    def __len__(self) -> int:
        return self.length

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """(k,) int64 places of 0 … n-1 that stand at these positions of the shuffled order.

        Raises:
            IndexError: a position is not within 0 … n-1.
        """
        places = np.array(positions, np.int64)
        if len(places) and not (places.min() >= 0 and places.max() < self.length):
            raise IndexError(f"positions go from 0 to {self.length - 1}")
        found = self._network(places.astype(np.uint64))
        outside = np.flatnonzero(found >= np.uint64(self.length))
        while len(outside):  # fewer than three of four values are outside, so this ends soon
            found[outside] = self._network(found[outside])
            outside = outside[found[outside] >= np.uint64(self.length)]
        return found.astype(np.int64)

    def _network(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = values >> self._bits, values & self._mask
        for key in self._keys:
            left, right = right, left ^ (mixed(right ^ key) & self._mask)
        return (left << self._bits) | right


def round_keys(count: int, *key: int | str) -> NDArray[np.uint64]:
    """(count,) uint64 that are a function of the key alone; at most 8."""
    material = b"".join(_encoded(part) for part in key)
    return np.frombuffer(blake2b(material, digest_size=8 * count).digest(), "<u8")


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _encoded(part: int | str) -> bytes:
    data = repr(part).encode()
    return len(data).to_bytes(4, "little") + data
