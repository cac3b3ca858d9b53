"""Reading a stream to some end, with every batch held against what was put there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from tests.contract.streams import Put, Stream
from tests.patience import PATIENCE
from tsds_stream.streams.base import Batch, Positions, Source

Counts = tuple[int, ...]  # records by lane


def stored(positions: Positions) -> Positions:
    """As a file or a topic would give them back."""
    parsed: Positions = json.loads(json.dumps(positions))
    return parsed


class Reading:
    """What a source has given so far.

    Args:
        begin: records by lane that were read before.

    Attributes:
        counts: records by lane that have been read, with those before.
        marks: after every batch, the positions and the counts.
    """

    def __init__(self, stream: Stream, begin: Counts | None = None) -> None:
        self.stream = stream
        self.counts: Counts = begin or (0,) * stream.lanes
        self.marks: list[tuple[Positions, Counts]] = []
        self._lane = {one: lane for lane in range(stream.lanes) for one in stream.expected(lane)}

    @property
    def positions(self) -> Positions:
        return self.marks[-1][0]

    @property
    def complete(self) -> bool:
        """Everything that was put there has come."""
        return self.counts == tuple(len(given) for given in self.stream.given)

    def take(self, batch: Batch) -> None:
        """Note a batch, which must bring what comes next in each lane, documents and dead letters together."""
        documents, letters = self.stream.came(batch)
        before, counts = self.counts, list(self.counts)
        for one in (*documents, *letters):
            counts[self._lane[one]] += 1
        for lane, count in enumerate(counts):
            come = self.stream.expected(lane)[before[lane] : count]
            for kinds, found in ((("new", "gone"), documents), (("broken",), letters)):
                assert [one for one in come if one.kind in kinds] == self._of(lane, found), f"lane {lane}"
        self.counts = tuple(counts)
        self.marks.append((stored(batch.positions), self.counts))

    def some(self, count: int) -> list[tuple[Positions, Counts]]:
        """So many of the marks, from early to late."""
        return [self.marks[i * (len(self.marks) - 1) // (count - 1)] for i in range(count)]

    def _of(self, lane: int, found: Sequence[Put]) -> list[Put]:
        return [one for one in found if self._lane[one] == lane]


def read(
    source: Source,
    reading: Reading,
    *,
    until: Positions | None = None,
    limit: int = 7,
    beside: Callable[[], object] = lambda: None,
) -> Reading:
    """Poll until everything has come (or `until` is reached), and some times more, when nothing may come.

    Args:
        beside: called after every poll.
    """
    deadline, more = time.monotonic() + PATIENCE, 3
    while more:
        assert time.monotonic() < deadline, f"{reading.counts} have come"
        batch = source.poll(limit, 0.02, until)
        assert len(batch.documents) + len(batch.dead_letters) <= limit
        reading.take(batch)
        beside()
        if source.exhausted if until is not None or reading.stream.ends else reading.complete:
            more -= 1
    return reading
