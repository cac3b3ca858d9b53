"""One seed of a table on texts: targets, held-out targets and a pool, clean or with near-copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np

from benchmarks.evidence.classifier import Classifier
from benchmarks.evidence.copies import copies_of
from benchmarks.evidence.corpora import Corpus
from benchmarks.evidence.mixes import Mix
from tsds_stream.codecs import count_tokens
from tsds_stream.comparison.near_copies import near_copy_distance
from tsds_stream.comparison.pool import Pool, Targets
from tsds_stream.comparison.task import Task
from tsds_stream.comparison.vocabulary import Vocabulary
from tsds_stream.comparison.words import Lexicon
from tsds_stream.embedding import create
from tsds_stream.embedding.settings import StaticSettings
from tsds_stream.selection.arithmetic import Bool, Float32, Float64, Int64
from tsds_stream.selection.settings import SelectorConfig

SEED: Final = 20_261_122
DEFAULTS: Final = SelectorConfig()


@dataclass(frozen=True, eq=False)
class Trial:
    """What every method is asked, and what is known of the answer.

    Attributes:
        task: pool, targets, budget.
        held_out: targets of the same mix, neither seen by a method nor in the pool.
        sources: (n,) which document each of the pool is a copy of, or itself.
        domains: (n,) numbers; shares: by number of a domain, what the targets have of it.
        vocabulary: of the language model; none where there are no texts.
        examination: of a classifier; none where there are no labels to learn.
    """

    task: Task
    held_out: Targets
    sources: Int64
    domains: Int64
    shares: Float64
    vocabulary: Vocabulary | None = None
    examination: Examination | None = None


@dataclass(frozen=True, eq=False)
class Examination:
    """Labelled vectors that a classifier is asked about: (n, d) float32 canonical, and (n,) of so many classes."""

    vectors: Float32
    labels: Int64
    classes: int

    def error(self, vectors: Float32, labels: Int64) -> float:
        """Share of wrong answers after learning from these."""
        return Classifier(vectors, labels, self.classes).error(self.vectors, self.labels)


class Split:
    """Targets of a mix, held-out targets and a pool, drawn from a corpus: a function of the seed.

    Args:
        documents: of the pool, without copies. targets, held_out: how many, at most.
        copied: the largest share of the documents that gets copies. What is copied with a smaller share is copied with
            a larger one, too, and fewer targets are among more targets.
        rare: share of the pool from the domains of the mix, in equal parts; none: as it comes.
    """

    def __init__(
        self,
        corpus: Corpus,
        mix: Mix,
        seed: int,
        documents: int,
        targets: int,
        held_out: int,
        copied: float = 0.0,
        rare: float | None = None,
    ) -> None:
        random = np.random.default_rng((SEED, seed))
        self._mix, self._seed = mix, seed
        self._shares = np.array([mix.get(name, 0.0) for name in corpus.names])
        asked = {domain: round(targets * share) for domain, share in mix.items()}
        unseen = {domain: round(held_out * share) for domain, share in mix.items()}
        examples, rest = _drawn(corpus, {domain: asked[domain] + unseen[domain] for domain in mix}, random)
        rows = np.concatenate(list(examples.values()))
        lexicon = Lexicon()
        self._vectors = np.asarray(corpus.vectors[rows])
        self._words = lexicon.encode([corpus.texts[row] for row in rows.tolist()])
        ends = np.cumsum([len(part) for part in examples.values()])
        self._examples = np.split(np.arange(len(rows)), ends[:-1])  # the targets of a domain, then its held-out ones
        self._unseen = [part[asked[domain] :] for part, domain in zip(self._examples, mix, strict=True)]

        base = _pool(corpus, rest, documents, rare, random)
        self._documents = len(base)
        self._copied = random.permutation(len(base))[: round(copied * len(base))]  # in this order documents are copied
        texts = [corpus.texts[row] for row in base.tolist()]
        copies = copies_of(texts, self._copied.tolist(), Random(seed))
        vectors = np.asarray(corpus.vectors[base])
        if copies.texts:
            vectors = np.concatenate([vectors, create(StaticSettings()).embed(copies.texts)])
        texts += copies.texts
        tokens = np.array([count_tokens(text) for text in texts], np.int64)
        self._tokens = float(tokens[: len(base)].mean())

        arrival = random.permutation(len(texts))  # copies stand anywhere
        ids = [f"{number:06d}" for number in range(len(arrival))]
        self._pool = Pool.of(ids, vectors[arrival], tokens[arrival], lexicon.encode(texts).take(arrival))
        self._sources = np.concatenate([np.arange(len(base)), np.array(copies.sources, np.int64)])[arrival]
        self._original = arrival < len(base)
        self._domains = corpus.domains[base][self._sources]

    def trial(self, budget: int, targets: int, copied: float = 0.0) -> Trial:
        """With the first so many targets and copies of this share of the documents.

        Args:
            budget: documents of average length: the token budget is that of so many.
        """
        chosen = np.zeros(self._documents, np.bool_)
        chosen[self._copied[: round(copied * self._documents)]] = True
        there: Bool = self._original | chosen[self._sources]
        rows = np.flatnonzero(there)
        pool = self._pool.part(rows)
        parts = zip(self._examples, self._mix.values(), strict=True)
        asked = self._targets([part[: round(targets * share)] for part, share in parts])
        near_copy = near_copy_distance(pool, asked, DEFAULTS.calibration)
        task = Task.of(pool, asked, round(budget * self._tokens), near_copy, self._seed)
        assert pool.words is not None
        vocabulary = Vocabulary.of(self._words, pool.words)
        held_out = self._targets(self._unseen)
        return Trial(task, held_out, self._sources[rows], self._domains[rows], self._shares, vocabulary)

    def _targets(self, parts: Sequence[Int64]) -> Targets:
        rows = np.concatenate(parts)
        ids = [f"{row:05d}" for row in rows.tolist()]
        return Targets.of(ids, self._vectors[rows], words=self._words.take(rows))


def _drawn(
    corpus: Corpus, wanted: Mapping[str, int], random: np.random.Generator
) -> tuple[dict[str, Int64], dict[str, Int64]]:
    """So many random texts of each domain, and all others of it."""
    drawn: dict[str, Int64] = {}
    rest: dict[str, Int64] = {}
    for domain, number in wanted.items():
        rows = random.permutation(corpus.of_domain[domain])
        if len(rows) < number:
            raise ValueError(f"{domain} has {len(rows)} texts, and {number} were asked for as targets")
        drawn[domain], rest[domain] = rows[:number], rows[number:]
    return drawn, rest


def _pool(
    corpus: Corpus, rest: Mapping[str, Int64], documents: int, rare: float | None, random: np.random.Generator
) -> Int64:
    """Documents that are no targets, in random order; `rest` are those of the domains of the mix."""
    others = np.concatenate([rows for name, rows in corpus.of_domain.items() if name not in rest])
    own = list(rest.values())
    if rare is None:
        every = np.concatenate([others, *own])
        return random.choice(every, min(documents, len(every)), replace=False)
    each = round(rare * documents / len(own))
    parts = [random.choice(rows, each, replace=False) for rows in own]
    return random.permutation(
        np.concatenate([random.choice(others, documents - each * len(own), replace=False), *parts])
    )
