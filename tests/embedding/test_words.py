"""Tokenising word by word gives what the tokenizer gives for the whole text."""

from __future__ import annotations

import json
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.embedding.corpus import AWKWARD, pieces
from tsds_stream.embedding.static import TOKENIZER
from tsds_stream.embedding.text import valid_unicode
from tsds_stream.embedding.words import WordTokenizer


def definition() -> bytes:
    spec = find_spec("wordllama")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return (Path(spec.submodule_search_locations[0]) / TOKENIZER).read_bytes()


DEFINITION = definition()
WHOLE = Tokenizer.from_buffer(DEFINITION)
WORDS = WordTokenizer(DEFINITION)

CHARACTERS = [*"ab \n▁\t<s>/unk0é中.,()\r\x00", "\N{GRINNING FACE}"]
difficult = st.lists(st.sampled_from([*CHARACTERS, "<s>", "</s>", "<unk>", "    ", " the", "ing"])).map("".join)


def check(words: WordTokenizer, texts: list[str]) -> None:
    ids, starts = words(texts)
    assert starts[0] == 0
    assert starts[-1] == len(ids)
    expected = [e.ids for e in WHOLE.encode_batch(texts, add_special_tokens=False)]
    assert [ids[a:b].tolist() for a, b in pairwise(starts)] == expected


@settings(max_examples=300)
@given(st.lists(difficult | st.text(), max_size=6))
def test_any_text_has_the_tokens_of_the_tokenizer(texts: list[str]) -> None:
    check(WORDS, [valid_unicode(text) for text in texts])


def test_real_and_awkward_texts_have_the_tokens_of_the_tokenizer() -> None:
    check(WORDS, [valid_unicode(text) for text in AWKWARD] + pieces())


def test_forgetting_changes_nothing() -> None:
    words = WordTokenizer(DEFINITION, max_words=50, max_characters=500)
    texts = pieces(limit=60)
    for start in range(0, 60, 4):
        check(words, texts[start : start + 4])
    check(words, [*texts[:4], "", "<s>"])


def test_no_text_and_an_empty_text_have_no_tokens() -> None:
    check(WORDS, [])
    check(WORDS, ["", ""])


@pytest.mark.parametrize("spoil", ["normalizer", "vocabulary"])
def test_a_tokenizer_that_could_differ_is_refused(spoil: str) -> None:
    spec = json.loads(DEFINITION)
    if spoil == "normalizer":
        spec["normalizer"] = None
    else:
        spec["model"]["vocab"]["of▁the"] = len(spec["model"]["vocab"])
    with pytest.raises(ValueError, match=r"must turn spaces|from one word into the next"):
        WordTokenizer(json.dumps(spec).encode())
