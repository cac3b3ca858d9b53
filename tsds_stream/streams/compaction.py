"""Which segments are written anew when a revision is published, so that neither dead rows nor files pile up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LARGE: Final = 16_384  # rows of the largest segment; bounds what one publication copies
MANY: Final = 16  # smaller segments that may exist side by side
SPARSE: Final = 0.5  # share of live rows below which a segment is given up


@dataclass(frozen=True, slots=True)
class Occupancy:
    """A segment that some members are in."""

    number: int
    rows: int
    live: int


def segments_to_fold(segments: Sequence[Occupancy], incoming: int) -> list[int]:
    """Numbers of the segments whose live rows move into the new one, ascending.

    A row is copied because a segment has become sparse (the dead rows pay for that), or because there are too many
    small segments (then at least half of those go into one, as in a log-structured merge tree, so that a row is copied
    a number of times that grows with the logarithm of the selection). One call folds at most `LARGE` live rows and
    four per incoming row.
    """
    budget = LARGE + 4 * incoming
    sparse = [segment for segment in segments if segment.live < SPARSE * segment.rows]
    folded: list[Occupancy] = []
    for segment in sorted(sparse, key=lambda one: one.live / one.rows):
        if segment.live <= budget:
            folded.append(segment)
            budget -= segment.live
    small = sorted(
        (one for one in segments if one not in folded and one.live < LARGE // 2), key=lambda one: (one.live, one.number)
    )
    if len(small) > MANY:
        moved = incoming + sum(one.live for one in folded)
        for place, segment in enumerate(small):
            if segment.live > budget or (len(small) - place <= MANY // 2 and segment.live > moved):
                break
            folded.append(segment)
            budget -= segment.live
            moved += segment.live
    return sorted(one.number for one in folded)
