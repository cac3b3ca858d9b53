"""A DataLoader whose state counts what was yielded, so that prefetching and workers leave no trace in it."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from torch.utils.data import DataLoader

from tsds_stream.loader.dataset import SelectedDataset
from tsds_stream.loader.fetching import Failed, Fetcher, Request
from tsds_stream.loader.following import check_agreement, opened
from tsds_stream.loader.planning import Course, Plan, Planned
from tsds_stream.loader.reading import Documents, LoaderError
from tsds_stream.loader.served_log import ServedLog
from tsds_stream.loader.served_writer import ServedWriter
from tsds_stream.loader.sharding import Shard
from tsds_stream.loader.state import Cursor, LoaderState, check_digest, check_ordering, digest_of_order
from tsds_stream.records import Json

WEEK: Final = 7 * 86_400.0
Collate = Callable[[list[Json]], Any]


class SelectedLoader:
    """Serves batches of a `SelectedDataset`: `for batch in loader` is one epoch, or never ends when that repeats.

    A batch is a list of documents as dictionaries, or what `collate_fn` makes of one. Documents carry
    `served: {revision, epoch, place}`. Batches are planned in the main process and read in the workers; `state_dict()`
    tells where the last batch that was *yielded* ends, at no cost, at any moment. A state goes on at the next batch
    with any number of workers, and with any number of ranks if the documents per step of all of them stay as many.
    Iterating again goes on, too: after an early `break` with the next batch, after the end with the next epoch.

    Args:
        dataset: what to serve, in which order, to which rank.
        batch_size: documents per batch of this rank.
        num_workers: processes that read; 0 reads in this one.
        collate_fn: called with the list of documents, in the worker; can be pickled where workers are spawned.
        drop_last: leave out the end of an epoch that does not fill a batch on every rank.
        prefetch_factor: batches that each worker reads ahead.
        pin_memory, multiprocessing_context, worker_init_fn: as of torch's `DataLoader`.
        served: a directory where it is noted what is yielded, for `tsds-stream served`; the same for all ranks, and
            for a run that goes on. Or another `ServedLog`.
        checkpoint_lease: seconds that the revisions in a state are kept from being deleted, from when it was taken.

    Raises:
        LoaderError: ranks that have no means to agree follow a selection; or the served log has a writer, or cannot be
            written.
    """

    def __init__(
        self,
        dataset: SelectedDataset,
        batch_size: int = 32,
        num_workers: int = 0,
        *,
        collate_fn: Collate | None = None,
        drop_last: bool = False,
        prefetch_factor: int = 2,
        pin_memory: bool = False,
        multiprocessing_context: Any = None,
        worker_init_fn: Callable[[int], None] | None = None,
        served: str | Path | ServedLog | None = None,
        checkpoint_lease: float = WEEK,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        dataset.check_following()
        self._dataset, self._lease = dataset, checkpoint_lease
        self._served = _log_of(served, dataset.shard)
        self._course = Course(
            dataset.ordering, dataset.shard, dataset.following, batch_size, dataset.repeat, drop_last, num_workers
        )
        self._read_ahead = prefetch_factor * num_workers
        self._cursor = Cursor(dataset.revision, dataset.epoch)
        self._decisions: dict[int, int] = {}
        self._documents: Documents | None = None  # of the last batch: its revision is in use until the next one comes
        self._run = uuid.uuid4().hex[:12]
        self._held: dict[int, float] = {}
        self._turn = 0  # iterations begun; only the last one goes on
        self._stale = False  # the running iteration has to be planned anew
        self._requests = _Requests()
        self._open = partial(opened, dataset.archive, timeout=dataset.timeout)
        self._torch = DataLoader(
            Fetcher(dataset.reader, collate_fn),
            batch_sampler=self._requests,
            num_workers=num_workers,
            collate_fn=_as_it_is,
            pin_memory=pin_memory,
            timeout=dataset.timeout if num_workers else 0,
            prefetch_factor=prefetch_factor if num_workers else None,
            persistent_workers=num_workers > 0,
            multiprocessing_context=multiprocessing_context if num_workers else None,
            worker_init_fn=worker_init_fn,
        )
        self._batches: Iterator[Any] = iter(())

    @property
    def epoch(self) -> int:
        """How many orders were begun before the one that is being served."""
        return self._cursor.epoch

    @property
    def step(self) -> int:
        """How many batches were yielded since the beginning of the run, over all restarts."""
        return self._cursor.step

    @property
    def revision(self) -> int:
        """The number of the revision that is being served."""
        return self._cursor.revision

    def __len__(self) -> int:
        """How many batches there are left in this epoch, if no other revision is taken up. A repeating one has none."""
        if self._course.repeat:
            raise TypeError("a loader that repeats has no length")
        return self._planned_from_here().batches()

    def __iter__(self) -> Iterator[Any]:
        self._turn += 1
        self._begin()
        return self._yielded(self._turn)

    def state_dict(self) -> Json:
        """Where the last batch that was yielded ends: plain numbers and short texts, for JSON or a torch checkpoint."""
        if self._served is not None:
            self._served.sync()
        cursor = self._cursor
        if self._documents is None or self._documents.number != cursor.revision:
            self._documents = self._open(cursor.revision)
        digest = digest_of_order(self._documents, self._course.ordering)
        decisions = {step: number for step, number in self._decisions.items() if step >= cursor.step}
        self._hold({cursor.revision, *decisions.values()})
        ordering, global_batch = self._course.ordering, self._course.global_batch
        return LoaderState(cursor, ordering, global_batch, digest, self._run, decisions).as_json()

    def load_state_dict(self, state: Json) -> None:
        """Go on where a state was taken; the next iteration begins there, and one that is running ends with an error.

        Raises:
            LoaderError: the state is of another dataset, or of ranks whose batches have another size together; or its
                revision is gone, or damaged.
        """
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
        self._cursor, self._decisions, self._run = loaded.cursor, dict(loaded.decisions), loaded.run
        self._documents, self._held = documents, {}
        self._turn += 1

    def advance(self) -> int:
        """Take up the newest revision with the next batch; all ranks call this after the same step.

        Returns:
            The number of the revision that is served from now on.
        """
        newest = self._dataset.decide(self._cursor.step)
        if newest > self._cursor.revision:
            cursor = self._cursor
            self._cursor = (
                cursor.next_epoch(newest) if cursor.position else Cursor(newest, cursor.epoch, 0, cursor.step)
            )
            self._decisions, self._stale = {}, True
        return self._cursor.revision

    def close(self) -> None:
        """End the workers and let go of the served log; iterating again starts new ones, and goes on with it."""
        self._turn += 1
        self._batches, self._torch._iterator = iter(()), None
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
        if self._served is not None:
            self._served.begin(self._cursor.step)
        self._requests.begin(self._planned_from_here())
        self._batches = iter(self._torch)

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
            except StopIteration:
                break
            if isinstance(fetched, Failed):
                self.close()
                raise fetched.error
            planned = self._requests.ahead.popleft()
            if self._served is not None:
                now, source = time.time_ns() // 1_000_000, self._dataset.archive.target_set
                step, number = planned.after.step - 1, planned.documents.number
                self._served.write(step, now, source, number, planned.epoch, fetched.ids)
            self._cursor, self._documents = planned.after, planned.documents
            self._dataset.reader.let_go(self._cursor.revision)
            self._decisions.pop(planned.after.step - 1, None)
            yield fetched.batch
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

    Attributes:
        ahead: what was planned and is not served yet.
    """

    def __init__(self) -> None:
        self.ahead: deque[Planned] = deque()
        self._plan: Plan | None = None

    @property
    def error(self) -> Exception | None:
        """Why there are no more of them, if that is not the end of an epoch."""
        return None if self._plan is None else self._plan.error

    def begin(self, plan: Plan) -> None:
        self._plan = plan
        self.ahead.clear()

    def __iter__(self) -> Iterator[Request]:
        for planned in self._plan or ():
            self.ahead.append(planned)
            yield Request(planned.documents.number, planned.epoch, planned.places.tolist())


def _log_of(served: str | Path | ServedLog | None, shard: Shard) -> ServedLog | None:
    return ServedWriter(served, shard.rank, shard.world_size) if isinstance(served, str | Path) else served


def _as_it_is(fetched: Any) -> Any:
    return fetched
