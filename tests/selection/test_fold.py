"""The fold finds exactly the pairs within sigma, whatever the data, the projection or the path taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from tsds_stream.selection.arithmetic import (
    Float32,
    Int64,
    canonical,
    kernel_terms,
    squared_distances,
    squared_norms,
)
from tsds_stream.selection.blas import one_blas_thread
from tsds_stream.selection.close_pairs import Points, accumulate_density, close_pairs, iter_close_pairs
from tsds_stream.selection.fold import Fold

DIMENSIONS = (1, 2, 5, 100, 384)
SIGMAS = (2.0**-20, 1e-3, 0.05, 0.3, 0.7, 1.0, 1.4, 3.0)


def sample(kind: str, n: int, d: int, seed: int) -> Float32:
    rng = np.random.default_rng(seed)
    if kind == "isotropic":
        raw = rng.standard_normal((n, d))
    elif kind == "copies":
        raw = rng.standard_normal((max(1, n // 10), d))[rng.integers(0, max(1, n // 10), n)]
    elif kind == "clusters":
        scale = np.arange(1, d + 1) ** -0.8
        centres = rng.standard_normal((5, d)) * scale
        raw = centres[rng.integers(0, 5, n)] + 0.3 * rng.standard_normal((n, d)) * scale
    elif kind == "near copies":
        raw = rng.standard_normal((1, d)) + 1e-6 * rng.standard_normal((n, d))
    else:  # a plane: the rest norms cancel
        raw = rng.standard_normal((n, min(d, 2))) @ rng.standard_normal((min(d, 2), d))
    raw[np.abs(raw).max(1) == 0] = 1.0
    return canonical(raw.astype(np.float32))


KINDS = ("isotropic", "copies", "clusters", "near copies", "plane")


def folds(vectors: Float32, sigma: float) -> list[Fold]:
    d = vectors.shape[1]
    narrow = Fold.fit(vectors, sigma, candidates=(1, 3, 23))
    forced = [Fold(d, fold.basis) for fold in [Fold.fit(vectors, 1e-3, candidates=(2,))] if fold.basis is not None]
    return [narrow, Fold(d), Fold(d, dense=True), *forced]


def truth(a: Float32, b: Float32, sigma: float) -> set[tuple[int, int]]:
    i, j = np.nonzero(squared_distances(a, b) < sigma * sigma)
    return set(zip(i.tolist(), j.tolist(), strict=True))


def brute_density(a: Float32, b: Float32, sigma: float, weights: Int64) -> Int64:
    return kernel_terms(squared_distances(a, b), sigma) @ weights


@given(
    d=st.sampled_from(DIMENSIONS),
    kind=st.sampled_from(KINDS),
    sigma=st.sampled_from(SIGMAS),
    n=st.integers(1, 90),
    m=st.integers(1, 90),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=150)
def test_pairs_and_densities_equal_brute_force(d: int, kind: str, sigma: float, n: int, m: int, seed: int) -> None:
    vectors = sample(kind, n + m, d, seed)
    a, b = vectors[:n], vectors[n:]
    weights = np.random.default_rng(seed).integers(-5, 6, m)
    expected, sums = truth(a, b, sigma), brute_density(a, b, sigma, weights)
    exact = squared_distances(a, b)
    for fold in folds(vectors, sigma):
        left, right = Points.of(fold, a, squared_norms(a)), Points.of(fold, b, squared_norms(b))
        i, j, squared = close_pairs(fold, left, right, sigma)
        assert len(i) == len(expected)
        assert set(zip(i.tolist(), j.tolist(), strict=True)) == expected
        assert (squared == exact[i, j]).all()
        assert (accumulate_density(fold, left, right, sigma, weights) == sums).all()


@pytest.mark.parametrize("d", DIMENSIONS)
def test_pairs_a_hair_within_sigma_are_found(d: int) -> None:
    vectors = sample("clusters", 300, d, 7)
    squared = np.unique(squared_distances(vectors, vectors))
    near = squared[squared > 0][:: max(1, len(squared) // 12)]
    for value in near[:12]:
        sigma = float(np.sqrt(value))
        while sigma * sigma <= value:  # the least sigma that still has this pair within
            sigma = float(np.nextafter(sigma, np.inf))
        for fold in folds(vectors, sigma):
            side = Points.of(fold, vectors, squared_norms(vectors))
            i, j, _ = close_pairs(fold, side, side, sigma)
            assert set(zip(i.tolist(), j.tolist(), strict=True)) == truth(vectors, vectors, sigma)


def test_several_tiles_and_strips_with_slots_equal_whole_arrays() -> None:
    vectors = sample("clusters", 6000, 40, 1)
    sigma = 0.4
    rng = np.random.default_rng(0)
    a_rows, b_rows = rng.permutation(6000)[:5000], rng.permutation(6000)[:2500]
    weights = rng.integers(1, 4, 2500)
    norms = squared_norms(vectors)
    expected = brute_density(vectors[a_rows], vectors[b_rows], sigma, weights)
    for fold in folds(vectors, sigma):
        folded = fold.project(vectors, norms)
        a, b = Points(vectors, norms, folded, a_rows), Points(vectors, norms, folded, b_rows)
        assert (accumulate_density(fold, a, b, sigma, weights) == expected).all()
        pairs = sum(len(i) for i, _, _ in iter_close_pairs(fold, a, b, sigma))
        assert pairs == int((squared_distances(vectors[a_rows], vectors[b_rows]) < sigma**2).sum())


def test_two_threads_give_the_same_sums_and_statistics() -> None:
    vectors = sample("clusters", 6000, 40, 1)
    norms = squared_norms(vectors)
    one, two = Fold.fit(vectors, 0.2), Fold.fit(vectors, 0.2)
    weights = np.arange(6000)
    side = Points.of(one, vectors, norms)
    single = accumulate_density(one, side, side, 0.2, weights)
    assert (accumulate_density(two, side, side, 0.2, weights, threads=2) == single).all()
    assert one.survival.entries == two.survival.entries
    assert one.survival.within == two.survival.within


def test_overlapping_limits_restore_the_number_of_blas_threads() -> None:
    def counts() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = counts()
    first, second = one_blas_thread(), one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(counts()) <= {1}
    second.__exit__(None, None, None)
    assert counts() == before


def test_an_upper_bound_holds_for_every_pair_of_images() -> None:
    for kind in KINDS:
        vectors = sample(kind, 200, 100, 3)
        fold = Fold(100, Fold.fit(sample("clusters", 50, 100, 4), 1e-3, candidates=(10,)).basis)
        assert fold.basis is not None
        images = fold.project(vectors, squared_norms(vectors)).astype(np.float64)
        products = vectors.astype(np.float64) @ vectors.astype(np.float64).T
        assert (images @ images.T >= products - 2.0**-22).all()


@pytest.mark.parametrize("d", [30, 100, 1500])
def test_no_basis_lengthens_a_vector(d: int) -> None:
    """The bound needs a spectral norm of at most 1, in spite of rounding."""
    fold = Fold.fit(sample("clusters", 200, d, 9), 1e-3, candidates=(23,))
    assert fold.basis is not None
    assert 1 - 1e-8 < np.linalg.norm(fold.basis, 2) < 1


def test_norms_away_from_one_are_allowed_for() -> None:
    scale = 1.0 + np.linspace(-(2.0**-12), 2.0**-12, 200)[:, None]
    grid = np.rint(sample("clusters", 200, 64, 5) * scale * 2.0**24) * 2.0**-24
    vectors = grid.astype(np.float32)
    for sigma in (1e-3, 0.2, 0.6):
        for fold in folds(vectors, sigma):
            side = Points.of(fold, vectors, squared_norms(vectors))
            i, j, _ = close_pairs(fold, side, side, sigma)
            assert set(zip(i.tolist(), j.tolist(), strict=True)) == truth(vectors, vectors, sigma)


def test_heavy_weights_do_not_lose_bits() -> None:
    vectors = sample("near copies", 50, 16, 2)
    weights = np.full(50, 2**25 + 1, np.int64)
    weights[::2] *= -1
    expected = [
        sum(int(t) * int(w) for t, w in zip(row, weights, strict=True))
        for row in kernel_terms(squared_distances(vectors, vectors), 1e-4)
    ]
    for fold in folds(vectors, 1e-4):
        side = Points.of(fold, vectors, squared_norms(vectors))
        assert accumulate_density(fold, side, side, 1e-4, weights).tolist() == expected


def test_adding_and_removing_leaves_no_residue() -> None:
    vectors = sample("clusters", 400, 32, 6)
    fold = Fold.fit(vectors, 0.5)
    norms = squared_norms(vectors)
    a, b = Points.of(fold, vectors[:100], norms[:100]), Points.of(fold, vectors[100:], norms[100:])
    weights = np.random.default_rng(1).integers(1, 9, 300)
    density = accumulate_density(fold, a, b, 0.5, weights)
    density += accumulate_density(fold, a, b, 0.5, -weights)
    assert not density.any()


def test_many_near_copies_come_in_bounded_chunks() -> None:
    vectors = sample("near copies", 3000, 24, 8)
    fold = Fold.fit(vectors, 0.1)
    side = Points.of(fold, vectors, squared_norms(vectors))
    sizes = [len(i) for i, _, _ in iter_close_pairs(fold, side, side, 0.1)]
    assert sum(sizes) == 3000**2
    assert max(sizes) <= 1 << 20
    assert fold.dense


def test_empty_sides_and_sigma_zero_have_no_pairs() -> None:
    vectors = sample("isotropic", 5, 3, 0)
    fold = Fold.fit(vectors[:0], 0.5)
    side = Points.of(fold, vectors, squared_norms(vectors))
    nobody = Points(side.vectors, side.norms, side.folded, np.empty(0, np.int64))
    assert len(close_pairs(fold, nobody, side, 0.5)[0]) == 0
    assert len(close_pairs(fold, side, nobody, 0.5)[0]) == 0
    assert len(close_pairs(fold, side, side, 0.0)[0]) == 0
    assert accumulate_density(fold, side, nobody, 0.5, np.empty(0, np.int64)).tolist() == [0] * 5


def test_isotropic_vectors_get_no_projection() -> None:
    assert Fold.fit(sample("isotropic", 3000, 200, 1), 1.2).basis is None


def test_decaying_spectra_get_a_narrow_projection() -> None:
    fold = Fold.fit(sample("clusters", 3000, 256, 1), 0.1)
    assert fold.basis is not None
    assert fold.width < 100


def test_wide_vectors_are_folded_from_few_rows() -> None:
    vectors = sample("clusters", 60, 1500, 2)
    fold = Fold.fit(vectors, 0.3, candidates=(8, 200))
    side = Points.of(fold, vectors, squared_norms(vectors))
    i, j, _ = close_pairs(fold, side, side, 0.3)
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == truth(vectors, vectors, 0.3)


def test_a_fold_of_other_data_says_that_it_is_worn() -> None:
    known = sample("clusters", 2000, 200, 1)
    fold = Fold.fit(known, 0.1)
    side = Points.of(fold, known, squared_norms(known))
    close_pairs(fold, side, side, 0.1)
    assert not fold.worn
    fold.survival.entries = fold.survival.survivors = fold.survival.within = 0
    # What the basis does not see: all of it lies in the rest norm, so everything survives.
    assert fold.basis is not None
    noise = np.random.default_rng(0).standard_normal((1500, 200))
    strange = canonical((noise - noise @ fold.basis @ fold.basis.T).astype(np.float32))
    side = Points.of(fold, strange, squared_norms(strange))
    close_pairs(fold, side, side, 0.1)
    assert fold.worn


def test_a_dense_fold_is_worn_when_close_pairs_become_rare() -> None:
    crowd = sample("near copies", 1500, 24, 8)
    fold = Fold.fit(crowd, 0.1)
    side = Points.of(fold, crowd, squared_norms(crowd))
    close_pairs(fold, side, side, 0.1)
    assert not fold.worn
    sparse = sample("isotropic", 2500, 24, 8)
    side = Points.of(fold, sparse, squared_norms(sparse))
    close_pairs(fold, side, side, 0.1)
    assert fold.worn
