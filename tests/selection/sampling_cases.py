"""Small worlds for the sampling tests: clustered canonical vectors with copies nearby, ties, tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from tests.selection.sampling_oracle import Near, OracleSample
from tsds_stream.selection.arithmetic import (
    canonical,
    key_words,
    keys_of,
    pair_squared_distances,
    salt_of,
    squared_distances,
    squared_norms,
    uniforms,
)
from tsds_stream.selection.sampling import Sample
from tsds_stream.selection.spacing import Spacing


@dataclass
class World:
    """n distinct points in clusters, with keys, uniforms, tied probabilities and tokens."""

    vectors: np.ndarray
    keys: list[bytes]
    u: np.ndarray
    p: np.ndarray
    tokens: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def words(self) -> np.ndarray:
        return key_words(self.keys)

    @property
    def norms(self) -> np.ndarray:
        return squared_norms(self.vectors)

    def spacing(self, radius: float | None) -> Spacing | None:
        return None if radius is None else Spacing(self.vectors, self.norms, radius)

    def near(self, radius: float | None) -> Near:
        if radius is None:
            return None
        distances = squared_distances(self.vectors, self.vectors)
        return lambda i, j: bool(distances[i, j] < radius * radius)


def make_world(n: int, seed: int, dimension: int = 8, clusters: int = 12, width: float = 0.2) -> World:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, dimension))
    vectors = centres[rng.integers(clusters, size=n)] + width * rng.normal(size=(n, dimension))
    vectors = np.unique(canonical(vectors.astype(np.float32)), axis=0)
    vectors = vectors[rng.permutation(len(vectors))]
    keys = keys_of(vectors)
    u = uniforms(key_words(keys), salt_of(seed, "test"))
    p = rng.choice([0.5, 0.25, 0.25, 0.125, 1e-6, 0.3], size=len(keys))
    tied = rng.random(len(keys)) < 0.5
    u[tied] = 0.5  # equal ranks: keys must decide
    return World(vectors, keys, u, p, rng.integers(0, 40, size=len(keys)))


def assert_same(fast: Sample, slow: OracleSample) -> None:
    assert fast.chosen.tolist() == slow.chosen
    assert fast.chosen.dtype == np.int64
    assert fast.weights.tolist() == slow.weights
    assert fast.inclusion.tolist() == slow.inclusion
    assert fast.tau == slow.tau
    assert fast.short_of_budget is slow.short_of_budget
    assert fast.approximate_inclusion is slow.approximate_inclusion
    assert fast.truncated_rows == slow.truncated_rows


def a_radius_equal_to_some_distance(vectors: np.ndarray, seed: int) -> float:
    """A radius whose square is exactly the squared distance of some pair, so that `nearer` must be strict."""
    rng = np.random.default_rng(seed)
    norms = squared_norms(vectors)
    i, j = rng.integers(len(vectors), size=(2, 4000))
    squared = pair_squared_distances(vectors, norms, i, vectors, norms, j)
    radius = np.sqrt(squared)
    hits = radius[(radius * radius == squared) & (squared > 0)]
    return float(hits[0])


budgets: st.SearchStrategy[tuple[int | None, int | None]] = st.one_of(
    st.tuples(st.integers(1, 140), st.none()),
    st.tuples(st.none(), st.integers(1, 3000)),
    st.tuples(st.integers(1, 140), st.integers(1, 3000)),
)
radii: Sequence[float | None] = (None, 0.1, 0.3, 0.8, 2.0)
