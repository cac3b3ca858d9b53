"""Fast tokenisation for vocabularies in which no token crosses the start of a word.

A byte-pair tokenizer without pre-tokenisation works on the whole text. But where no entry of its vocabulary contains a
given pair of neighbouring characters, no merge can cross that place, and the pieces on both sides can be tokenised on
their own, with the same outcome. In the vocabularies that are used here that holds at every start of a run of spaces
and in front of every line break. Words repeat, so most of them are looked up instead of tokenised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import chain, islice
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

SPACE: Final = "▁"  # what the normaliser writes for a space
_WORD: Final = re.compile(f"{SPACE}+[^{SPACE}\n]*|\n[^{SPACE}\n]*")
_NORMALIZER: Final = {
    "type": "Sequence",
    "normalizers": [
        {"type": "Prepend", "prepend": SPACE},
        {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
    ],
}

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


class _Numbers(dict[str, int]):
    """Numbers words 0, 1, 2, … in the order of their first appearance."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number


class WordTokenizer:
    """Token ids of texts, equal to those of the tokenizer that `definition` (a tokenizer.json) describes.

    Memory is bounded: beyond `max_words` words or `max_characters` characters remembered, all are forgotten.

    Raises:
        ValueError: the definition is not of the kind described above.
    """

    def __init__(self, definition: bytes, max_words: int = 2**18, max_characters: int = 2**22) -> None:
        spec = json.loads(definition)
        if spec.get("normalizer") != _NORMALIZER or spec.get("pre_tokenizer") is not None:
            raise ValueError("the tokenizer must turn spaces into word marks, and must not split texts itself")
        if any("\n" in token or SPACE in token.lstrip(SPACE) for token in spec["model"]["vocab"]):
            raise ValueError("the vocabulary has tokens that reach from one word into the next")
        special = {token["content"]: token["id"] for token in spec["added_tokens"]}
        spec.update(normalizer=None, added_tokens=[], post_processor=None, truncation=None, padding=None)
        self._tokenizer = Tokenizer.from_str(json.dumps(spec))
        self._special = re.compile("(" + "|".join(map(re.escape, special)) + ")") if special else None
        self._special_ids = special
        self._max_words = max_words
        self._max_characters = max_characters
        self._forget()

    def _forget(self) -> None:
        self._numbers = _Numbers()
        self._characters = 0
        self._ids = np.empty(0, np.int32)  # the tokens of all words, one word after the other
        self._starts = np.zeros(1, np.int64)  # word w has _ids[_starts[w] : _starts[w + 1]]
        for content in self._special_ids:  # no word looks like one: words start with a space or a line break
            self._numbers[content]
        self._append(list(self._special_ids), [[number] for number in self._special_ids.values()])

    def _append(self, words: Sequence[str], ids: Sequence[Sequence[int]]) -> None:
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        self._ids = np.concatenate([self._ids, np.fromiter(chain.from_iterable(ids), np.int32, int(lengths.sum()))])
        self._starts = np.concatenate([self._starts, self._starts[-1] + np.cumsum(lengths)])
        self._characters += sum(map(len, words))

    def _words(self, text: str) -> list[str]:
        if self._special is None or "<" not in text:
            return _WORD.findall(SPACE + text.replace(" ", SPACE)) if text else []
        words: list[str] = []
        for section in self._special.split(text):
            if section in self._special_ids:
                words.append(section)
            elif section:
                words += _WORD.findall(SPACE + section.replace(" ", SPACE))
        return words

    def __call__(self, texts: Sequence[str]) -> tuple[Int32, Int64]:
        """Token ids of `texts` without special tokens around them.

        Args:
            texts: n texts without lone surrogates.

        Returns:
            ids: (total,) int32, the tokens of all texts one after the other.
            starts: (n + 1,) int64; text i has ids[starts[i] : starts[i + 1]].
        """
        if len(self._numbers) > self._max_words or self._characters > self._max_characters:
            self._forget()
        known = len(self._numbers)
        number = self._numbers.__getitem__
        per_text = [list(map(number, self._words(text))) for text in texts]
        if len(self._numbers) > known:
            new = list(islice(self._numbers, known, None))
            self._append(new, [e.ids for e in self._tokenizer.encode_batch_fast(new, add_special_tokens=False)])
        borders = np.cumsum([0, *map(len, per_text)])
        words = np.fromiter(chain.from_iterable(per_text), np.int64, int(borders[-1]))
        first = self._starts[words]
        lengths = self._starts[words + 1] - first
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        ids = self._ids[np.repeat(first - (ends - lengths), lengths) + np.arange(total)]
        return ids, np.concatenate([np.zeros(1, np.int64), ends])[borders]
