"""Packed sequences over mixtures and selections, with real tokenizers and workers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli_cases import tsds
from tests.loader.selections import Selection, ids
from tests.loader.tools import WORKERS_ARE_FINE, needed

torch = needed("torch")

from tests.loader.mixing import encode, lengths, selected  # noqa: E402
from tsds_stream.loader.loader import SelectedLoader  # noqa: E402
from tsds_stream.loader.mixture import Mixture  # noqa: E402
from tsds_stream.loader.packed import Packed  # noqa: E402
from tsds_stream.loader.tokenizing import Tokenized  # noqa: E402

pytestmark = WORKERS_ARE_FINE


@pytest.fixture(scope="module")
def selection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Selection]:
    found = Selection(tmp_path_factory.mktemp("selection"), ids(13))
    yield found
    found.close()


def words() -> Any:
    """A tokenizer of the library `tokenizers`, trained here."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    texts = [f"text of d{k:05}" for k in range(50)]
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=60, special_tokens=["?", "<end>"]))
    return tokenizer


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("mode", ["concat", "first_fit"])
def test_a_batch_is_tensors_that_hold_every_token_of_every_document_once(
    selection: Selection, mode: Any, workers: int
) -> None:
    tokenizer = words()
    loader = SelectedLoader(Packed(selected(selection.path), tokenizer, 16, mode, separator=1), 2, workers)
    found: dict[str, dict[int, int]] = {}
    for batch in loader:
        shape = batch["input_ids"].shape
        assert shape[1] == 16
        assert {name: (one.shape, one.dtype) for name, one in batch.items() if name != "documents"} == dict.fromkeys(
            ["input_ids", "labels", "position_ids", "document_ids"], (shape, torch.int64)
        )
        for row, documents in enumerate(batch["documents"]):
            for number, document in enumerate(documents):
                mine = batch["document_ids"][row] == number
                tokens = batch["input_ids"][row][mine].tolist()
                assert batch["labels"][row][mine].tolist() == tokens
                assert batch["position_ids"][row][mine].tolist() == list(range(document["tokens"]))
                for k, token in enumerate(tokens):
                    assert found.setdefault(document["id"], {}).setdefault(document["start"] + k, token) == token
                assert document["source"] == "default"
                assert document["served"]["revision"] == 1
            assert (batch["labels"][row][batch["document_ids"][row] == -1] == -100).all()
    loader.close()
    assert set(found) == set(ids(13))
    for name, tokens in found.items():
        assert [tokens[k] for k in range(len(tokens))] == [*tokenizer.encode(f"text of {name}").ids, 1]


def test_documents_without_tokens_are_left_out_and_long_ones_go_on() -> None:
    documents = [{"id": "empty", "text": ""}, {"id": "long", "text": "x" * 25}, {"id": "short", "text": "y"}]
    for mode in ("concat", "first_fit"):
        mode_: Any = mode
        sequences = list(Packed(documents, encode, 8, mode_))
        had = Counter[str]()
        for one in sequences:
            for document in one["documents"]:
                had[document["id"]] += document["tokens"]
        assert had == {"long": 25, "short": 1}
        assert len(sequences) == 4
    assert not list(Packed([{"id": "empty", "text": ""}], encode, 8))


def test_shares_of_tokens_hold_in_what_is_packed() -> None:
    mixture = Mixture({"a": (lengths(30), 0.25), "b": (lengths(50, 30), 0.75)}, exhausted="repeat")
    tokens, longest = Counter[str](), 16
    for sample, _ in zip(Packed(mixture, encode, 32), range(60), strict=False):
        for document in sample["documents"]:
            tokens[document["source"]] += document["tokens"]
        total = sum(tokens.values())
        # What is cut off at the end of a sequence is a document that the other source waits for.
        assert abs(tokens["a"] - total / 4) < 2 * longest


def test_any_tokenizer_will_do(selection: Selection) -> None:
    class OfLists:
        def encode(self, text: str) -> list[int]:
            return encode(text)

    class OfTensors:
        def encode(self, text: str) -> Any:
            return torch.tensor(encode(text))

    class OfDictionaries:
        def __call__(self, text: str) -> dict[str, list[int]]:
            return {"input_ids": encode(text)}

    class OfObjects:
        def encode(self, text: str) -> Any:
            return type("Encoding", (), {"ids": encode(text)})()

    expected = encode("text of d00003")
    for tokenizer in (encode, OfLists(), OfTensors(), OfDictionaries(), OfObjects()):
        (document,) = Tokenized(tokenizer)([{"id": "d00003", "text": "text of d00003"}])
        assert document["input_ids"].tolist() == expected
    given = [{"id": "x", "input_ids": expected}]
    (sequence,) = Packed(given, None, len(expected))
    assert sequence["input_ids"].tolist() == expected
    with pytest.raises(TypeError, match="a tokenizer has encode, or is a callable; a int is not"):
        Tokenized(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a str is not"):
        Tokenized("gpt2")  # type: ignore[arg-type]
    from tsds_stream.loader.reading import LoaderError

    with pytest.raises(LoaderError, match="has no input_ids, and Packed was given no tokenizer"):
        list(Packed([{"text": "x"}], None, 8))
    with pytest.raises(LoaderError, match="encode gives a list of whole numbers"):
        list(Packed([{"text": "x"}], lambda text: ["x"], 8))


def test_settings_that_are_none_are_refused() -> None:
    some = lengths(3)
    with pytest.raises(ValueError, match="mode is concat or first_fit, not 'best_fit'"):
        Packed(some, encode, 8, "best_fit")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        Packed(some, encode, 0)
    with pytest.raises(TypeError, match="packed already"):
        Packed(Packed(some, encode), encode)


def test_a_token_budget_counted_with_the_same_tokenizer_is_what_is_packed(tmp_path: Path) -> None:
    """Documents that state their `tokens`, selected by `tsds-stream run`, packed with an end after each."""
    tokenizer, sizes = words(), {}
    with (tmp_path / "documents.jsonl").open("w") as file:
        for k in range(60):
            text = f"text of d{k:05} " * (1 + k * 5 % 7)
            sizes[f"d{k}"] = len(tokenizer.encode(text).ids)
            file.write(json.dumps({"id": f"d{k}", "text": text, "tokens": sizes[f"d{k}"]}) + "\n")
    (tmp_path / "targets.jsonl").write_text(json.dumps({"id": "t", "text": "text of d00017"}) + "\n")
    places = {"documents": "documents.jsonl", "targets": "targets.jsonl", "output": "selection", "state": "state"}
    named = [word for option, name in places.items() for word in (f"--{option}", str(tmp_path / name))]
    done = tsds("run", *named, "--once", "--budget", "none", "--token-budget", "300", "--embedder", "hashing")
    assert done.returncode == 0, done.stderr
    dataset = selected(tmp_path / "selection", revision="latest")
    chosen = [document["id"] for document in dataset]
    budgeted = sum(sizes[name] for name in chosen)
    assert 300 - max(sizes.values()) < budgeted <= 300
    packed: list[Any] = list(SelectedLoader(Packed(dataset, tokenizer, 32, separator=1), 2, 1))
    served = sum(int((batch["labels"] != -100).sum()) for batch in packed)
    assert served == budgeted + len(chosen)
