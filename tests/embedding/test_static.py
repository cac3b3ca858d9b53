from __future__ import annotations

import logging
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.embedding.corpus import AWKWARD, pieces
from tsds_stream.embedding import EmbedderError, static
from tsds_stream.embedding.settings import StaticSettings
from tsds_stream.embedding.static import StaticEmbedder

EMBEDDER = StaticEmbedder()


@pytest.fixture(scope="module")
def package() -> Any:
    """The package's own model. Its import reconfigures logging, which is put back."""
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package's dependencies
        import wordllama
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)


def test_the_vectors_are_those_of_the_package(package: Any) -> None:
    texts = pieces() + [text for text in AWKWARD if text.isprintable()]
    ours = StaticEmbedder(StaticSettings(max_tokens=None)).embed(texts)
    theirs = package.embed(texts)
    assert np.abs(ours - theirs).max() < 2e-6  # theirs is summed in float32
    assert np.abs(theirs).max() > 0.1


def test_a_vector_is_the_exact_mean_rounded_once(package: Any) -> None:
    text = pieces()[7]
    ids = package.tokenize([text])[0].ids
    table = [[int(x) for x in row] for row in package.embedding[ids].astype(np.float64) * 2.0**24]
    exact = [sum(column) / len(ids) * 2.0**-24 for column in zip(*table, strict=True)]
    assert np.array_equal(EMBEDDER.embed([text])[0], np.array(exact).astype(np.float32))


def test_only_the_first_tokens_count() -> None:
    short = StaticEmbedder(StaticSettings(max_tokens=5))
    assert np.array_equal(short.embed(["one two three four five"]), short.embed(["one two three four five six seven"]))
    assert not np.array_equal(short.embed(["one two three four five"]), short.embed(["one two three four six"]))
    assert short.fingerprint != EMBEDDER.fingerprint


def test_a_text_longer_than_any_block_of_work_is_embedded_whole() -> None:
    whole = StaticEmbedder(StaticSettings(max_tokens=None))
    half = "the quick brown fox " * 40_000
    vectors = whole.embed([half, half + "an unexpected end " * 40_000])
    assert np.abs(vectors[0] - whole.embed(["the quick brown fox " * 1000])[0]).max() < 1e-3
    assert np.abs(vectors[1] - vectors[0]).max() > 0.1


@pytest.mark.parametrize("text", ["word " * 2_000_000, "x" * 10_000_000, "中" * 4_000_000, "\n" * 9_999_999 + "x"])
def test_a_huge_text_costs_no_more_than_a_long_one(text: str) -> None:
    start = time.process_time()
    EMBEDDER.embed_all([text])
    assert time.process_time() - start < 1.0  # a hundred times what it takes


def test_making_one_leaves_logging_alone() -> None:
    program = (
        "import logging, sys; from tsds_stream.embedding.static import StaticEmbedder; StaticEmbedder().embed(['a']); "
        "assert not logging.getLogger().handlers and 'wordllama' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_fingerprint_is_short_and_stable() -> None:
    assert EMBEDDER.fingerprint == StaticEmbedder().fingerprint
    assert EMBEDDER.fingerprint.startswith("static:wordllama-256:")
    assert len(EMBEDDER.fingerprint) < 40


def test_a_missing_package_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static, "find_spec", lambda name: None)
    with pytest.raises(EmbedderError, match="pip install"):
        StaticEmbedder()


def test_a_damaged_installation_is_an_error_that_names_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(static, "_package_folder", lambda: tmp_path)
    with pytest.raises(EmbedderError, match="l2_supercat_256"):
        StaticEmbedder()
