"""What a served log says, added up in a bounded amount of memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tsds_stream.loader.served_reader import Entry

_KEPT: Final = 1 << 20  # hashes; up to as many ids the count is exact, beyond it is right to about 0.1 %
_RANGE: Final = 2.0**64


class Distinct:
    """How many different ids there were: their smallest hashes tell of all of them.

    Args:
        kept: hashes that are kept, 8 bytes each.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._smallest: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._waiting: list[int] = []

    @property
    def exact(self) -> bool:
        self._settle()
        return len(self._smallest) < self._kept

    @property
    def count(self) -> int:
        """Exact or estimated: k uniform numbers below a bound are to the bound as all of them are to their range."""
        if self.exact:
            return len(self._smallest)
        return round((self._kept - 1) * _RANGE / (float(self._smallest[-1]) + 1.0))

    def add(self, ids: Sequence[str]) -> None:
        self._waiting += map(hash, ids)  # keyed anew in every process, so that no ids can be made to collide
        if len(self._waiting) >= self._kept // 4:
            self._settle()

    def _settle(self) -> None:
        if self._waiting:
            fresh = np.array(self._waiting, np.int64).view(np.uint64)
            self._smallest = np.union1d(self._smallest, fresh)[: self._kept]
            self._waiting = []


@dataclass(slots=True)
class Phase:
    """What was served of one epoch over one revision of one source.

    Attributes:
        documents: how many, each as often as it was served; only what counts.
        steps: the first and the last, and times in milliseconds since the epoch.
    """

    source: str
    revision: int
    epoch: int
    documents: int
    first_step: int
    last_step: int
    first_time: int
    last_time: int

    def add(self, entry: Entry) -> None:
        self.documents += len(entry.ids)
        self.first_step, self.last_step = min(self.first_step, entry.step), max(self.last_step, entry.step)
        self.first_time, self.last_time = min(self.first_time, entry.time), max(self.last_time, entry.time)


@dataclass(slots=True)
class Summary:
    """Added up over all ranks.

    Attributes:
        superseded: documents of lives that ended before a run went on from an earlier step.
    """

    phases: dict[tuple[str, int, int], Phase] = field(default_factory=dict)
    superseded: int = 0
    distinct: Distinct = field(default_factory=Distinct)

    def add(self, entry: Entry) -> None:
        if not entry.counts:
            self.superseded += len(entry.ids)
            return
        key = entry.source, entry.revision, entry.epoch
        if key not in self.phases:
            self.phases[key] = Phase(*key, 0, entry.step, entry.step, entry.time, entry.time)
        self.phases[key].add(entry)
        self.distinct.add(entry.ids)

    @property
    def documents(self) -> int:
        return sum(phase.documents for phase in self.phases.values())

    @property
    def sources(self) -> dict[str, int]:
        """Documents by source, by ascending name."""
        found: dict[str, int] = {}
        for phase in sorted(self.phases.values(), key=lambda one: one.source):
            found[phase.source] = found.get(phase.source, 0) + phase.documents
        return found

    def in_order(self) -> list[Phase]:
        """As they were begun."""
        return sorted(self.phases.values(), key=lambda one: (one.first_step, one.source, one.epoch, one.revision))
