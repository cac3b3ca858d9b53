"""A DataLoader whose state counts what was yielded, so that prefetching and workers leave no trace in it."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from typing import Any, Final

from tsds_stream.loader.dataset import SelectedDataset
from tsds_stream.loader.fetching import Failed, Fetcher, Message
from tsds_stream.loader.following import check_agreement, opened
from tsds_stream.loader.planning import Course, Plan, Planned
from tsds_stream.loader.reading import Documents, LoaderError
from tsds_stream.loader.state import (
    Cursor,
    LoaderState,
    check_digest,
    check_ordering,
    check_position,
    cursor_as_json,
    digest_of_order,
)
from tsds_stream.loader.workers import LoaderSettings, Workers, explained
from tsds_stream.records import Json

_TOGETHER: Final = 2  # batches that a worker is asked for at a time: a message costs as much as a small batch


class RevisionLoader:
    """What `SelectedLoader` is for a `SelectedDataset`; its arguments are described there.

    Batches are planned in the main process and read in the workers.
    """

    def __init__(self, dataset: SelectedDataset, settings: LoaderSettings) -> None:
        dataset.check_following()
        self._dataset, self._served, self._lease = dataset, settings.served, settings.checkpoint_lease
        self._course = Course(
            dataset.ordering,
            dataset.shard,
            dataset.following,
            settings.batch_size,
            dataset.repeat,
            settings.drop_last,
            settings.num_workers,
        )
        self._read_ahead = settings.prefetch_factor * settings.num_workers
        self._cursor = Cursor(dataset.revision, dataset.epoch)
        self._decisions: dict[int, int] = {}
        self._documents: Documents | None = None  # of the last batch: its revision is in use until the next one comes
        self._fixed: tuple[Documents, Json] | None = None  # the state, of which a few numbers change within a revision
        self._run = uuid.uuid4().hex[:12]
        self._held: dict[int, float] = {}
        self._turn = 0  # iterations begun; only the last one goes on
        self._stale = False  # the running iteration has to be planned anew
        together = min(settings.prefetch_factor, _TOGETHER) if settings.num_workers else 1
        self._requests = _Requests(together)
        self._open = partial(opened, dataset.archive, timeout=dataset.timeout)
        self._fetcher = Fetcher(dataset.reader, settings.collate_fn, ids=self._served is not None)
        self._workers = Workers(
            self._fetcher,
            self._requests,
            settings,
            ahead=-(-settings.prefetch_factor // together),
            timeout=dataset.timeout,
            pin_memory=settings.pin_memory,
        )
        self._with_torch = bool(settings.num_workers or settings.pin_memory)
        self._batches: Iterator[Any] = iter(())

    @property
    def cursor(self) -> Cursor:
        """Where the last batch that was yielded ends."""
        return self._cursor

    def __len__(self) -> int:
        if self._course.repeat:
            raise TypeError("a loader that repeats has no length")
        return self._planned_from_here().batches()

    def __iter__(self) -> Iterator[Any]:
        self._turn += 1
        self._begin()
        return self._yielded(self._turn)

    def state_dict(self) -> Json:
        if self._served is not None:
            self._served.sync()
        cursor = self._cursor
        if self._documents is None or self._documents.number != cursor.revision:
            self._documents = self._open(cursor.revision)
        decisions = {step: number for step, number in self._decisions.items() if step >= cursor.step}
        self._hold({cursor.revision, *decisions.values()})
        if self._fixed is None or self._fixed[0] is not self._documents:
            course, digest = self._course, digest_of_order(self._documents, self._course.ordering)
            state = LoaderState(cursor, course.ordering, course.global_batch, digest, self._run)
            self._fixed = self._documents, state.as_json()
        return {**self._fixed[1], **cursor_as_json(cursor, decisions)}

    def load_state_dict(self, state: Json) -> None:
        loaded = LoaderState.of(state)
        check_ordering(loaded.ordering, self._course.ordering)
        if loaded.global_batch != self._course.global_batch:
            raise LoaderError(
                f"The state was taken where all ranks together serve {loaded.global_batch} documents per step; here "
                f"{self._course.shard.world_size} ranks × {self._course.batch_size} are {self._course.global_batch}. "
                "Choose a batch_size with which it is the same number."
            )
        documents = self._dataset.archive.at(loaded.cursor.revision)
        check_digest(loaded.digest, documents, self._course.ordering)
        check_position(loaded.cursor.position, documents, loaded.global_batch)
        self._cursor, self._decisions, self._run = loaded.cursor, dict(loaded.decisions), loaded.run
        self._documents, self._fixed, self._held = documents, None, {}
        self._turn += 1

    def advance(self) -> int:
        newest = self._dataset.decide(self._cursor.step)
        if newest > self._cursor.revision:
            cursor = self._cursor
            self._cursor = (
                cursor.next_epoch(newest) if cursor.position else Cursor(newest, cursor.epoch, 0, cursor.step)
            )
            self._decisions, self._stale = {}, True
        return self._cursor.revision

    def close(self) -> None:
        self._turn += 1
        self._batches = iter(())
        self._workers.end()
        self._requests.ahead.clear()
        if self._served is not None:
            self._served.close()

    def _begin(self) -> None:
        """Plan from the cursor on; what was read ahead is given up."""
        if self._course.shard.world_size > 1:
            course, cursor = self._course, self._cursor
            facts = {
                "seed": course.ordering.seed,
                "shuffle": course.ordering.shuffle,
                "sampling": course.ordering.sampling,
                "follow": str(course.following),
                "repeat": course.repeat,
                "uneven": course.shard.uneven,
                "drop_last": course.drop_last,
                "batch_size": course.batch_size,
                # Decisions are made when batches are planned: ranks that plan further ahead would wait for the others.
                "num_workers × prefetch_factor": self._read_ahead,
                "revision": cursor.revision,
                "epoch": cursor.epoch,
                "position": cursor.position,
                "step": cursor.step,
                "decisions": sorted((k, v) for k, v in self._decisions.items() if k >= cursor.step),
            }
            check_agreement(self._dataset.coordination.gather(facts))
        self._stale = False
        self._dataset.reader.let_go(self._cursor.revision)
        if self._served is not None:
            self._served.begin(self._cursor.step)
        self._requests.begin(self._planned_from_here())
        answers = self._workers if self._with_torch else map(self._fetcher.__getitems__, self._requests)
        self._batches = chain.from_iterable(answers)

    def _planned_from_here(self) -> Plan:
        ask, check = self._dataset.decide, self._dataset.staleness.check
        return Plan(self._course, self._cursor, self._decisions, open=self._open, ask=ask, check=check)

    def _yielded(self, turn: int) -> Iterator[Any]:
        while True:
            if turn != self._turn:
                raise LoaderError("Another iteration of this loader was begun, or a state loaded: this one has ended.")
            if self._stale:
                self._begin()
            try:
                fetched = next(self._batches)
                if fetched is None:
                    fetched = self._fetcher.fetch(_message(self._requests.ahead[0]))
            except StopIteration:
                break
            except BaseException as failure:
                self.close()  # now: a worker that outlives this loader is in the way of the next one's
                told = explained(failure, self._dataset.timeout)  # that one died is said whatever is being done
                if told is None:
                    raise
                raise told from failure
            if isinstance(fetched, Failed):
                self.close()
                raise fetched.error
            planned = self._requests.ahead.popleft()
            ids, batch = fetched
            if self._served is not None:
                now, source = time.time_ns() // 1_000_000, self._dataset.archive.target_set
                step, number = planned.after.step - 1, planned.documents.number
                self._served.write(step, now, source, number, planned.epoch, ids)
            self._cursor = planned.after
            if planned.documents is not self._documents:
                self._documents = planned.documents
                self._dataset.reader.let_go(self._cursor.revision)
            if self._decisions:
                self._decisions.pop(self._cursor.step - 1, None)
            yield batch
        error = self._requests.error
        if error is not None:
            self.close()
            raise error
        self._cursor = self._cursor.next_epoch()

    def _hold(self, numbers: set[int]) -> None:
        """Keep what a checkpoint needs, if that was not done a short while ago."""
        now = time.monotonic()
        for number in numbers:
            if self._dataset.shard.rank == 0 and self._held.get(number, -1.0) < now:
                self._dataset.archive.hold(number, f"checkpoint-{self._run}", self._lease)
                self._held[number] = now + min(self._lease / 10, 3600.0)


class _Requests:
    """The batch sampler of the DataLoader: what a loader plans, in the main process.

    It knows nothing of the loader. Workers are not ended in good order where a cycle of references holds their queues.

    Args:
        together: how many batches a worker is asked for at a time.

    Attributes:
        ahead: what was planned and is not served yet.
    """

    def __init__(self, together: int) -> None:
        self.ahead: deque[Planned] = deque()
        self._together = together
        self._plan: Plan | None = None

    @property
    def error(self) -> Exception | None:
        """Why there are no more of them, if that is not the end of an epoch."""
        return None if self._plan is None else self._plan.error

    def begin(self, plan: Plan) -> None:
        self._plan = plan
        self.ahead.clear()

    def __iter__(self) -> Iterator[list[Message]]:
        plan = iter(self._plan or ())
        while several := list(islice(plan, self._together)):
            self.ahead.extend(several)
            yield [_message(planned) for planned in several]


def _message(planned: Planned) -> Message:
    return planned.documents.number, planned.epoch, planned.places.tobytes()
