"""What a search for neighbours answers, and how its rows are gathered in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tsds_stream.selection.arithmetic import Bool, Float64, Int64
from tsds_stream.selection.vectors import VectorStore

_PENDING: Final = 1 << 22  # pairs kept before rows with a limit are cut


@dataclass(frozen=True)
class Neighbours:
    """Neighbours of several queries; row i holds the entries offsets[i] .. offsets[i + 1] - 1.

    Attributes:
        offsets: (n + 1,) int64.
        labels: (entries,) int64, in each row ascending by (squared distance, key).
        squared: (entries,) float64 exact squared distances.
        saturated: (n,) bool, rows that may lack neighbours because they reached the limit.
    """

    offsets: Int64
    labels: Int64
    squared: Float64
    saturated: Bool

    def __len__(self) -> int:
        return len(self.saturated)

    @property
    def distances(self) -> Float64:
        """(entries,) float64 distances."""
        return np.sqrt(self.squared)

    def row(self, i: int) -> tuple[Int64, Float64]:
        """Labels and exact squared distances of query i."""
        part = slice(int(self.offsets[i]), int(self.offsets[i + 1]))
        return self.labels[part], self.squared[part]


class FoundRows:
    """Gathers pairs (query, slot) and cuts each row to its limit, so that memory stays bounded."""

    def __init__(self, rows: int, store: VectorStore, limit: int | None) -> None:
        self._rows, self._store, self._limit = rows, store, limit
        self._pieces: list[tuple[Int64, Int64, Float64]] = []
        self._pending = 0
        self._saturated = np.zeros(rows, np.bool_)

    def add(self, rows: Int64, slots: Int64, squared: Float64) -> None:
        """Take pairs with exact squared distances, each pair once."""
        self._pieces.append((rows, slots, squared))
        self._pending += len(rows)
        if self._limit is not None and self._pending > max(_PENDING, 2 * self._limit * self._rows):
            self._pieces = [self._cut()]
            self._pending = len(self._pieces[0][0])

    def saturate(self, rows: Int64) -> None:
        """Note that these rows may lack neighbours."""
        self._saturated[rows] = True

    def neighbours(self) -> Neighbours:
        """All rows, sorted and cut."""
        rows, slots, squared = self._cut()
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=self._rows))])
        return Neighbours(offsets, self._store.labels[slots], squared, self._saturated)

    def _cut(self) -> tuple[Int64, Int64, Float64]:
        if not self._pieces:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        rows, slots, squared = (np.concatenate(column) for column in zip(*self._pieces, strict=True))
        words = self._store.words[slots]
        order = np.lexsort((words[:, 1], words[:, 0], squared, rows))
        rows, slots, squared = rows[order], slots[order], squared[order]
        if self._limit is not None:
            counts = np.bincount(rows, minlength=self._rows)
            self._saturated |= counts > self._limit
            keep = np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows] < self._limit
            rows, slots, squared = rows[keep], slots[keep], squared[keep]
        return rows, slots, squared


def joined(parts: list[Neighbours]) -> Neighbours:
    """The rows of several answers, one after the other."""
    if not parts:
        return Neighbours(np.zeros(1, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_))
    counts = np.concatenate([np.diff(part.offsets) for part in parts])
    return Neighbours(
        np.concatenate([[0], np.cumsum(counts)]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.squared for part in parts]),
        np.concatenate([part.saturated for part in parts]),
    )
