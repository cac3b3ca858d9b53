"""Exact arithmetic: canonical embeddings, keys, distances and the per-point uniforms.

A canonical embedding is L2-normalised and rounded to multiples of 2^-24. Every inner product, squared norm and squared
distance of two canonical vectors is then a multiple of 2^-48 below 2^5, so float64 holds it exactly, whatever the order
of summation, the BLAS, or the use of fused multiply-add.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
UInt64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]

GRID: Final = 2.0**-24  # canonical coordinates are multiples of this
MAX_DIMENSION: Final = 2**14
KERNEL_UNIT: Final = 2.0**32  # kernel terms are integers in units of 2^-32
KEY_BYTES: Final = 16
_CHUNK: Final = 32  # at most 32 squares of integers up to 2^24 sum to 2^53: exact in float64 in any order


def canonical(vectors: NDArray[np.floating], block: int = 512) -> Float32:
    """Normalise rows to unit length and round them to multiples of 2^-24.

    The norm comes from an integer sum (rows are scaled by a power of two to integers up to 2^24), so the result depends
    on neither memory layout nor BLAS. Not idempotent: canonicalise once and carry the bytes.

    Args:
        vectors: (n, d) finite, non-zero rows; anything but float32 is cast to float32 first.
        block: rows worked on at a time; bounds the temporary memory and does not change the result.

    Returns:
        (n, d) float32, C-contiguous.

    Raises:
        ValueError: not two-dimensional, or d outside 1 .. 2^14.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or not 1 <= vectors.shape[1] <= MAX_DIMENSION:
        raise ValueError(f"embeddings must have shape (n, d) with 1 <= d <= {MAX_DIMENSION}, got {vectors.shape}")
    n, d = vectors.shape
    width = d + -d % _CHUNK
    out = np.empty((n, d), np.float32)
    buffer = np.zeros((min(block, max(n, 1)), width))
    for start in range(0, n, block):
        rows = vectors[start : start + block]
        k = len(rows)
        scaled = buffer[:k, :d]
        _, exponent = np.frexp(np.maximum(rows.max(1), -rows.min(1)).astype(np.float64))
        np.multiply(rows, np.ldexp(1.0, 24 - exponent)[:, None], out=scaled)
        np.rint(scaled, out=scaled)
        chunks = buffer[:k].reshape(-1, _CHUNK)
        partial = np.einsum("ij,ij->i", chunks, chunks).reshape(k, width // _CHUNK)
        norm = np.sqrt(partial.astype(np.int64).sum(1).astype(np.float64)) * GRID
        np.divide(scaled, norm[:, None], out=scaled)
        np.rint(scaled, out=scaled)
        np.add(scaled, 0.0, out=scaled)  # no -0.0: equal vectors have equal bytes
        np.multiply(scaled, GRID, out=out[start : start + block], casting="same_kind")
    return out


def single(values: ArrayLike) -> Float32:
    """Values as float32; what is too large becomes infinite (and is rejected as such) without a warning."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)


def squared_norms(vectors: Float32) -> Float64:
    """(n,) float64 exact squared norms of canonical rows."""
    out = np.empty(len(vectors))
    for start in range(0, len(vectors), 1024):
        rows = vectors[start : start + 1024].astype(np.float64)
        np.einsum("ij,ij->i", rows, rows, out=out[start : start + 1024])
    return out


def pair_products(a: Float32, i: NDArray[np.integer], b: Float32, j: NDArray[np.integer], block: int = 256) -> Float64:
    """Exact inner products of chosen pairs of canonical rows: out[k] = a[i[k]] . b[j[k]], float64.

    Buffers are allocated once: fresh pages would cost more than the arithmetic.
    """
    n, d = len(i), a.shape[1]
    block = min(block, max(n, 1))
    gathered = np.empty((block, d), np.float32)
    left, right = np.empty((block, d)), np.empty((block, d))
    out = np.empty(n)
    for start in range(0, n, block):
        k = min(block, n - start)
        np.take(a, i[start : start + k], axis=0, out=gathered[:k], mode="clip")
        left[:k] = gathered[:k]
        np.take(b, j[start : start + k], axis=0, out=gathered[:k], mode="clip")
        right[:k] = gathered[:k]
        np.einsum("ij,ij->i", left[:k], right[:k], out=out[start : start + k])
    return out


def pair_squared_distances(
    a: Float32, a_norms: Float64, i: NDArray[np.integer], b: Float32, b_norms: Float64, j: NDArray[np.integer]
) -> Float64:
    """Exact squared distances of chosen pairs of canonical rows; norms are `squared_norms` of all rows."""
    products = pair_products(a, i, b, j)
    products *= -2.0
    products += a_norms[i]
    products += b_norms[j]
    return products


def squared_distances(a: Float32, b: Float32) -> Float64:
    """(len(a), len(b)) float64 exact squared distances of canonical rows: the plain, obvious form."""
    products = a.astype(np.float64) @ b.astype(np.float64).T
    return squared_norms(a)[:, None] + squared_norms(b)[None, :] - 2.0 * products


def kernel_terms(squared: Float64, sigma: float) -> Int64:
    """rint(max(0, 1 - d²/sigma²) · 2^32) as int64: what one point of multiplicity 1 adds to a density."""
    return np.rint(np.maximum(1.0 - squared / (sigma * sigma), 0.0) * KERNEL_UNIT).astype(np.int64)


def keys_of(vectors: Float32) -> list[bytes]:
    """The key of each canonical row: blake2b-128 of its bytes (little-endian float32).

    A Python loop over rows: hashing has no vectorised form, and only what survives the screen is hashed.
    """
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    return [blake2b(row.data, digest_size=KEY_BYTES).digest() for row in rows]


def key_words(keys: list[bytes]) -> UInt64:
    """(n, 2) uint64, big-endian words, so that comparing words compares keys as bytes."""
    return np.frombuffer(b"".join(keys), dtype=">u8").astype(np.uint64).reshape(-1, 2)


def key_order(words: UInt64) -> Int64:
    """(n,) int64 permutation that sorts key words ascending as bytes."""
    order = np.argsort(words[:, 0], kind="stable")
    first = words[order, 0]
    if len(first) > 1 and bool((first[1:] == first[:-1]).any()):
        order = np.lexsort((words[:, 1], words[:, 0]))
    return order


def salt_of(seed: int, name: str) -> np.uint64:
    """First 8 bytes (little-endian) of blake2b(seed as int64 little-endian, then the UTF-8 name of the target set)."""
    digest = blake2b(int(seed).to_bytes(8, "little", signed=True) + name.encode()).digest()
    return np.uint64(int.from_bytes(digest[:8], "little"))


def mix(x: UInt64) -> UInt64:
    """splitmix64's finaliser."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniforms(words: UInt64, salt: np.uint64) -> Float64:
    """The fixed uniform in (0, 1) of each point: ((h >> 12) + 1/2) · 2^-52, h = mix(mix(lo ^ salt) ^ hi).

    Args:
        words: (n, 2) uint64 of `key_words`; lo and hi are the little-endian halves of the key.
    """
    halves = words.byteswap()
    h = mix(mix(halves[:, 0] ^ salt) ^ halves[:, 1])
    return ((h >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def counted_uniforms(seed: int, name: str, count: int) -> Float64:
    """(count,) uniforms in (0, 1), draw t a function of (seed, name, t) alone."""
    draws = np.arange(count, dtype=np.uint64)
    return uniforms(np.stack([draws, np.zeros_like(draws)], 1).byteswap(), salt_of(seed, name))
