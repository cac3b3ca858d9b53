"""What every embedder promises, whatever it is made of."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from tests.embedding.corpus import AWKWARD, pieces
from tests.embedding.minilm import FOLDER_OR_REASON, minilm_settings
from tests.embedding.servers import running
from tsds_stream.embedding import Embedder, EmbeddingFailed, create
from tsds_stream.embedding.settings import HashingSettings, HttpSettings, StaticSettings

KINDS = [
    "static",
    "static, all of the text",
    "hashing",
    "hashing, bytes alone",
    "http, tei",
    "http, openai",
]
if not isinstance(FOLDER_OR_REASON, str):  # else test_transformer.py says what to install
    KINDS.append("transformer")


@pytest.fixture(scope="module", params=KINDS)
def embedder(request: pytest.FixtureRequest) -> Iterator[Embedder]:
    with ExitStack() as stack:
        kind = request.param
        if kind == "static":
            made = create(StaticSettings())
        elif kind == "static, all of the text":
            made = create(StaticSettings(max_tokens=None))
        elif kind == "hashing":
            made = create(HashingSettings())
        elif kind == "hashing, bytes alone":
            made = create(HashingSettings(dimension=300, max_n=1, max_bytes=None))
        elif kind == "transformer":
            made = create(minilm_settings())
        else:
            url = stack.enter_context(running()).url
            made = create(HttpSettings(url=url, model="m", api="tei" if kind == "http, tei" else "openai"))
        stack.callback(made.close)
        yield made


def test_vectors_are_finite_float32_rows_of_the_dimension(embedder: Embedder) -> None:
    vectors = embedder.embed(pieces(limit=40))
    assert vectors.shape == (40, embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert vectors.any(1).all()


def test_awkward_texts_are_texts_too(embedder: Embedder) -> None:
    result = embedder.embed_all(AWKWARD)
    assert not result.failures
    assert np.isfinite(result.vectors).all()
    assert result.vectors.any(1).all()


def test_different_texts_get_different_vectors(embedder: Embedder) -> None:
    vectors = embedder.embed(["networks and sockets", "cats and dogs", "sorting algorithms"])
    assert len(np.unique(vectors, axis=0)) == 3


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    result = embedder.embed_all([])
    assert result.vectors.shape == (0, embedder.dimension)
    assert result.vectors.dtype == np.float32
    assert not result.failures


def test_blank_texts_are_failures_and_the_others_get_their_vectors(embedder: Embedder) -> None:
    texts = ["", "first", " \n\t ", "second", "\N{IDEOGRAPHIC SPACE}"]
    result = embedder.embed_all(texts)
    assert sorted(result.failures) == [0, 2, 4]
    assert {failure.reason for failure in result.failures.values()} == {"empty"}
    assert not result.vectors[[0, 2, 4]].any()
    assert np.allclose(result.vectors[[1, 3]], embedder.embed(["first", "second"]), atol=1e-5)
    with pytest.raises(EmbeddingFailed, match="text 0 has no embedding") as error:
        embedder.embed(texts)
    assert sorted(error.value.failures) == [0, 2, 4]


def test_only_blank_texts_give_only_failures(embedder: Embedder) -> None:
    assert sorted(embedder.embed_all(["", " "]).failures) == [0, 1]


def test_batches_and_order_change_nothing_or_nearly_nothing(embedder: Embedder) -> None:
    texts = pieces(limit=48) + AWKWARD
    whole = embedder.embed(texts)
    shuffled = random.Random(5).sample(range(len(texts)), len(texts))
    for order, size in ((range(len(texts)), 1), (shuffled, 7), (shuffled[::-1], 30)):
        for start in range(0, len(texts), size):
            batch = list(order[start : start + size])
            again = embedder.embed([texts[i] for i in batch])
            if embedder.batch_independent:
                assert again.tobytes() == whole[batch].tobytes()
            else:
                assert np.allclose(again, whole[batch], atol=1e-5)


def test_a_lone_surrogate_counts_as_a_replacement_character(embedder: Embedder) -> None:
    assert np.array_equal(embedder.embed(["a \ud800 b"]), embedder.embed(["a \N{REPLACEMENT CHARACTER} b"]))


def test_a_very_long_text_is_embedded(embedder: Embedder) -> None:
    vectors = embedder.embed(["a very long text " * 30_000])
    assert np.isfinite(vectors).all()
    assert vectors.any()


def test_the_fingerprint_is_one_short_line_of_ascii(embedder: Embedder) -> None:
    fingerprint = embedder.fingerprint
    assert fingerprint == embedder.fingerprint
    assert fingerprint.isascii()
    assert fingerprint.isprintable()
    assert " " not in fingerprint
    assert len(fingerprint) < 100


def test_closing_twice_is_fine() -> None:
    for settings in (StaticSettings(), HashingSettings(), HttpSettings(url="http://127.0.0.1:9")):
        made = create(settings)
        made.close()
        made.close()
