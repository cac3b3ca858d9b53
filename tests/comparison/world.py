"""Small worlds for comparisons: clusters of vectors with texts that go with them, and copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tsds_stream.comparison.pool import Pool, Targets
from tsds_stream.comparison.task import Task
from tsds_stream.comparison.words import Lexicon
from tsds_stream.selection.settings import SelectorConfig

DIMENSION = 8
TOPICS = ("river", "engine", "poem", "ledger")


def texts_of(topics: np.ndarray, random: np.random.Generator) -> list[str]:
    """A few words of each topic, with some that all topics have."""
    shared = ["the", "of", "and", "a", "in"]
    lines = []
    for topic in topics.tolist():
        words = [f"{TOPICS[topic]}{random.integers(0, 30)}" for _ in range(random.integers(3, 12))]
        words += [shared[k] for k in random.integers(0, len(shared), random.integers(2, 8))]
        random.shuffle(words)
        lines.append(" ".join(words))
    return lines


def vectors_of(topics: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Around one centre per topic."""
    centres = np.random.default_rng(1).normal(size=(len(TOPICS), DIMENSION))
    return (centres[topics] + 0.5 * random.normal(size=(len(topics), DIMENSION))).astype(np.float32)


def pool_and_targets(
    documents: int = 300, targets: int = 12, seed: int = 0, copies: int = 0, groups: bool = False
) -> tuple[Pool, Targets]:
    """Documents of all topics, of which the first few have `copies` near-copies each; targets of two topics."""
    return raw_pool_and_targets(documents, targets, seed, copies, groups)[:2]


def raw_pool_and_targets(
    documents: int = 300, targets: int = 12, seed: int = 0, copies: int = 0, groups: bool = False
) -> tuple[Pool, Targets, np.ndarray]:
    """The same, and the documents' embeddings as they came."""
    random = np.random.default_rng(seed)
    topics = random.integers(0, len(TOPICS), documents)
    vectors, texts = vectors_of(topics, random), texts_of(topics, random)
    for source in range(4 if copies else 0):
        near = vectors[source] + 0.01 * random.normal(size=(copies, DIMENSION)).astype(np.float32)
        vectors, texts = np.concatenate([vectors, near]), texts + [texts[source]] * copies
    wanted = random.integers(0, 2, targets)
    lexicon = Lexicon()
    examples = lexicon.encode(texts_of(wanted, random))
    labels = [TOPICS[topic] for topic in wanted.tolist()] if groups else None
    weights = random.choice([1.0, 2.0, 3.5], targets).tolist()
    names = [f"t{k:03}" for k in range(targets)]
    chosen = Targets.of(names, vectors_of(wanted, random), weights, labels, examples)
    tokens = random.integers(1, 20, len(texts))
    order = random.permutation(len(texts)).tolist()  # ids say nothing of the order of arrival
    ids = [f"d{k:04}" for k in order]
    return Pool.of(ids, vectors, tokens, lexicon.encode(texts)), chosen, vectors


def task_of(pool: Pool, targets: Targets, budget: int = 300, seed: int = 0, **settings: object) -> Task:
    """A task with a radius that the worlds' copies lie within, and nothing else."""
    return Task.of(pool, targets, budget, 0.1, seed, SelectorConfig(**settings))


def shuffled(pool: Pool, seed: int = 5) -> Pool:
    """The same documents in another order of arrival."""
    return pool.part(np.random.default_rng(seed).permutation(len(pool)))


def without_texts(pool: Pool, targets: Targets) -> tuple[Pool, Targets]:
    """The same vectors alone."""
    return replace(pool, words=None), replace(targets, words=None)


def names(pool: Pool, rows: np.ndarray) -> list[str]:
    """Ids of the documents taken, in their order."""
    return [pool.ids[row] for row in rows.tolist()]
