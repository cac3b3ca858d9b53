"""Streams of real text: bursts of neighbouring passages from mixed domains, with or without a change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.drift.text import NEW, STREAM, Text
from tsds_stream.selection.arithmetic import Int64


@dataclass(frozen=True)
class Change:
    """How a topic that never came before takes a share of the stream.

    Attributes:
        name: in the tables.
        share: of the documents, once the change is complete.
        over: documents over which the share rises, evenly.
    """

    name: str
    share: float
    over: int = 0

    def share_after(self, documents: int) -> float:
        """The share so many documents after the change began; before it, none."""
        if documents < 0:
            return 0.0
        return self.share * min(1.0, documents / self.over) if self.over else self.share


NONE = Change("no change", 0.0)
CHANGES = (Change("sudden", 1.0), Change("gradual", 1.0, over=10_000), Change("small", 0.1))


def stream(text: Text, change: Change, burst: int, length: int, at: int, seed: int) -> Int64:
    """(length,) numbers of passages; `change` begins with document `at`, its topic goes by the seed.

    Args:
        burst: mean number of neighbouring passages that follow one another (geometric); 1 mixes all documents.
    """
    random = np.random.default_rng((seed, burst, len(change.name)))
    known, new = list(STREAM), list(NEW)[seed % len(NEW)]
    parts: list[Int64] = []
    place = 0
    while place < length:
        size = int(random.geometric(1 / burst))
        domain = new if random.random() < change.share_after(place - at) else known[random.integers(len(known))]
        start = int(random.integers(max(1, text.count[domain] - size)))
        parts.append(text.first[domain] + np.arange(start, min(start + size, text.count[domain])))
        place += len(parts[-1])
    return np.concatenate(parts)[:length]
