from __future__ import annotations

import math
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.embedding.corpus import pieces
from tsds_stream.embedding.hashing import HashingEmbedder
from tsds_stream.embedding.settings import HashingSettings

MASK = 2**64 - 1


def mix(x: int) -> int:
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def plainly(data: bytes, d: int, min_n: int, max_n: int) -> list[float]:
    """The stated hash, one n-gram at a time."""
    total = [0.0] * d
    for n in range(min_n, min(max_n, len(data)) + 1):
        grams = Counter(int.from_bytes(data[i : i + n], "little") for i in range(len(data) - n + 1))
        part = [0.0] * d
        for code, count in sorted(grams.items()):
            h = mix(code + (n << 32))
            part[(h >> 32) * d >> 32] += math.sqrt(count) * (-1 if h & 1 else 1)
        squares = 0.0
        for x in part:
            squares += x * x
        total = [t + x / math.sqrt(squares) if squares else t for t, x in zip(total, part, strict=True)]
    squares = 0.0
    for x in total:
        squares += x * x
    return [t / math.sqrt(squares) if squares else 0.0 for t in total]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.integers(1, 70), st.integers(1, 4))
def test_the_vectors_follow_from_the_stated_hash_bit_by_bit(text: str, d: int, max_n: int) -> None:
    embedder = HashingEmbedder(HashingSettings(dimension=d, max_n=max_n))
    result = embedder.embed_all([text])
    if not result.failures:
        expected = np.array(plainly(text.encode(), d, 1, max_n)).astype(np.float32)
        assert np.array_equal(result.vectors[0], expected)


def test_the_same_vector_on_every_machine() -> None:
    vector = HashingEmbedder(HashingSettings(dimension=4)).embed(["The same bits everywhere."])[0]
    assert vector.astype("<f4").tobytes().hex() == GOLDEN


def test_texts_about_the_same_thing_are_nearer() -> None:
    texts = pieces(size=600, limit=200)
    vectors = HashingEmbedder().embed(texts)
    similarity = vectors @ vectors.T
    neighbours = np.mean([similarity[i, i + 1] for i in range(198)])
    assert neighbours > np.median(similarity) + 0.05


def test_only_the_first_bytes_count_and_characters_stay_whole() -> None:
    embedder = HashingEmbedder(HashingSettings(max_bytes=4))
    assert np.array_equal(embedder.embed(["abcdef"]), embedder.embed(["abcdxyz"]))
    assert np.array_equal(embedder.embed(["é中x"]), embedder.embed(["é"]))
    assert embedder.fingerprint != HashingEmbedder().fingerprint


def test_a_text_shorter_than_every_n_gram_is_a_failure() -> None:
    result = HashingEmbedder(HashingSettings(min_n=3)).embed_all(["ab", "abc"])
    assert list(result.failures) == [0]
    assert result.failures[0].reason == "empty"


GOLDEN = "c7dd263f77ff313f05c14d3e64f267be"
