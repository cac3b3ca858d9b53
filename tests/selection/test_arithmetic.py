"""Canonical vectors are exact: equal to integer arithmetic, whatever the layout, the order or the BLAS."""

from __future__ import annotations

from hashlib import blake2b
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from tsds_stream.selection.arithmetic import (
    GRID,
    canonical,
    counted_uniforms,
    kernel_terms,
    key_order,
    key_words,
    keys_of,
    pair_products,
    pair_squared_distances,
    salt_of,
    squared_distances,
    squared_norms,
    uniforms,
)

DIMENSIONS = [1, 2, 3, 31, 32, 33, 100, 256, 384, 1000, 4096]


def rows(seed: int, n: int, d: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * 2.0 ** rng.integers(-60, 60, (n, 1))).astype(np.float32)


def by_integers(row: np.ndarray) -> list[int]:
    """The canonical row in units of 2^-24, with Python's integers."""
    largest = max(abs(float(x)) for x in row)
    exponent = int(np.frexp(largest)[1])
    scaled = [round(float(x) * 2.0 ** (24 - exponent)) for x in row]
    norm = sqrt(float(sum(y * y for y in scaled))) * 2.0**-24
    return [round(y / norm) for y in scaled]


def as_integers(row: np.ndarray) -> list[int]:
    return [int(x) for x in row.astype(np.float64) * 2.0**24]


@pytest.mark.parametrize("d", DIMENSIONS)
def test_canonical_equals_integer_arithmetic(d):
    vectors = rows(d, 5, d)
    for row, exact in zip(vectors, canonical(vectors), strict=True):
        assert as_integers(exact) == by_integers(row)
        assert (exact.astype(np.float64) / GRID % 1 == 0).all()


@pytest.mark.parametrize("d", DIMENSIONS)
def test_products_and_distances_are_those_of_integers(d):
    a, b = canonical(rows(d, 4, d)), canonical(rows(d + 1, 3, d))
    squared = squared_distances(a, b)
    i, j = (x.ravel() for x in np.indices(squared.shape))
    assert (pair_squared_distances(a, squared_norms(a), i, b, squared_norms(b), j) == squared.ravel()).all()
    for k, (x, y) in enumerate(zip(i, j, strict=True)):
        p, q = as_integers(a[x]), as_integers(b[y])
        assert int(squared.ravel()[k] * 2.0**48) == sum((s - t) ** 2 for s, t in zip(p, q, strict=True))


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), d=st.sampled_from(DIMENSIONS[:-1]), block=st.integers(1, 9))
def test_canonical_does_not_depend_on_order_layout_or_blocks(seed, d, block):
    vectors = rows(seed, 12, d)
    expected = canonical(vectors)
    order = np.random.default_rng(seed).permutation(12)
    assert (canonical(vectors[order]) == expected[order]).all()
    assert (canonical(np.asfortranarray(vectors)) == expected).all()
    assert (canonical(np.repeat(vectors, 2, axis=1)[:, ::2]) == expected).all()
    assert (canonical(vectors, block=block) == expected).all()
    assert (np.concatenate([canonical(row[None]) for row in vectors]) == expected).all()
    # A power of two changes no bit of the direction.
    assert (canonical(vectors * np.float32(2.0**-20)) == expected).all()


@pytest.mark.parametrize("d", [3, 256, 384, 1000])
def test_distances_do_not_depend_on_blas_threads_or_on_the_order_of_coordinates(d):
    a, b = canonical(rows(1, 300, d)), canonical(rows(2, 200, d))
    with threadpool_limits(1):
        one = squared_distances(a, b)
    with threadpool_limits(2):
        two = squared_distances(a, b)
    order = np.random.default_rng(d).permutation(d)
    assert (one == two).all()
    assert (squared_distances(a[:, order], b[:, order]) == one).all()
    assert (one == squared_distances(b, a).T).all()
    i, j = np.random.default_rng(0).integers(0, 200, (2, 1000))
    assert (pair_products(a, i, b, j) == (a.astype(np.float64) @ b.astype(np.float64).T)[i, j]).all()
    assert (np.diag(squared_distances(a, a)) == 0).all()


def test_extreme_rows_have_a_direction():
    vectors = np.array([[1e-45, 0], [3e38, 3e38], [-1, 1e-30], [0, -1e-38]], np.float32)
    exact = canonical(vectors)
    assert exact[0].tolist() == [1, 0]
    assert exact[1].tolist() == pytest.approx([sqrt(0.5)] * 2)
    assert exact[2].tolist() == [-1, 0]
    assert exact[3].tolist() == [0, -1]


@pytest.mark.parametrize("shape", [(3,), (2, 0), (1, 2**14 + 1)])
def test_impossible_shapes_are_errors(shape):
    with pytest.raises(ValueError, match="shape"):
        canonical(np.ones(shape, np.float32))


def test_adding_and_removing_kernel_terms_leaves_no_residue():
    rng = np.random.default_rng(0)
    squared = rng.random(1000) * 2
    terms = kernel_terms(squared, 0.7)
    assert terms.dtype == np.int64
    assert int(terms.sum()) - sum(terms[rng.permutation(1000)].tolist()) == 0
    assert kernel_terms(np.array([0.0, 0.49, 5.0]), 0.7).tolist()[0] == 2**32
    assert kernel_terms(np.array([5.0]), 0.7).tolist() == [0]


def test_keys_are_the_hash_of_the_bytes_and_words_order_them_as_bytes():
    vectors = canonical(rows(0, 200, 16))
    keys = keys_of(vectors)
    assert keys[3] == blake2b(vectors[3].astype("<f4").tobytes(), digest_size=16).digest()
    words = key_words([*keys, keys[0][:8] + b"\0" * 8, keys[0][:8] + b"\xff" * 8])
    raw = words.astype(">u8").tobytes()
    as_bytes = [raw[k : k + 16] for k in range(0, len(raw), 16)]
    assert [as_bytes[k] for k in key_order(words)] == sorted(as_bytes)


def test_uniforms_follow_their_definition():
    """u = ((h >> 12) + 1/2)·2^-52, h = mix(mix(lo ^ salt) ^ hi), lo and hi the little-endian halves of the key."""

    def mix(x: int) -> int:
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
        return x ^ (x >> 31)

    keys = keys_of(canonical(rows(5, 50, 8)))
    salt = int.from_bytes(blake2b((-3).to_bytes(8, "little", signed=True) + "däta".encode()).digest()[:8], "little")
    assert int(salt_of(-3, "däta")) == salt
    for key, u in zip(keys, uniforms(key_words(keys), salt_of(-3, "däta")), strict=True):
        lo, hi = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
        assert u == ((mix(mix(lo ^ salt) ^ hi) >> 12) + 0.5) * 2.0**-52


def test_counted_uniforms_are_uniform_and_a_draw_does_not_depend_on_how_many_follow():
    """Kolmogorov-Smirnov against the uniform; 2.7/sqrt(n) is exceeded with probability below 1e-6."""
    draws = counted_uniforms(7, "set", 20_000)
    assert (counted_uniforms(7, "set", 50) == draws[:50]).all()
    assert not (counted_uniforms(8, "set", 50) == draws[:50]).any()
    gap = np.abs(np.sort(draws) - (np.arange(20_000) + 0.5) / 20_000).max()
    assert gap < 2.7 / sqrt(20_000)
