"""Which segments are written anew when a revision is published, so that neither dead rows nor files pile up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Occupancy:
    """A segment that some members are in."""

    number: int
    rows: int
    live: int


@dataclass(frozen=True, slots=True)
class Compaction:
    """When rows are copied, and how many at a time.

    Attributes:
        large: rows of the largest segment; bounds what one publication copies.
        many: smaller segments that may exist side by side.
        sparse: share of live rows below which a segment is given up.
    """

    large: int = 16_384
    many: int = 16
    sparse: float = 0.5

    def segments_to_fold(self, segments: Sequence[Occupancy], incoming: int) -> list[int]:
        """Numbers of the segments whose live rows move into the new one, ascending.

        A row is copied because its segment has become sparse (the dead rows pay for that), or because there are too
        many small segments: then at least half of those become one, as in a log-structured merge tree, so that a row
        is copied a number of times that grows with the logarithm of the selection. One call folds at most `large` live
        rows and four per incoming row.
        """
        budget = self.large + 4 * incoming
        folded: list[Occupancy] = []
        sparse = [segment for segment in segments if segment.live < self.sparse * segment.rows]
        for segment in sorted(sparse, key=lambda one: one.live / one.rows):
            if segment.live <= budget:
                folded.append(segment)
                budget -= segment.live
        rest = [segment for segment in segments if segment not in folded and segment.live < self.large // 2]
        if len(rest) > self.many:
            moved = incoming + sum(segment.live for segment in folded)
            for left, segment in zip(range(len(rest), 0, -1), sorted(rest, key=lambda one: one.live), strict=True):
                if segment.live > budget or (left <= self.many // 2 and segment.live > moved):
                    break
                folded.append(segment)
                budget -= segment.live
                moved += segment.live
        return sorted(segment.number for segment in folded)
