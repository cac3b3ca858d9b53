"""Which documents every batch of a rank holds, decided ahead of the batches that have been served."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsds_stream.loader.following import Following
from tsds_stream.loader.order import Ordering
from tsds_stream.loader.reading import Documents, LoaderError
from tsds_stream.loader.sharding import Shard
from tsds_stream.loader.state import Cursor

_BLOCK: Final = 16384  # positions whose places are computed at a time


@dataclass(frozen=True, slots=True)
class Course:
    """What the sequence of batches depends on, besides the revisions."""

    ordering: Ordering
    shard: Shard
    following: Following
    batch_size: int  # of one rank
    repeat: bool = False
    drop_last: bool = False  # leave out what does not fill a batch on every rank
    workers: int = 0

    @property
    def global_batch(self) -> int:
        return self.batch_size * self.shard.world_size


class Planned(NamedTuple):
    """One batch of this rank.

    Attributes:
        documents: the revision; held until the batch is served, so that its files are kept for the workers.
        places: (k,) int64, of the documents within the revision.
        after: where the loader stands once the batch is served.
    """

    documents: Documents
    epoch: int
    places: NDArray[np.int64]
    after: Cursor


class Phase:
    """One epoch over one revision, as this rank serves it."""

    def __init__(self, documents: Documents, epoch: int, course: Course) -> None:
        course.shard.check(documents, course.workers)
        self.documents, self.revision, self.epoch = documents, documents.number, epoch
        self._length, self._course = len(documents), course
        self._each, self._whole, self._ranks = course.batch_size, course.global_batch, course.shard.world_size
        self._order = course.ordering.of(documents, epoch)
        self._first, self._block = 0, np.empty(0, np.int64)
        if not self.count(0):
            raise LoaderError(
                f"Revision {documents.number} has {self._length} documents, which fill no batch of "
                f"{course.batch_size} on {course.shard.world_size} ranks. Use smaller batches, or keep the last one."
            )

    def count(self, position: int) -> int:
        """How many documents the next batch of each rank holds; 0 at the end."""
        left = self._length - position
        if left >= self._whole:
            return self._each
        if left <= 0 or self._course.drop_last:
            return 0
        return min(self._each, self._course.shard.share(left))

    def batches(self, position: int) -> int:
        """How many batches each rank still serves."""
        left, whole = max(self._length - position, 0), self._course.global_batch
        rest = left % whole
        partly = rest > 0 and not self._course.drop_last and self._course.shard.share(rest) > 0
        return left // whole + partly

    def places(self, position: int, count: int) -> NDArray[np.int64]:
        """(count,) int64 places of this rank's documents, the global batch beginning at this position."""
        start, off = divmod(position - self._first, self._ranks)
        if off or start < 0 or start + count > len(self._block):
            left = self._course.shard.share(self._length - position)
            positions = self._course.shard.positions(position, max(count, min(_BLOCK, left)))
            self._first, self._block, start = position, self._order(positions % self._length), 0
        return self._block[start : start + count]


class Plan:
    """Iterates over the batches from a cursor on. It stops at the end of an epoch, unless it repeats, or at an error.

    An error waits in `error`, to be raised when what was planned before it has been served.

    Args:
        course: the settings.
        cursor: where to begin.
        decisions: step -> revision; those that are there are followed, and new ones are added.
        open: opens a revision.
        ask: the newest revision, as all ranks agree at this step.
        check: raises `LoaderError` when the selection has become too old.
    """

    def __init__(
        self,
        course: Course,
        cursor: Cursor,
        decisions: MutableMapping[int, int],
        *,
        open: Callable[[int], Documents],
        ask: Callable[[int], int],
        check: Callable[[], None],
    ) -> None:
        self.error: Exception | None = None
        self._course, self._cursor, self._decisions = course, cursor, decisions
        self._open, self._ask, self._check = open, ask, check
        self._phase: Phase | None = None

    def __iter__(self) -> Iterator[Planned]:
        return self

    def __next__(self) -> Planned:
        if self.error is not None:
            raise StopIteration
        try:
            planned = self._next()
        except Exception as error:  # noqa: BLE001 - whatever it is, what was planned before it comes first
            self.error = error
            raise StopIteration from None
        if planned is None:
            raise StopIteration
        return planned

    def batches(self) -> int:
        """How many more batches there are in this epoch, as far as is known now."""
        return self._opened().batches(self._cursor.position)

    def _next(self) -> Planned | None:
        self._check()
        cursor = self._cursor
        # The end of an epoch comes before the question for a newer revision, which belongs to the next one.
        if cursor.position and not self._opened().count(cursor.position):
            if not self._course.repeat:
                return None
            cursor = self._cursor = cursor.next_epoch()
        if self._course.following.asks(cursor.step, cursor.position):
            cursor = self._cursor = self._followed(cursor)
        phase, (revision, epoch, position, step) = self._opened(), cursor
        count = phase.count(position)
        places = phase.places(position, count)
        self._cursor = Cursor(revision, epoch, position + count * self._course.shard.world_size, step + 1)
        return Planned(phase.documents, epoch, places, self._cursor)

    def _followed(self, cursor: Cursor) -> Cursor:
        if cursor.step not in self._decisions:
            self._decisions[cursor.step] = self._ask(cursor.step)
        revision = self._decisions[cursor.step]
        if revision <= cursor.revision:  # a copy of the selection may be behind the one that was read before
            return cursor
        if cursor.position:
            return cursor.next_epoch(revision)
        return Cursor(revision, cursor.epoch, 0, cursor.step)

    def _opened(self) -> Phase:
        cursor, phase = self._cursor, self._phase
        if phase is None or phase.epoch != cursor.epoch or phase.revision != cursor.revision:
            phase = self._phase = Phase(self._open(cursor.revision), cursor.epoch, self._course)
        return phase
