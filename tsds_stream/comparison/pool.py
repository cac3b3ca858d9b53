"""The documents that methods choose from and the examples that they choose for, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b

import numpy as np

from tsds_stream.comparison.words import Words
from tsds_stream.selection.arithmetic import (
    KEY_BYTES,
    Bool,
    Float32,
    Float64,
    Int64,
    UInt64,
    canonical,
    key_words,
    keys_of,
    salt_of,
    squared_norms,
    uniforms,
)


@dataclass(frozen=True, eq=False)
class Pool:
    """n documents, in the order of their stream.

    Attributes:
        ids: distinct; vectors: (n, d) float32 canonical; tokens: (n,) int64.
        keys: (n, 2) uint64 key words of the vectors: equal for documents that are one point.
        words: of the texts, where there are texts; numbered by the lexicon that the targets have, too.
    """

    ids: Sequence[str]
    vectors: Float32
    tokens: Int64
    keys: UInt64
    words: Words | None = None

    @classmethod
    def of(cls, ids: Sequence[str], vectors: Float32, tokens: Int64, words: Words | None = None) -> Pool:
        """From raw embeddings: (n, d) float32 finite, non-zero rows."""
        points = canonical(vectors)
        return cls(list(ids), points, np.asarray(tokens, np.int64), _key_words(keys_of(points)), words)

    def __len__(self) -> int:
        return len(self.tokens)

    def part(self, rows: Int64) -> Pool:
        """Some of the documents, in this order."""
        words = None if self.words is None else self.words.take(rows)
        ids = [self.ids[row] for row in rows.tolist()]
        return Pool(ids, self.vectors[rows], self.tokens[rows], self.keys[rows], words)

    @cached_property
    def norms(self) -> Float64:
        """(n,) float64 exact squared norms."""
        return squared_norms(self.vectors)

    @cached_property
    def by_key(self) -> Int64:
        """(n,) int64 rows in order of (key, id), as good as random and the same in every order of arrival."""
        ids = np.empty(len(self), np.int64)
        ids[sorted(range(len(self)), key=self.ids.__getitem__)] = np.arange(len(self))
        return np.lexsort((ids, self.keys[:, 1], self.keys[:, 0]))

    @cached_property
    def rank(self) -> Int64:
        """(n,) int64 place of each row in `by_key`: what decides ties."""
        rank = np.empty(len(self), np.int64)
        rank[self.by_key] = np.arange(len(self))
        return rank

    @cached_property
    def _hashed_ids(self) -> UInt64:
        return hashed(self.ids)

    def draws(self, seed: int, name: str) -> Float64:
        """(n,) float64 uniforms in (0, 1), each a function of seed, name and the document's id."""
        return uniforms(self._hashed_ids, salt_of(seed, name))

    def eligible(self, budget: int) -> Bool:
        """(n,) bool: documents that do not exceed the token budget by themselves."""
        fits: Bool = self.tokens <= budget
        return fits


@dataclass(frozen=True, eq=False)
class Targets:
    """M examples, ascending by id, with distinct embeddings.

    Attributes:
        given: (M, d) float32 embeddings as they came, which a selector normalises itself; vectors: canonical.
        weights: (M,) float64, positive; groups: a label each, "" where there is none.
    """

    ids: Sequence[str]
    given: Float32
    vectors: Float32
    weights: Float64
    groups: Sequence[str]
    words: Words | None = None

    @classmethod
    def of(
        cls,
        ids: Sequence[str],
        vectors: Float32,
        weights: Sequence[float] | None = None,
        groups: Sequence[str] | None = None,
        words: Words | None = None,
    ) -> Targets:
        """From raw embeddings. Examples with equal embeddings merge under the smallest id, with the sum of weights."""
        order = sorted(range(len(ids)), key=ids.__getitem__)
        points = canonical(vectors)
        first: dict[bytes, int] = {}
        total = np.zeros(len(ids))
        for row in order:
            into = first.setdefault(points[row].tobytes(), row)
            total[into] += 1.0 if weights is None else weights[row]
        rows = np.array(list(first.values()), np.int64)
        labels = [""] * len(ids) if groups is None else groups
        return cls(
            [ids[row] for row in rows.tolist()],
            np.asarray(vectors, np.float32)[rows],
            points[rows],
            total[rows],
            [labels[row] for row in rows.tolist()],
            None if words is None else words.take(rows),
        )

    def __len__(self) -> int:
        return len(self.weights)

    def part(self, rows: Int64) -> Targets:
        """Some of the examples; rows ascending."""
        numbers = rows.tolist()
        return replace(
            self,
            ids=[self.ids[row] for row in numbers],
            given=self.given[rows],
            vectors=self.vectors[rows],
            weights=self.weights[rows],
            groups=[self.groups[row] for row in numbers],
            words=None if self.words is None else self.words.take(rows),
        )

    @cached_property
    def norms(self) -> Float64:
        """(M,) float64 exact squared norms."""
        return squared_norms(self.vectors)


def hashed(ids: Sequence[str]) -> UInt64:
    """(n, 2) uint64: the first 16 bytes of blake2b of each id, as key words."""
    return _key_words([blake2b(name.encode(), digest_size=KEY_BYTES).digest() for name in ids])


def _key_words(keys: list[bytes]) -> UInt64:
    return key_words(keys) if keys else np.empty((0, 2), np.uint64)
