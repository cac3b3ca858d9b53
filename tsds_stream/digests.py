"""The digest of a selection: equal digests, equal selections, bit for bit."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Sequence
from itertools import islice, pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

_HEAD = 4  # bytes of the length before an id
_TAIL = 16  # bytes of the two float64 after it


def digest_of(ids: Sequence[str], probabilities: ArrayLike, weights: ArrayLike) -> str:
    """Hex blake2b-128 over the members of a selection, in ascending order of their UTF-8 ids.

    Each member gives: the length of its id in bytes (uint32), the id (UTF-8), its probability and its weight
    (float64), all little-endian. Any language can compute it. The order of the arguments does not matter.

    Args:
        ids: n distinct ids.
        probabilities: (n,), cast to float64.
        weights: (n,), cast to float64.

    Raises:
        ValueError: the lengths differ, or an id is there twice.
    """
    p = np.asarray(probabilities, dtype="<f8")
    w = np.asarray(weights, dtype="<f8")
    if p.shape != (len(ids),) or w.shape != (len(ids),):
        raise ValueError(f"{len(ids)} ids, but probabilities of shape {p.shape} and weights of shape {w.shape}")
    # Code point order of str is byte order of UTF-8.
    if not all(map(operator.lt, ids, islice(ids, 1, None))):
        order = sorted(range(len(ids)), key=ids.__getitem__)
        ids, p, w = [ids[i] for i in order], p[order], w[order]
        for a, b in pairwise(ids):
            if a == b:
                raise ValueError(f"id {a!r} is there twice")
    return hashlib.blake2b(_laid_out(ids, p, w).data, digest_size=16).hexdigest()


def _laid_out(ids: Sequence[str], p: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The bytes that are hashed, (total,) uint8. Scattered by numpy: a loop would take a second per million members."""
    names = [name.encode() for name in ids]
    lengths = np.fromiter(map(len, names), dtype=np.int64, count=len(names))
    sizes = lengths + (_HEAD + _TAIL)
    starts = np.cumsum(sizes) - sizes
    out = np.empty(int(sizes.sum()), dtype=np.uint8)
    out[starts[:, None] + np.arange(_HEAD)] = lengths.astype("<u4").view(np.uint8).reshape(-1, _HEAD)
    text = np.frombuffer(b"".join(names), dtype=np.uint8)
    before = np.cumsum(lengths) - lengths
    out[np.arange(len(text)) + np.repeat(starts + _HEAD - before, lengths)] = text
    tails = np.column_stack((p, w)).astype("<f8").view(np.uint8).reshape(-1, _TAIL)
    out[(starts + _HEAD + lengths)[:, None] + np.arange(_TAIL)] = tails
    return out
