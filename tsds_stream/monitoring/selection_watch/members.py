"""What is known of each member of the present selection, aligned with the ascending ids of a revision."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tsds_stream.records import Json
from tsds_stream.selection.arithmetic import Float32, Int32, Int64, squared_distances

UNKNOWN = -1
_BLOCK = 1024
_LONGEST_NAME = 200  # characters of a source


class Members:
    """Arrays follow the difference from revision to revision; only numpy sees all of them.

    Attributes:
        ids: ascending.
        target: (n,) int32 row of the nearest target; source: (n,) int32 number of the source; or UNKNOWN.
        sources: names by number.
    """

    def __init__(self) -> None:
        self.ids: Sequence[str] = []
        self.target: Int32 = np.empty(0, np.int32)
        self.source: Int32 = np.empty(0, np.int32)
        self.sources: list[str] = []
        self._numbers: dict[str, int] = {}

    def restore(self, ids: Sequence[str], source: Int32, sources: list[str]) -> None:
        """As it was saved; who is nearest to whom has to be told anew."""
        self.ids, self.source, self.sources = ids, source, sources
        self.target = np.full(len(ids), UNKNOWN, np.int32)
        self._numbers = {name: number for number, name in enumerate(sources)}

    def follow(self, ids: Sequence[str]) -> None:
        """Become aligned with the members of another revision; of new ones nothing is known."""
        if ids is self.ids:
            return
        leaving, entering = _difference(self.ids, ids)
        for name in ("target", "source"):
            kept = np.delete(getattr(self, name), leaving)
            setattr(self, name, np.insert(kept, entering - np.arange(len(entering)), UNKNOWN))
        self.ids = ids

    def take(self, upserts: Iterable[Json], rows: Mapping[str, int]) -> None:
        """Records that were sent of some members; `rows`: targets by id."""
        at: list[int] = []
        targets: list[int] = []
        sources: list[int] = []
        for record in upserts:
            at.append(bisect_left(self.ids, record["id"]))
            near = record["nearest"]
            targets.append(rows.get(near[0][0], UNKNOWN) if near else UNKNOWN)
            sources.append(self._number(record["meta"]))
        self.target[at] = targets
        self.source[at] = sources
        self._tidy()

    def find_nearest(self, vectors: Float32, targets: Float32) -> None:
        """Nearest targets of all members by (exact distance, row): (n, d) and (M, d) canonical."""
        for start in range(0, len(vectors), _BLOCK):
            squared = squared_distances(vectors[start : start + _BLOCK], targets)
            self.target[start : start + _BLOCK] = squared.argmin(1)

    def _number(self, meta: Json | None) -> int:
        source = None if meta is None else meta.get("source")
        if not isinstance(source, str) or not source:
            return UNKNOWN
        source = source[:_LONGEST_NAME]
        number = self._numbers.setdefault(source, len(self.sources))
        if number == len(self.sources):
            self.sources.append(source)
        return number

    def _tidy(self) -> None:
        """Forget the names of sources that no member has, so that memory follows the members."""
        if len(self.sources) <= 2 * len(self.ids) + 1024:
            return
        used, numbers = np.unique(self.source[self.source >= 0], return_inverse=True)
        self.sources = [self.sources[k] for k in used.tolist()]
        self.source[self.source >= 0] = numbers
        self._numbers = {name: number for number, name in enumerate(self.sources)}


def _difference(before: Sequence[str], after: Sequence[str]) -> tuple[Int64, Int64]:
    """Positions in `before` of what is not in `after`, and the other way round; both ascend."""
    old, new = set(before), set(after)
    leaving = sorted(bisect_left(before, name) for name in old - new)
    entering = sorted(bisect_left(after, name) for name in new - old)
    return np.array(leaving, np.int64), np.array(entering, np.int64)
