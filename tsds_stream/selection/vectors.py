"""Canonical vectors under labels, in growing arrays without holes."""

from __future__ import annotations

import numpy as np

from tsds_stream.selection.arithmetic import Float32, Int64, UInt64, squared_norms


class VectorStore:
    """Rows 0 .. len - 1 of preallocated arrays; a removed row is filled by the last one.

    The arrays grow in place by half, so a view of them must not outlive the call that made it.

    Attributes:
        labels: (capacity,) int64.
        vectors: (capacity, d) float32 canonical.
        norms: (capacity,) float64 exact squared norms.
        words: (capacity, 2) uint64 key words, which order equal distances.
    """

    def __init__(self, dimension: int, capacity: int = 1024) -> None:
        self.dimension = dimension
        self.labels = np.empty(capacity, np.int64)
        self.vectors = np.empty((capacity, dimension), np.float32)
        self.norms = np.empty(capacity)
        self.words = np.empty((capacity, 2), np.uint64)
        self._slots: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, label: int) -> bool:
        return label in self._slots

    @property
    def capacity(self) -> int:
        """Rows that fit without growing."""
        return len(self.labels)

    def add(self, labels: Int64, vectors: Float32, words: UInt64) -> range:
        """Append rows; returns their slots.

        Raises:
            ValueError: wrong shapes, a non-finite number, a label that is held or comes twice. Nothing is added then.
        """
        labels = np.asarray(labels, dtype=np.int64)
        vectors = self.checked(vectors)
        n, start = len(labels), len(self)
        if len(vectors) != n or words.shape != (n, 2):
            raise ValueError(f"{n} labels, {len(vectors)} vectors and key words of shape {words.shape} do not match")
        fresh = dict(zip(labels.tolist(), range(start, start + n), strict=True))
        held = [label for label in fresh if label in self._slots]
        if held or len(fresh) < n:
            raise ValueError(f"labels must be new and distinct; held: {held[:5]}, given: {n}, distinct: {len(fresh)}")
        if start + n > self.capacity:
            self._grow(max(start + n, self.capacity + self.capacity // 2))
        stop = start + n
        self.labels[start:stop], self.vectors[start:stop], self.words[start:stop] = labels, vectors, words
        self.norms[start:stop] = squared_norms(vectors)
        self._slots.update(fresh)
        return range(start, stop)

    def remove(self, labels: Int64) -> list[tuple[int, int]]:
        """Remove rows; returns the moves (from slot, to slot) that filled the holes, in order.

        Raises:
            KeyError: a label that is not held, or comes twice. Nothing is removed then.
        """
        wanted = np.asarray(labels, dtype=np.int64).tolist()
        unknown = [label for label in wanted if label not in self._slots]
        if unknown or len(set(wanted)) < len(wanted):
            raise KeyError(f"labels to remove must be held and distinct; not held: {unknown[:5]}")
        moves = []
        for label in wanted:
            hole, last = self._slots.pop(label), len(self._slots)
            if hole != last:
                for array in (self.labels, self.vectors, self.norms, self.words):
                    array[hole] = array[last]
                self._slots[int(self.labels[hole])] = hole
                moves.append((last, hole))
        return moves

    def slots_of(self, labels: Int64) -> Int64:
        """(n,) int64 slots of held labels; KeyError for any other."""
        return np.fromiter((self._slots[label] for label in labels.tolist()), np.int64, len(labels))

    def checked(self, vectors: Float32) -> Float32:
        """The vectors as contiguous float32 (n, d); ValueError for another width or a non-finite number."""
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise ValueError(f"vectors must have shape (n, {self.dimension}), got {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise ValueError("vectors must be finite: one NaN would ruin the neighbours of all others")
        return vectors

    def _grow(self, capacity: int) -> None:
        self.labels.resize(capacity, refcheck=False)
        self.vectors.resize((capacity, self.dimension), refcheck=False)
        self.norms.resize(capacity, refcheck=False)
        self.words.resize((capacity, 2), refcheck=False)
