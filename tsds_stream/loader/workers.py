"""The workers that read for a loader: how they are asked, what they say, how they end."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from torch.utils.data import DataLoader
from torch.utils.data._utils import signal_handling

from tsds_stream.loader.following import is_duration, is_integer
from tsds_stream.loader.reading import LoaderError
from tsds_stream.loader.served_log import ServedLog

Collate = Callable[[list[Any]], Any]


@dataclass(frozen=True, slots=True)
class LoaderSettings:
    """How batches are made and served, as `SelectedLoader` describes it.

    Raises:
        ValueError: a setting is not one.
    """

    batch_size: int
    num_workers: int
    collate_fn: Collate | None
    drop_last: bool
    prefetch_factor: int
    pin_memory: bool
    multiprocessing_context: Any
    worker_init_fn: Callable[[int], None] | None
    served: ServedLog | None
    checkpoint_lease: float

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("num_workers", 0), ("prefetch_factor", 1)):
            value = getattr(self, name)
            if not is_integer(value) or value < least:
                raise ValueError(f"{name} is an integer from {least} on, not {value!r}")
            object.__setattr__(self, name, operator.index(value))
        if not is_duration(self.checkpoint_lease):
            raise ValueError(f"checkpoint_lease is a number of seconds above 0, not {self.checkpoint_lease!r}")
        for name in ("collate_fn", "worker_init_fn"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise ValueError(f"{name} is a function, not {value!r}")


class Workers:
    """A torch `DataLoader` whose requests are answered by workers, or in this process where there are none.

    Args:
        dataset: what answers a request, by `dataset.__getitems__(request)`.
        requests: iterated over anew for each iteration. Does not know this object: workers do not end in good order
            where a cycle of references holds their queues.
        settings: how many workers, and how they are started.
        ahead: requests that each worker is given before they are needed.
        timeout: seconds to wait for an answer.
        pin_memory: as of torch's `DataLoader`.
    """

    def __init__(
        self,
        dataset: Any,
        requests: Iterable[Any],
        settings: LoaderSettings,
        *,
        ahead: int,
        timeout: float,
        pin_memory: bool = False,
    ) -> None:
        workers = settings.num_workers
        self._timeout = timeout
        self._torch = DataLoader(
            dataset,
            batch_sampler=requests,
            num_workers=workers,
            collate_fn=_as_it_is,
            pin_memory=pin_memory,
            timeout=timeout if workers else 0,
            prefetch_factor=ahead if workers else None,
            persistent_workers=workers > 0,
            multiprocessing_context=settings.multiprocessing_context if workers else None,
            worker_init_fn=settings.worker_init_fn,
        )

    def __iter__(self) -> Iterator[Any]:
        if _bereaved(self._torch._iterator):
            self.end()  # or those that are gone would be waited for
        try:
            return _Answers(iter(self._torch), self._timeout)
        except BaseException as error:
            self.end()
            told = explained(error, self._timeout)
            if told is None:
                raise
            raise told from error

    def end(self) -> None:
        """End the workers; iterating again starts new ones."""
        running, self._torch._iterator = self._torch._iterator, None
        if _bereaved(running):
            _kill(running)
        elif running is not None:
            running._shutdown_workers()  # dropping it is not enough: the traceback of an error may hold it


def _bereaved(running: Any) -> bool:
    """Whether a worker of torch's iterator has died."""
    return running is not None and not all(worker.is_alive() for worker in running._workers)


def _kill(running: Any) -> None:
    """End the workers of which one has died. It may have held a lock, for which torch waits when it ends them."""
    running._shutdown = True
    if running._worker_pids_set:  # or the end of a worker is raised as an error
        running._worker_pids_set = False
        signal_handling._remove_worker_pids(id(running))
    if hasattr(running, "_pin_memory_thread"):
        running._pin_memory_thread_done_event.set()
    for worker in running._workers:
        worker.kill()
    for queue in running._index_queues:
        queue.cancel_join_thread()
        queue.close()
    for worker in running._workers:
        worker.join(timeout=5.0)


class _Answers:
    """What workers answer; when they do not, an error that says what to do."""

    def __init__(self, answers: Iterator[Any], timeout: float) -> None:
        self._answers, self._timeout = answers, timeout

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._answers)
        except RuntimeError as error:
            told = explained(error, self._timeout)
            if told is None:
                raise
            raise told from error


_TORCH: Final = re.compile(r"DataLoader (?:timed out|worker \(pid(?:\(s\))? [\d, ]+\) (?:exited|is killed))")


def explained(error: BaseException, timeout: float) -> LoaderError | None:
    """What torch says of workers that are gone or silent, with what to do; None for an error of something else."""
    says = str(error).strip().rstrip(".")
    if not isinstance(error, RuntimeError) or not _TORCH.match(says):
        return None
    if "timed out" in says:
        return LoaderError(
            f"No worker has read a batch within {timeout:g} s. See whether the storage answers and collate_fn returns; "
            "`timeout` of the data set is how long is waited."
        )
    if "signal: Killed" in says:
        why = "as the system does when memory runs out: take fewer workers or a smaller prefetch_factor"
    elif "signal" in says:
        why = "which happens in native code, or where a file was cut short under its reader: see what is on stderr"
    else:
        why = (
            "by itself or killed: see what is on stderr. Where workers are spawned, the script needs "
            "`if __name__ == '__main__':`; where memory runs out, take fewer workers"
        )
    return LoaderError(f"{says}, {why}. Then go on from the last state: what was not yielded is not lost.")


def _as_it_is(answer: Any) -> Any:
    return answer
