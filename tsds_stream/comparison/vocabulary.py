"""The words that a language model knows: fixed before anything is selected, and the same for every selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tsds_stream.comparison.words import Words
from tsds_stream.selection.arithmetic import Int64

BEGIN: Final = 0  # stands in front of a text; never predicted
END: Final = 1
UNKNOWN: Final = 2
_FIRST: Final = 3


@dataclass(frozen=True)
class Vocabulary:
    """A number for every known word.

    Attributes:
        numbers: (words of the lexicon,) int64; `UNKNOWN` for a word that is left out.
        size: numbers in use, those of `BEGIN`, `END` and `UNKNOWN` included.
    """

    numbers: Int64
    size: int

    @classmethod
    def of(cls, targets: Words, documents: Words, size: int = 30_000) -> Vocabulary:
        """Every word of the targets, and the most frequent ones of all documents until there are `size`.

        No word of a target is unknown, held out or not. So no selection can gain by words that the model lumps
        together, and a word that a selection lacks costs what the model gives to the unseen. Ties go by the word.
        """
        words = len(targets.lexicon)
        wanted = np.bincount(targets.flat, minlength=words) > 0
        counts = np.bincount(documents.flat, minlength=words)
        counts[wanted] = 0
        room = max(size - int(wanted.sum()), 0)
        others = np.flatnonzero(counts)
        if len(others) > room:
            least = np.partition(counts[others], len(others) - room - 1)[len(others) - room - 1]
            tied = others[counts[others] == least]
            others = others[counts[others] > least]
            spelt = targets.lexicon.words
            tied = np.array(sorted(tied.tolist(), key=spelt.__getitem__), np.int64)
            others = np.concatenate([others, tied[: room - len(others)]])
        numbers = np.full(words, UNKNOWN, np.int64)
        known = np.sort(np.concatenate([np.flatnonzero(wanted), others]))
        numbers[known] = np.arange(_FIRST, _FIRST + len(known))
        return cls(numbers, _FIRST + len(known))

    def sequences(self, words: Words) -> tuple[Int64, Int64]:
        """Texts as trigrams: (k, 3) int64 with the predicted word last, and (k,) int64 the text of each.

        Every text has two `BEGIN` in front, and its `END` is predicted, too.
        """
        lengths = words.lengths + 3
        starts = np.cumsum(lengths) - lengths
        padded = np.full(int(lengths.sum()), BEGIN, np.int64)
        text = np.repeat(np.arange(len(words)), lengths)
        place = np.arange(len(padded)) - starts[text]
        padded[(place >= 2) & (place < lengths[text] - 1)] = self.numbers[words.flat]
        padded[place == lengths[text] - 1] = END
        predicted = np.flatnonzero(place >= 2)
        return padded[predicted[:, None] + np.array([-2, -1, 0])], text[predicted]
