"""A trigram language model with interpolated Kneser-Ney smoothing: what a selection teaches."""

from __future__ import annotations

from typing import Final

import numpy as np

from tsds_stream.comparison.vocabulary import Vocabulary
from tsds_stream.comparison.words import Words
from tsds_stream.selection.arithmetic import Float64, Int64

DISCOUNT: Final = 0.75


class KneserNey:
    """P(c | a b) of words, by counts of trigrams (Kneser and Ney, 1995; interpolated as by Chen and Goodman, 1999).

    With N the number of different words seen before (at, around) something:

        P(c)       = max(N(·c) - D, 0) / N(··)  +  D · N(types with N(·c) > 0) / N(··) / (size - 1)
        P(c | b)   = max(N(·bc) - D, 0) / N(·b·)  +  D · N(b·) / N(·b·) · P(c)
        P(c | a b) = max(n(abc) - D, 0) / n(ab·)  +  D · N(ab·) / n(ab·) · P(c | b)

    and the shorter context alone where the longer one was never seen. Every word but `BEGIN` has a probability above 0,
    and they sum to 1.

    Args:
        vocabulary: of everything that will be asked.
        words: the texts to learn from; none: all words are equally likely.
    """

    def __init__(self, vocabulary: Vocabulary, words: Words) -> None:
        self._vocabulary = vocabulary
        size = vocabulary.size
        trigrams, _ = vocabulary.sequences(words)
        a, b, c = trigrams.T
        self._trigrams = _Table((a * size + b) * size + c, size)
        # Continuations: a pair counts once for each different word in front of it.
        self._bigrams = _Table(self._trigrams.keys % size**2, size)
        before = np.bincount(self._bigrams.keys % size, minlength=size)
        total = max(int(before.sum()), 1)
        share = DISCOUNT * np.count_nonzero(before) / total if before.any() else 1.0
        self._words: Float64 = np.maximum(before - DISCOUNT, 0.0) / total + share / (size - 1)

    def log_probabilities(self, trigrams: Int64) -> Float64:
        """(k,) float64 natural logarithms of P(c | a b) of (k, 3) trigrams."""
        a, b, c = trigrams.T
        size = self._vocabulary.size
        pair = self._bigrams.interpolated(b, b * size + c, self._words[c])
        logs: Float64 = np.log(self._trigrams.interpolated(a * size + b, (a * size + b) * size + c, pair))
        return logs

    def score(self, words: Words) -> tuple[Float64, Int64]:
        """Of each text, (n,) float64 the natural logarithm of its probability and (n,) int64 how many predictions."""
        trigrams, text = self._vocabulary.sequences(words)
        logs = np.bincount(text, self.log_probabilities(trigrams), len(words)).astype(np.float64)
        return logs, np.bincount(text, minlength=len(words))


class _Table:
    """Counts of n-grams by key, and of each context how often it was seen and with how many different words."""

    def __init__(self, occurrences: Int64, size: int) -> None:
        self.keys, self._counts = np.unique(occurrences, return_counts=True)
        self._contexts, context = np.unique(self.keys // size, return_inverse=True)
        self._totals = np.bincount(context, self._counts).astype(np.int64)
        self._kinds = np.bincount(context)

    def interpolated(self, context: Int64, key: Int64, shorter: Float64) -> Float64:
        """Probabilities of n-grams, given those of the shorter context."""
        totals = _looked_up(self._contexts, self._totals, context)
        kinds = _looked_up(self._contexts, self._kinds, context)
        counts = _looked_up(self.keys, self._counts, key)
        seen = totals > 0
        totals = np.maximum(totals, 1)
        longer = np.maximum(counts - DISCOUNT, 0.0) / totals + DISCOUNT * kinds / totals * shorter
        return np.where(seen, longer, shorter)


def _looked_up(keys: Int64, values: Int64, wanted: Int64) -> Int64:
    """The values of some keys, 0 where there is none."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
