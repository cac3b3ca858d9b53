"""How many true neighbours an index finds."""

from __future__ import annotations

import numpy as np

from tsds_stream.selection.arithmetic import Float32, Int64, squared_norms
from tsds_stream.selection.close_pairs import Points, close_pairs
from tsds_stream.selection.fold import Fold
from tsds_stream.selection.index import NeighbourIndex


def recall_probe(
    index: NeighbourIndex,
    labels: Int64,
    vectors: Float32,
    queries: Float32,
    radius: float,
    limit: int | None = None,
) -> float:
    """The share of true pairs within the radius that the index finds, over a sample of its points.

    Args:
        labels: (n,) int64 labels of a sample of indexed points.
        vectors: (n, d) float32 canonical vectors of the sample.
        queries: (m, d) float32 canonical.
        radius: distance, as for `NeighbourIndex.within`.
        limit: passed to `NeighbourIndex.within`; neighbours lost to it count as missed.

    Returns:
        A number from 0 to 1; 1 when there is no true pair to be found.
    """
    plain = Fold(index.dimension)
    sides = (Points.of(plain, queries, squared_norms(queries)), Points.of(plain, vectors, squared_norms(vectors)))
    i, j, _ = close_pairs(plain, *sides, radius)
    if not len(i):
        return 1.0
    found = index.within(queries, radius, limit)
    rows = np.repeat(np.arange(len(found)), np.diff(found.offsets))
    pairs = np.unique(np.stack([rows, found.labels], 1), axis=0)
    wanted = np.stack([i, labels[j]], 1)
    both = np.concatenate([pairs, wanted])
    return (len(both) - len(np.unique(both, axis=0))) / len(wanted)
