"""How fast neighbours within sigma are found: `python -m benchmarks.index vectors.npy [--rows 500] [--json]`.

The file holds embeddings of real texts, (n, d); random vectors say nothing, because the fold lives from their spectrum.
The same question, which points lie within sigma of these rows, is put to

* the fold, as it chooses itself (its fit and the folding of all points are timed apart);
* the full float32 product with an exact recheck, and full float64 products of tiles;
* HNSW, by doubling k (recall beside it), whose build is compared with hnswlib's bare `add_items`.

Processor time of one BLAS thread, in microseconds per row; HNSW uses its own threads and counts them all.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np

from tsds_stream.selection.arithmetic import Float32, canonical, key_words, keys_of, squared_norms
from tsds_stream.selection.blas import one_blas_thread
from tsds_stream.selection.close_pairs import Points, accumulate_density
from tsds_stream.selection.fold import Fold
from tsds_stream.selection.hnsw import HnswIndex, HnswParameters
from tsds_stream.selection.recall import recall_probe

SIGMAS = (0.2, 0.4, 0.6, 0.8, 1.0)
BLOCK = 4096


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of all threads of this process, and what the action returns."""
    start = time.process_time()
    result = action()
    return time.process_time() - start, result


def distinct(raw: Float32) -> Float32:
    """Canonical vectors without copies: points, as an index holds them."""
    vectors = canonical(raw)
    _, first = np.unique(np.array([key.hex() for key in keys_of(vectors)]), return_index=True)
    return np.ascontiguousarray(vectors[np.sort(first)])


def products(vectors: Float32, rows: int, sigmas: tuple[float, ...] = SIGMAS) -> list[dict[str, Any]]:
    """Densities of some rows against all points, by the three ways of `accumulate_density`."""
    n, d = vectors.shape
    norms = squared_norms(vectors)
    chosen = np.arange(0, n, max(1, n // rows))[:rows]
    ones = np.ones(n, np.int64)
    table = []
    for sigma in sigmas:
        fit, fold = timed(partial(Fold.fit, vectors[:: max(1, n // 8192)], sigma))
        folding, folded = timed(partial(fold.project, vectors, norms))
        seconds, sums = {}, {}
        ways = {"fold": (fold, folded), "float32": (Fold(d), vectors), "float64": (Fold(d, dense=True), vectors)}
        for name, (way, images) in ways.items():
            left, right = Points(vectors, norms, images, chosen), Points(vectors, norms, images)
            seconds[name], sums[name] = timed(partial(accumulate_density, way, left, right, sigma, ones))
        assert (sums["fold"] == sums["float64"]).all()
        assert (sums["float32"] == sums["float64"]).all()
        per_row = {name: 1e6 * value / len(chosen) for name, value in seconds.items()}
        table.append(
            {
                "sigma": sigma,
                "mean density": float((sums["fold"] / 2.0**32).mean()),
                "fold width": "tiles" if fold.dense else fold.width,
                "wasted pairs per row": fold.survival.wasted * n,
                "fit ms": fit * 1e3,
                "folding us": folding * 1e6 / n,
                **{f"{name} us": value for name, value in per_row.items()},
                "float32/fold": per_row["float32"] / per_row["fold"],
                "float64/fold": per_row["float64"] / per_row["fold"],
            }
        )
    return table


def graph(
    vectors: Float32, rows: int, sigmas: tuple[float, ...], kde_k: int, parameters: HnswParameters
) -> dict[str, Any]:
    """Building an HNSW index beside bare hnswlib, and its answers within sigma."""
    n, d = vectors.shape
    labels, words = np.arange(n), key_words(keys_of(vectors))
    blocks = [slice(start, start + BLOCK) for start in range(0, n, BLOCK)]

    def bare() -> None:
        index = hnswlib.Index(space="l2", dim=d)
        index.init_index(n, M=parameters.m, ef_construction=parameters.ef_construction, random_seed=parameters.seed)
        for block in blocks:
            index.add_items(vectors[block], labels[block], num_threads=parameters.threads)

    index = HnswIndex(d, parameters)

    def ours() -> None:
        for block in blocks:
            index.add(labels[block], vectors[block], words[block])

    start = time.perf_counter()
    bare_cpu, _ = timed(bare)
    middle = time.perf_counter()
    ours_cpu, _ = timed(ours)
    end = time.perf_counter()
    chosen = np.arange(0, n, max(1, n // rows))[:rows]
    queries = vectors[chosen]
    answers = []
    for sigma in sigmas:
        seconds, found = timed(partial(index.within, queries, sigma, kde_k))
        answers.append(
            {
                "sigma": sigma,
                "us": 1e6 * seconds / len(queries),
                "recall": recall_probe(index, labels, vectors, queries[:100], sigma, kde_k),
                "saturated": int(found.saturated.sum()),
            }
        )
    return {
        "build us per point (cpu)": 1e6 * ours_cpu / n,
        "bare add_items us per point (cpu)": 1e6 * bare_cpu / n,
        "throughput against bare (cpu)": bare_cpu / ours_cpu,
        "throughput against bare (wall)": (middle - start) / (end - middle),
        "within": answers,
    }


def measure(
    raw: Float32,
    rows: int = 500,
    sigmas: tuple[float, ...] = SIGMAS,
    kde_k: int = 1000,
    parameters: HnswParameters | None = None,
) -> dict[str, Any]:
    """All figures for embeddings (n, d)."""
    vectors = distinct(raw)
    with one_blas_thread():
        return {
            "points": len(vectors),
            "dimension": vectors.shape[1],
            "rows": min(rows, len(vectors)),
            "products": products(vectors, rows, sigmas),
            "hnsw": graph(vectors, rows, sigmas, kde_k, parameters or HnswParameters()),
        }


def main() -> None:
    """Print the tables, or all figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path, help="embeddings of real texts: a .npy file, (n, d)")
    parser.add_argument("--points", type=int, default=100_000, help="use so many of them")
    parser.add_argument("--rows", type=int, default=500, help="rows that ask")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    raw = np.asarray(np.load(options.vectors, mmap_mode="r")[: options.points], dtype=np.float32)
    figures = measure(raw, options.rows)
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    print(f"{figures['points']:,} points x {figures['dimension']}, {figures['rows']} rows, cpu us per row")
    columns = ("fold us", "float32 us", "float64 us", "float32/fold", "float64/fold")
    print(
        f"{'sigma':>6}{'density':>9}{'width':>7}{'wasted':>8}"
        + "".join(f"{name:>14}" for name in columns)
        + "  hnsw us"
    )
    for row, answer in zip(figures["products"], figures["hnsw"]["within"], strict=True):
        print(
            f"{row['sigma']:>6}{row['mean density']:>9.1f}{row['fold width']:>7}{row['wasted pairs per row']:>8.0f}"
            + "".join(f"{row[name]:>14.1f}" for name in columns)
            + f"{answer['us']:>9.0f} (recall {answer['recall']:.3f}, saturated {answer['saturated']})"
        )
    first = figures["products"][0]
    print(f"fit {first['fit ms']:.0f} ms, folding {first['folding us']:.2f} us per point")
    for name, value in figures["hnsw"].items():
        if name != "within":
            print(f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
