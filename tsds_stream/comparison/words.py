"""Texts as numbered words: what the language model and the hashed n-grams of `dsir` read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

import numpy as np

from tsds_stream.selection.arithmetic import Int32, Int64, UInt64
from tsds_stream.selection.ragged import ragged

_SPACED = re.compile(r"\w+|[^\w\s]")
# Scripts that put no blanks between words are read sign by sign, or a sentence would be one word.
_UNSPACED = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f"
_ANY = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")


def split(text: str) -> list[str]:
    """The words of a text, lower-cased: runs of letters, digits and underscores, and every other sign by itself."""
    return (_SPACED if text.isascii() else _ANY).findall(text.lower())


@dataclass(frozen=True)
class Words:
    """The words of n texts, one after the other, as numbers of a `Lexicon`.

    Attributes:
        flat: (words,) int32; offsets: (n + 1,) int64, text i is flat[offsets[i] : offsets[i + 1]].
        lexicon: what the numbers mean.
    """

    flat: Int32
    offsets: Int64
    lexicon: Lexicon

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Int64:
        """(n,) int64 words of each text."""
        return np.diff(self.offsets)

    def take(self, rows: Int64) -> Words:
        """The words of some texts, in this order."""
        lengths = self.lengths[rows]
        which, column = ragged(lengths)
        return Words(
            self.flat[self.offsets[rows][which] + column], np.concatenate([[0], np.cumsum(lengths)]), self.lexicon
        )


class Lexicon:
    """Numbers words in the order in which they are met."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._hashes: UInt64 = np.empty(0, np.uint64)

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def words(self) -> list[str]:
        """Every word, by number."""
        return list(self._numbers)

    @property
    def hashes(self) -> UInt64:
        """(len,) uint64 hash of every word, by number: the same in every process."""
        if len(self._hashes) < len(self):
            fresh = islice(self._numbers, len(self._hashes), None)
            digests = b"".join(blake2b(word.encode("utf-8", "replace"), digest_size=8).digest() for word in fresh)
            self._hashes = np.concatenate([self._hashes, np.frombuffer(digests, "<u8").astype(np.uint64)])
        return self._hashes

    def encode(self, texts: Sequence[str]) -> Words:
        """The words of `texts`; those that are new get numbers."""
        numbers = self._numbers
        pieces, lengths = [np.empty(0, np.int32)], [0]
        for text in texts:
            words = split(text)
            # One look-up for a known word, which most are: `setdefault` would build the next number for each of them.
            row = [numbers[word] if word in numbers else numbers.setdefault(word, len(numbers)) for word in words]
            pieces.append(np.array(row, np.int32))
            lengths.append(len(row))
        return Words(np.concatenate(pieces), np.cumsum(lengths), self)
