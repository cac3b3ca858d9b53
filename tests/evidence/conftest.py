"""A corpus of a few hundred made-up sentences, embedded as the real ones are."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from benchmarks.evidence.corpora import Corpus
from tsds_stream.embedding import create
from tsds_stream.embedding.settings import StaticSettings

WORDS = {
    "fish": "river salmon trout scales fins water hook net boat tide spawn stream gills bait lake",
    "music": "violin chord tempo melody scale score piano rhythm octave quartet bow string tune key bar",
    "stars": "galaxy orbit planet telescope light comet nebula dust moon sun dwarf cluster ring red mass",
}


@pytest.fixture(scope="session")
def small_corpus() -> Corpus:
    random = Random(0)
    every = " ".join(WORDS.values()).split()
    texts = [
        " ".join(random.choices(words.split(), k=random.randint(20, 40)) + random.choices(every, k=4))
        for words in WORDS.values()
        for _ in range(150)
    ]
    domains = np.repeat(np.arange(len(WORDS)), 150)
    return Corpus(texts, domains, list(WORDS), create(StaticSettings()).embed(texts), [])
