"""Which of the things that were served still count, where runs were killed and went on from an earlier step.

A rank writes down with which step each of its lives begins: what it served before from that step on belongs to a life
that ended, and is superseded. A rank that does not exist any more, because the run went on with fewer of them, learns
that from the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from tsds_stream.loader.served_records import Header


@dataclass(frozen=True, slots=True)
class Life:
    """One life of one rank.

    Attributes:
        step: with which it begins.
        time: when, in milliseconds since the epoch.
        before: what it served from this step on is superseded; infinite: nothing is.
    """

    step: int
    time: int
    before: float


def lives_of(rank: int, headers: Mapping[int, Sequence[Header]]) -> list[Life]:
    """The lives of a rank, in their order.

    Args:
        headers: those with which lives begin, by rank, in their order.
    """
    own, elsewhere = headers[rank], without(rank, headers)
    found = []
    for place, header in enumerate(own):
        later = [other.step for other in own[place + 1 :]]
        later += [other.step for other in elsewhere if other.time > header.time]
        found.append(Life(header.step, header.time, min(later, default=inf)))
    return found


def without(rank: int, headers: Mapping[int, Sequence[Header]]) -> list[Header]:
    """Beginnings of lives in which there was no such rank, as other ranks tell of them."""
    return [one for own in headers.values() for one in own if 0 < one.world_size <= rank]


class Steps:
    """Watches the steps of one rank go by, and tells which of them are missing.

    Args:
        elsewhere: beginnings of lives without this rank.
    """

    def __init__(self, rank: int, elsewhere: Sequence[Header]) -> None:
        self._rank, self._elsewhere = rank, elsewhere
        self._life: Life | None = None
        self._next = 0

    def begin(self, life: Life) -> str | None:
        """A sentence, if steps are missing before this life."""
        since = self._life.time if self._life is not None else -inf
        away = any(since < other.time < life.time for other in self._elsewhere)
        expected, self._next, self._life = self._next, life.step, life
        return None if away else self._missing(expected, life.step)

    def at(self, step: int) -> str | None:
        """A sentence, if steps are missing before this one."""
        expected, self._next = self._next, step + 1
        return self._missing(expected, step)

    def _missing(self, first: int, end: int) -> str | None:
        if end <= first:
            return None
        steps = f"step {first:,} is" if end == first + 1 else f"steps {first:,} to {end - 1:,} are"
        return f"Rank {self._rank}: {steps} not in this log; what was served then is not known."
