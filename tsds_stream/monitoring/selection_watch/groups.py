"""Groups of targets: as the examples name them, or clusters of targets formed once; few enough for a chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from tsds_stream.selection.arithmetic import Float32

MOST = 32
OTHER = "other groups"
NAMELESS = "no group"

Grouping = Callable[[Sequence[str], Float32, Sequence[str | None]], list[str]]  # (ids, vectors, groups) -> labels


def by_name(ids: Sequence[str], vectors: Float32, groups: Sequence[str | None]) -> list[str]:
    """A label per target: its group, where it is one of the largest."""
    counts = Counter(group or NAMELESS for group in groups)
    if len(counts) <= MOST:
        return [group or NAMELESS for group in groups]
    largest = {group for group, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: MOST - 1]}
    return [group if (group := name or NAMELESS) in largest else OTHER for name in groups]
