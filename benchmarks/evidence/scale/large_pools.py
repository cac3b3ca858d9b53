"""Pools of hundreds of thousands of real texts: as they come, with clusters of near-copies, or with a few crowds."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np

from benchmarks.evidence.copies import EDITED, FEWEST, MOST, edited
from benchmarks.evidence.corpora import Corpus
from benchmarks.evidence.mixes import Mix
from tsds_stream.embedding import create
from tsds_stream.embedding.settings import StaticSettings
from tsds_stream.selection.arithmetic import Float32, Int64

_SEED: Final = 20_261_123
NO_COPIES, CLUSTERS, CROWDS = "no copies", "clusters of 10 to 100 copies", "crowds of thousands of copies"
_ORIGINALS: Final = {NO_COPIES: 1.0, CLUSTERS: 0.34, CROWDS: 0.8}  # share of a pool that is no copy
_CROWDS: Final = 20


@dataclass(frozen=True, eq=False)
class LargePool:
    """Vectors as the embedder gives them: (M, d) float32 of the targets, (n, d) float32 of the documents."""

    targets: Float32
    documents: Float32


def without_targets(corpus: Corpus, mix: Mix, seed: int, targets: int) -> tuple[Int64, Int64]:
    """The numbers of random texts of a mix, and of all other texts in random order."""
    random = np.random.default_rng((_SEED, seed))
    parts = [random.permutation(corpus.of_domain[name])[: round(targets * share)] for name, share in mix.items()]
    asked = np.concatenate(parts)
    return asked, random.permutation(np.setdiff1d(np.arange(len(corpus.domains)), asked))


def large_pool(corpus: Corpus, mix: Mix, seed: int, documents: int, targets: int, kind: str) -> LargePool:
    """A pool of exactly so many documents; a function of its arguments.

    Clusters: about 5% of the originals, 10 to 100 copies each. Crowds: 20 originals from the domains of the mix, a
    hundredth of the pool each. Copies have 2, 5 or 10% of the words edited and are embedded like any other text.
    """
    asked, rest = without_targets(corpus, mix, seed, targets)
    originals = rest[: round(_ORIGINALS[kind] * documents)]
    vectors = np.asarray(corpus.vectors[originals])
    missing = documents - len(originals)
    if missing:
        texts = [corpus.texts[row] for row in originals.tolist()]
        random = Random(seed)
        if kind == CLUSTERS:
            sources = _clusters(len(originals), missing, random)
        else:
            domains = [corpus.names.index(name) for name in mix]
            near = np.flatnonzero(np.isin(corpus.domains[originals], domains))[:_CROWDS]
            sources = np.resize(near, missing).tolist()
        copies = [edited(texts[source], random.choice(EDITED), texts, random) for source in sources]
        vectors = np.concatenate([vectors, create(StaticSettings()).embed(copies)])
    order = np.random.default_rng((_SEED, seed, 1)).permutation(documents)  # copies stand anywhere
    return LargePool(np.asarray(corpus.vectors[asked]), vectors[order])


def _clusters(originals: int, copies: int, random: Random) -> list[int]:
    """Which original each copy is of: the numbers of copies are log-uniform."""
    sources: list[int] = []
    for source in random.sample(range(originals), originals):
        sources += [source] * round(FEWEST * (MOST / FEWEST) ** random.random())
        if len(sources) >= copies:
            break
    return sources[:copies]
