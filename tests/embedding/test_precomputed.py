from __future__ import annotations

import pytest

from tsds_stream.embedding import EmbedderError, EmbeddingFailed, FingerprintMismatch, check_fingerprint
from tsds_stream.embedding.precomputed import PrecomputedEmbedder
from tsds_stream.embedding.settings import PrecomputedSettings


def test_a_text_without_an_embedding_is_a_failure_that_says_what_to_do() -> None:
    embedder = PrecomputedEmbedder(PrecomputedSettings(dimension=3))
    result = embedder.embed_all(["a", "b"])
    assert sorted(result.failures) == [0, 1]
    assert result.failures[0].reason == "precomputed"
    with pytest.raises(EmbeddingFailed, match="add an `embedding`"):
        embedder.embed(["a"])


def test_the_dimension_comes_from_the_first_target() -> None:
    embedder = PrecomputedEmbedder(PrecomputedSettings(name="minilm@v2"))
    with pytest.raises(EmbedderError, match=r"set embedder\.dimension"):
        _ = embedder.dimension
    embedder.adopt(384)
    embedder.adopt(384)
    assert embedder.dimension == 384
    assert embedder.fingerprint == "precomputed:minilm@v2-384"
    with pytest.raises(EmbedderError, match="256 numbers where 384 are expected"):
        embedder.adopt(256)


def test_state_of_another_embedder_is_refused_with_advice() -> None:
    check_fingerprint("static:a", "static:a")
    with pytest.raises(FingerprintMismatch, match=r"'static:a'.*'static:b'.*empty state directory"):
        check_fingerprint("static:a", "static:b")
