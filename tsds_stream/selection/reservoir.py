"""A plain uniform sample of the incoming stream, for probes such as the measured recall of an index."""

from __future__ import annotations

import numpy as np

from tsds_stream.selection.arithmetic import Float32, Float64, UInt64, salt_of, uniforms


class StreamReservoir:
    """The `size` points with the smallest hash uniforms among all points offered.

    Every distinct point has the same chance to be held, whatever the order, the batches and the number of times it
    came: the content is a function of the set of points, the size, the seed and the name. Reservoirs of shards merge
    into that of the whole. The uniforms are independent of those of coordinated sampling with the same seed and name.

    Args:
        size: points held at most.
        dimension: d of the vectors.
        seed, name: choose the sample; the name is that of the target set.
    """

    def __init__(self, size: int, dimension: int, seed: int = 0, name: str = "default") -> None:
        if size < 1:
            raise ValueError(f"a reservoir holds at least one point, not {size}")
        self.size = size
        self.seed = seed
        self.name = name
        self._salt = salt_of(seed, f"reservoir/{name}")  # "/" cannot occur in the name of a target set
        self._words: UInt64 = np.empty((0, 2), np.uint64)
        self._vectors: Float32 = np.empty((0, dimension), np.float32)
        self._uniforms: Float64 = np.empty(0)

    def __len__(self) -> int:
        return len(self._words)

    @property
    def words(self) -> UInt64:
        """(k, 2) uint64 `key_words` of the points held, ascending by (uniform, key)."""
        return self._words

    @property
    def vectors(self) -> Float32:
        """(k, d) float32 vectors of the points held, aligned with `words`."""
        return self._vectors

    def add(self, words: UInt64, vectors: Float32) -> None:
        """Offer points: (n, 2) uint64 `key_words` and (n, d) float32 canonical vectors."""
        fresh = uniforms(words, self._salt)
        if len(self) == self.size:
            low = np.flatnonzero(fresh <= self._uniforms[-1])
            if len(low) == 0:
                return
            words, vectors, fresh = words[low], vectors[low], fresh[low]
        all_words = np.concatenate([self._words, words])
        all_uniforms = np.concatenate([self._uniforms, fresh])
        order = np.lexsort((all_words[:, 1], all_words[:, 0], all_uniforms))
        ordered = all_words[order]
        again = np.zeros(len(order), np.bool_)
        again[1:] = (ordered[1:] == ordered[:-1]).all(1)
        order = order[~again][: self.size]
        self._words, self._uniforms = all_words[order], all_uniforms[order]
        self._vectors = np.concatenate([self._vectors, vectors])[order]

    def merge(self, other: StreamReservoir) -> None:
        """Take in the reservoir of another shard.

        Raises:
            ValueError: the other one was made with another size, seed or name.
        """
        if (self.size, self.seed, self.name) != (other.size, other.seed, other.name):
            raise ValueError("reservoirs merge only with equal size, seed and name")
        self.add(other.words, other.vectors)

    def arrays(self) -> dict[str, UInt64 | Float32]:
        """The content as arrays, for a checkpoint; `add` of them to an empty reservoir restores it."""
        return {"words": self._words.copy(), "vectors": self._vectors.copy()}
