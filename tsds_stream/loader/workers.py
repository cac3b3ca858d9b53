"""The workers that read for a loader: how they are asked, what they say, how they end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader

from tsds_stream.loader.following import is_duration
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
            if type(value) is not int or value < least:
                raise ValueError(f"{name} is an integer from {least} on, not {value!r}")
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
        return _Answers(iter(self._torch), self._timeout)

    def end(self) -> None:
        """End the workers; iterating again starts new ones."""
        running, self._torch._iterator = self._torch._iterator, None
        if running is not None:
            running._shutdown_workers()  # dropping it is not enough: the traceback of an error may hold it


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
            says = str(error).strip().rstrip(".")
            if says.startswith("DataLoader timed out"):
                raise LoaderError(
                    f"No worker has read a batch within {self._timeout:g} s. See whether the storage answers and "
                    "collate_fn returns; `timeout` of the data set is how long is waited."
                ) from error
            if says.startswith("DataLoader worker"):  # other errors are of what the user has them do
                raise LoaderError(
                    f"{says}: it was ended from outside, as the system does when memory runs out. Take fewer workers "
                    "or a smaller prefetch_factor, and go on from the last state: what was not yielded is not lost."
                ) from error
            raise


def _as_it_is(answer: Any) -> Any:
    return answer
