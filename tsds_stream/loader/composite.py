"""Data sets that are composed of others: what all of them have in common, whoever serves them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
from torch.utils.data import IterableDataset, get_worker_info

from tsds_stream.loader.ahead import Chunks, Direct
from tsds_stream.loader.leaves import Leaf
from tsds_stream.loader.reading import LoaderError
from tsds_stream.loader.sources import ChunkReader
from tsds_stream.records import Json

if TYPE_CHECKING:
    from tsds_stream.loader.mixture import Mixture

FORMAT: Final = 1


class Stream(Protocol):
    """Samples one after the other, from sources that are read elsewhere.

    Attributes:
        leaves: the sources by name.
    """

    leaves: dict[str, Leaf]

    def take(self) -> Any:
        """The next sample, or None at the end."""

    @property
    def through(self) -> list[str]:
        """The names of the sources that have come to their end."""

    def begin(self, through: Collection[str]) -> None:
        """Go on after the end: these sources begin their next epoch, others go on where they are."""

    def state(self) -> Json:
        """Where the last sample that was taken ends; cheap, and for `Composite.as_json`."""

    def restore(self, state: Json) -> None:
        """From what `Composite.as_json` made."""


class Composite(IterableDataset):  # type: ignore[misc]
    """A `Mixture` or `Packed`: what `SelectedLoader`, a `DataLoader` or a `StatefulDataLoader` serves."""

    def __init__(self) -> None:
        super().__init__()
        # Shared with workers, which may live longer than an epoch.
        self._shared = torch.zeros(2, dtype=torch.int64).share_memory_()
        self._stream: Stream | None = None
        self._resumed: Json | None = None

    @property
    @abstractmethod
    def mixture(self) -> Mixture:
        """What the documents come from."""

    @property
    @abstractmethod
    def configuration(self) -> Json:
        """What the sequence of samples depends on."""

    @abstractmethod
    def reader(self) -> ChunkReader:
        """Reads and prepares documents; can be pickled."""

    @abstractmethod
    def stream(self, chunks: Chunks, reader: ChunkReader, worker: int = 0, workers: int = 1) -> Stream:
        """The samples of one worker of this rank."""

    @abstractmethod
    def collate(self, samples: list[Any]) -> Any:
        """A batch."""

    @abstractmethod
    def provenance(self, sample: Any) -> list[Json]:
        """`{id, served}` of the documents that begin in a sample."""

    @abstractmethod
    def as_json(self, state: Json) -> Json:
        """The state of a stream, for JSON."""

    @property
    def epoch(self) -> int:
        """As `set_epoch` has set it; 0 at first."""
        return int(self._shared[0])

    def set_epoch(self, epoch: int) -> None:
        """Begin with this epoch of every source from the next iteration on; all ranks call it."""
        for dataset in self.mixture.selections.values():
            dataset.set_epoch(epoch)
        self._shared[0] = epoch

    def state_dict(self) -> Json:
        """Where this process stands.

        Raises:
            LoaderError: workers of a plain `DataLoader` read, and this process cannot know how far they are.
        """
        if self._shared[1] and get_worker_info() is None:
            raise LoaderError(
                "Only the workers of this DataLoader know how far they are. Use SelectedLoader, or torchdata's "
                "StatefulDataLoader, and take the state of that."
            )
        if self._resumed is not None:
            return self._resumed
        if self._stream is None:
            self._stream = self._own_stream()
        return self.marked(self._stream.state())

    def load_state_dict(self, state: Json) -> None:
        """Go on where a state was taken, with the next iteration.

        Raises:
            LoaderError: the state is of another data set, rank or worker.
        """
        self.check(state)
        self._resumed = state

    def marked(self, state: Json, worker: tuple[int, int] | None = None) -> Json:
        """The state of a stream, with what tells whose it is."""
        marks: Json = {"format": FORMAT, "configuration": self.configuration}
        marks["worker"] = list(worker or _worker())
        return {**marks, **self.as_json(state)}

    def check(self, state: Json) -> None:
        """Raise `LoaderError` when a state is of something else."""
        try:
            found, then = state["format"], state["configuration"]
            if found != FORMAT:
                raise LoaderError(
                    f"The state has format {found}, and this version reads {FORMAT}. Use the version that wrote it."
                )
            now = self.configuration
            different = [
                f"{name}: {then.get(name, 'none')!r} there, {now.get(name, 'none')!r} here"
                for name in sorted({*then, *now})
                if then.get(name) != now.get(name)
            ]
        except (AttributeError, KeyError, TypeError) as error:
            what = type(self).__name__
            raise LoaderError(f"This is not the state of a {what}: {type(error).__name__}: {error}.") from None
        if different:
            raise LoaderError(
                f"The state is of another {type(self).__name__} ({'; '.join(different)}). Make it as it was made when "
                "the state was taken."
            )

    def __iter__(self) -> Iterator[Any]:
        for name, dataset in self.mixture.selections.items():
            policy = dataset.following.policy
            if policy == "step" or (policy == "epoch" and self.mixture.repeats(name)):
                raise LoaderError(
                    f"Workers cannot agree on a newer revision of {name!r} while they read. Serve this through "
                    "SelectedLoader, or use follow='pin' with advance(), or follow='epoch' with set_epoch()."
                )
        self._shared[1] = int(get_worker_info() is not None)
        stream = self._stream = self._own_stream()
        state, self._resumed = self._resumed, None
        if state is not None:
            if list(state["worker"]) != list(_worker()):
                (then, of), (now, here) = state["worker"], _worker()
                raise LoaderError(
                    f"The state is of worker {then} of {of}, and this is worker {now} of {here}. Use as many workers "
                    "as then, or SelectedLoader, whose state suits any number."
                )
            restore(stream, state)
        return iter(stream.take, None)

    def _own_stream(self) -> Stream:
        reader = self.reader()
        return self.stream(Direct(reader), reader, *_worker())

    def __getstate__(self) -> Json:
        return {**self.__dict__, "_stream": None}


def restore(stream: Stream, state: Json) -> None:
    """Raise `LoaderError` where a state does not suit, or cannot be read."""
    try:
        stream.restore(state)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise LoaderError(f"The state cannot be read: {type(error).__name__}: {error}.") from error


def _worker() -> tuple[int, int]:
    info = get_worker_info()
    return (0, 1) if info is None else (info.id, info.num_workers)
