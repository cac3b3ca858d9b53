"""What a selection is worth for targets that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsds_stream.comparison.language_model import KneserNey
from tsds_stream.comparison.near_copies import distinct
from tsds_stream.comparison.neighbours import squared_distances_to
from tsds_stream.comparison.pool import Pool, Targets
from tsds_stream.comparison.vocabulary import Vocabulary
from tsds_stream.selection.arithmetic import Float64, Int64, UInt64


@dataclass(frozen=True)
class Closeness:
    """How near a selection is to targets.

    Attributes:
        coverage: weighted mean distance from a target to the nearest selected document.
        transport_cost: weighted mean distance from a target to its share of the selection: its s nearest selected
            documents, s = selected documents / targets (the last one in part). This is the transport plan of
            `regularizer = "uniform"` at that s, in which each target may use any document.
    """

    coverage: float
    transport_cost: float


def closeness(selected: Pool, targets: Targets) -> Closeness:
    """Of a selection with at least one document and at least one target."""
    distances: Float64 = np.sqrt(squared_distances_to(selected, targets))
    distances.sort(axis=1)
    weights = targets.weights / targets.weights.sum()
    s = max(len(selected) / len(targets), 1.0)
    mass = np.clip(s - np.arange(len(selected)), 0.0, 1.0) / s
    return Closeness(
        coverage=float((weights * distances[:, 0]).sum()),
        transport_cost=float((weights * (distances * mass).sum(1)).sum()),
    )


def log_perplexity(selected: Pool, targets: Targets, vocabulary: Vocabulary) -> float:
    """Natural logarithm of the perplexity of the targets' texts under a model that learnt from the selection's.

    Over all predicted words (the end of a text is one), each times the weight of its target.
    """
    if selected.words is None or targets.words is None:
        raise ValueError("a perplexity needs the texts of documents and targets")
    logs, predictions = KneserNey(vocabulary, selected.words).score(targets.words)
    return -float((targets.weights * logs).sum() / (targets.weights * predictions).sum())


def distinct_share(selected: Pool, near_copy: float) -> float:
    """Share of a selection that is left when near-copies are removed from it."""
    return len(distinct(selected, near_copy)) / len(selected)


def overlap(keys: UInt64, others: UInt64) -> float:
    """Share of the documents with these keys whose embedding is also among the others: (n, 2) and (m, 2) key words."""
    known = {tuple(key) for key in others.tolist()}
    return sum(tuple(key) in known for key in keys.tolist()) / len(keys)


def tokens_of(pool: Pool, taken: Int64) -> int:
    """Tokens of some documents."""
    return int(pool.tokens[taken].sum())
