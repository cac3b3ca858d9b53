"""The targets of one set, as the drift of the stream sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from tsds_stream.selection.arithmetic import GRID, Float32, Float64, Int64

_BLOCK = 1024  # documents in one product


@dataclass(frozen=True)
class Reference:
    """The targets that documents are compared with.

    Attributes:
        vectors: (M, d) float32 rows of unit length; M may be 0.
        groups: M labels, at most 32 different ones (see `group_targets`).
    """

    vectors: Float32
    groups: Sequence[str]

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.groups):
            raise ValueError(f"targets of shape {self.vectors.shape} and {len(self.groups)} groups do not match")

    @property
    def labels(self) -> list[str]:
        """The groups in order."""
        return sorted(set(self.groups))

    def nearest(self, vectors: Float32) -> tuple[Float64, Int64]:
        """Distance of each document to its nearest target, and the number of that target's group in `labels`.

        Products are exact, as in `selection.arithmetic`: copies of a document have the same distance in whatever
        batches they come. Without targets the distance is 0 and the group is 0.
        """
        distances, groups = np.zeros(len(vectors)), np.zeros(len(vectors), np.int64)
        if not len(self.vectors):
            return distances, groups
        numbers = {label: number for number, label in enumerate(self.labels)}
        group_of = np.array([numbers[group] for group in self.groups])
        targets = _on_grid(self.vectors).T
        for start in range(0, len(vectors), _BLOCK):
            part = slice(start, start + _BLOCK)
            products = _on_grid(vectors[part]) @ targets
            best = products.argmax(1)
            groups[part] = group_of[best]
            nearness = np.take_along_axis(products, best[:, None], 1)[:, 0]
            distances[part] = np.sqrt(np.maximum(0.0, 2.0 - 2.0 * nearness))
        return distances, groups

    def digest(self) -> str:
        """Equal for equal targets."""
        names = "\0".join(self.groups).encode()
        return sha256(names + np.ascontiguousarray(self.vectors, np.float32).tobytes()).hexdigest()


def _on_grid(vectors: Float32) -> Float64:
    """Coordinates as multiples of 2^-24, whose inner products float64 holds without rounding."""
    rounded: Float64 = np.rint(vectors.astype(np.float64) / GRID) * GRID
    return rounded
