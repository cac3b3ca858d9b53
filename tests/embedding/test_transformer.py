from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.embedding.corpus import pieces
from tests.embedding.minilm import FOLDER_OR_REASON, minilm_settings
from tsds_stream.embedding import Embedder, EmbedderError, create
from tsds_stream.embedding.settings import TransformerSettings

if isinstance(FOLDER_OR_REASON, str):
    pytest.skip(FOLDER_OR_REASON, allow_module_level=True)
FOLDER = FOLDER_OR_REASON


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return create(minilm_settings())


def test_vectors_have_unit_length(embedder: Embedder) -> None:
    vectors = embedder.embed(pieces(limit=9))
    assert vectors.shape == (9, 384)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6


def test_vectors_are_those_of_mean_pooling_over_the_model(embedder: Embedder) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    text = "How do I open a socket?"
    tokens = AutoTokenizer.from_pretrained(FOLDER)([text], return_tensors="pt")
    with torch.inference_mode():
        states = AutoModel.from_pretrained(FOLDER)(**tokens).last_hidden_state[0].numpy()
    expected = states.mean(0)
    assert np.allclose(embedder.embed([text])[0], expected / np.linalg.norm(expected), atol=1e-6)


def test_meaning_counts(embedder: Embedder) -> None:
    a, b, c = embedder.embed(["A man plays the guitar.", "Someone is making music.", "Tax law for companies"])
    assert a @ b > a @ c + 0.2


def test_truncation_keeps_the_beginning_and_changes_the_fingerprint(embedder: Embedder) -> None:
    short = create(minilm_settings(max_tokens=8))
    words = "one two three four five six seven eight nine ten"
    assert np.allclose(short.embed([words]), short.embed(["one two three four five six"]), atol=1e-6)
    assert not np.allclose(embedder.embed([words]), embedder.embed(["one two three four five six"]), atol=1e-3)
    assert short.fingerprint != embedder.fingerprint


def test_a_prompt_stands_in_front_of_every_text_and_changes_the_fingerprint(embedder: Embedder) -> None:
    prompted = create(minilm_settings(prompt="passage: "))
    assert np.allclose(prompted.embed(["sockets"]), embedder.embed(["passage: sockets"]), atol=1e-6)
    assert prompted.fingerprint != embedder.fingerprint


def test_the_fingerprint_depends_on_the_files_and_not_on_their_place(embedder: Embedder, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(FOLDER, copy)
    (copy / "README.md").write_text("Other words")
    assert create(minilm_settings(model=str(copy))).fingerprint == embedder.fingerprint
    pooling = copy / "1_Pooling" / "config.json"
    cls = pooling.read_text().replace('"pooling_mode_cls_token": false', '"pooling_mode_cls_token": true')
    pooling.write_text(cls.replace('"pooling_mode_mean_tokens": true', '"pooling_mode_mean_tokens": false'))
    other = create(minilm_settings(model=str(copy)))
    assert other.fingerprint != embedder.fingerprint
    assert not np.allclose(other.embed(["sockets"]), embedder.embed(["sockets"]), atol=1e-3)


def test_a_hub_model_is_known_by_its_name_and_commit(tmp_path: Path) -> None:
    program = (
        "from tsds_stream.embedding import create; from tsds_stream.embedding.settings import TransformerSettings; "
        "print(create(TransformerSettings(model='somebody/minilm', local_files_only=True, device='cpu')).fingerprint)"
    )

    def fingerprint(home: str, commit: str) -> str:
        cache = tmp_path / home / "hub" / "models--somebody--minilm"
        (cache / "snapshots").mkdir(parents=True)
        (cache / "snapshots" / commit).symlink_to(FOLDER)
        (cache / "refs").mkdir()
        (cache / "refs" / "main").write_text(commit)
        environment = {**os.environ, "HF_HOME": str(tmp_path / home), "HF_HUB_OFFLINE": "1"}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
        )
        return run.stdout.strip()

    first = fingerprint("here", "ab" * 20)
    assert first.startswith("transformer:minilm-384:")
    assert fingerprint("there", "ab" * 20) == first
    assert fingerprint("later", "cd" * 20) != first


def test_a_model_that_does_not_exist_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmbedderError, match=r"empty.*cannot be loaded"):
        create(TransformerSettings(model=str(tmp_path / "empty")))


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EmbedderError, match=r"\[transformer\]"):
        create(minilm_settings())


def test_a_closed_embedder_says_so(embedder: Embedder) -> None:
    closed = create(minilm_settings())
    closed.close()
    closed.close()
    with pytest.raises(EmbedderError, match="closed"):
        closed.embed(["a"])
