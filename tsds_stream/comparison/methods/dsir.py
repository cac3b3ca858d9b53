"""Importance resampling by hashed n-grams (Xie, Santurkar, Ma, Liang, NeurIPS 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsds_stream.comparison.task import Task, within_budget
from tsds_stream.comparison.words import Words
from tsds_stream.selection.arithmetic import Float64, Int64, mix


@dataclass(frozen=True)
class Dsir:
    """Documents drawn without replacement in proportion to how much likelier they are under the targets' n-grams.

    Words and pairs of neighbouring words are hashed into `buckets`. With T_b and D_b the counts of the targets (each
    times its weight) and of all documents, +1 each, a document's score is the sum over its n-grams of
    log(T_b / ΣT) - log(D_b / ΣD), plus a Gumbel number made from seed and id. The largest come first.
    """

    about: str = "importance resampling by hashed words and pairs of words (DSIR)"
    needs_texts: bool = True
    buckets: int = 10_000

    def select(self, task: Task) -> Int64:
        """See `Method.select`."""
        scores = self.scores(task) + gumbel(task.pool.draws(task.seed, f"dsir/{task.name}"))
        return within_budget(np.lexsort((task.pool.rank, -scores)), task)

    def scores(self, task: Task) -> Float64:
        """(n,) float64 log importance of each document of the pool.

        Raises:
            ValueError: there are no texts.
        """
        documents, targets = task.pool.words, task.targets.words
        if documents is None or targets is None:
            raise ValueError("dsir needs the texts of documents and targets")
        bucket, document = self._ngrams(documents)
        target_bucket, target = self._ngrams(targets)
        present = np.bincount(bucket, minlength=self.buckets) + 1.0
        weights = task.targets.weights / task.targets.weights.mean()
        wanted = np.bincount(target_bucket, weights[target], self.buckets) + 1.0
        gain = np.log(wanted / wanted.sum()) - np.log(present / present.sum())
        scores: Float64 = np.bincount(document, gain[bucket], len(documents)).astype(np.float64)
        return scores

    def _ngrams(self, words: Words) -> tuple[Int64, Int64]:
        """Bucket and text of every word and of every pair of neighbouring words."""
        text = np.repeat(np.arange(len(words)), words.lengths)
        single = words.lexicon.hashes[words.flat]
        pair = np.flatnonzero(text[1:] == text[:-1])
        double = mix(single[pair] + mix(single[pair + 1]))
        bucket = np.concatenate([single, double]) % np.uint64(self.buckets)
        return bucket.astype(np.int64), np.concatenate([text, text[pair]])


def gumbel(uniforms: Float64) -> Float64:
    """Standard Gumbel numbers from uniforms in (0, 1)."""
    drawn: Float64 = -np.log(-np.log(uniforms))
    return drawn
