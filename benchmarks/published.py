"""The published method, written afresh from the paper as the baseline: TSDS with KNN-KDE, arXiv 2410.11303.

Documents stand in an inverted-file index (faiss); the nearest `max_k` of every query are prefetched; the kernel density
of each prefetched document is summed over its `kde_k` nearest in a second index of the prefetched ones; mass is moved
one neighbour at a time, in the order of a heap, until diversity costs more than it brings; the budget is drawn with
replacement. With `kde=False` every document weighs 1 (KNN-Uniform).
"""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass
from math import sqrt

import faiss
import numpy as np

from tsds_stream.selection.arithmetic import Float32, Float64, Int64

_PROBES = 10  # lists of the index that a search visits: the published settings, as is the number of lists below
_SEARCHED_AT_ONCE = 8192


@dataclass(frozen=True)
class Published:
    """Result and the seconds of each stage.

    Attributes:
        probabilities: (N,) float64; chosen: (budget,) int64 document numbers, with repetition.
    """

    probabilities: Float64
    chosen: Int64
    seconds: dict[str, float]


def select(
    documents: Float32, targets: Float32, budget: int, max_k: int, alpha: float, sigma: float, kde_k: int, kde: bool
) -> Published:
    """Select from unit vectors: documents (N, d), targets (M, d), both float32."""
    clock, seconds = time.perf_counter(), {}

    def lap(stage: str) -> None:
        nonlocal clock
        seconds[stage] = time.perf_counter() - clock
        clock = time.perf_counter()

    index = inverted_file(documents)
    lap("index of documents")
    squared, neighbours = index.search(targets, max_k)
    distances = np.sqrt(np.maximum(squared, 0.0).astype(np.float64))
    lap("prefetch")
    union, position = np.unique(neighbours[neighbours >= 0], return_inverse=True)
    weight = np.ones(len(union))
    if kde:
        weight /= densities(documents[union], sigma, kde_k)
    lap("density")
    of_neighbour = np.full(neighbours.shape, np.nan)
    of_neighbour[neighbours >= 0] = weight[position]
    probabilities = transport(distances, neighbours, of_neighbour, alpha, len(documents))
    lap("transport")
    chosen = np.random.default_rng(0).choice(len(documents), budget, p=probabilities)
    lap("draw")
    return Published(probabilities, chosen, seconds)


def inverted_file(vectors: Float32) -> faiss.IndexIVFFlat:
    """An index over rows, with sqrt(n)/2 lists."""
    n, d = vectors.shape
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(d), d, max(1, int(sqrt(n)) // 2))
    index.train(vectors)
    index.add(vectors)
    index.nprobe = _PROBES
    return index


def densities(vectors: Float32, sigma: float, kde_k: int) -> Float64:
    """(n,) kernel density of each vector over its kde_k nearest."""
    index = inverted_file(vectors)
    out = np.empty(len(vectors))
    for start in range(0, len(vectors), _SEARCHED_AT_ONCE):
        squared, found = index.search(vectors[start : start + _SEARCHED_AT_ONCE], min(kde_k, len(vectors)))
        terms = np.where(found >= 0, np.maximum(1.0 - squared / sigma**2, 0.0), 0.0)
        out[start : start + _SEARCHED_AT_ONCE] = terms.sum(1, dtype=np.float64)
    return np.maximum(out, 1.0)


def transport(distances: Float64, neighbours: Int64, weights: Float64, alpha: float, documents: int) -> Float64:
    """(documents,) probabilities; one heap event per neighbour that a query takes on."""
    queries, width = distances.shape
    price = queries * (1.0 - alpha) / alpha
    taken = [0] * queries
    heap = [(float(weights[i, 0]), i) for i in range(queries)]
    heapq.heapify(heap)
    cost, s = 0.0, 0.0
    while heap:
        s, i = heapq.heappop(heap)
        k = taken[i]
        if k + 1 >= width:
            break  # the prefetch is too short
        cost += s * (distances[i, k + 1] - distances[i, k])
        if cost >= price:
            break
        taken[i] = k + 1
        heapq.heappush(heap, (s + float(weights[i, k + 1]), i))
    probabilities = np.zeros(documents)
    for i in range(queries):
        left = s
        for k in range(width):
            mass = min(left, float(weights[i, k]))
            probabilities[neighbours[i, k]] += mass / s / queries
            left -= mass
            if left <= 0:
                break
    return probabilities / probabilities.sum()
