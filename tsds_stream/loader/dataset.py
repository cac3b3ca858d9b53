"""A selection as a data set for torch: to be read by position, or in order, by any DataLoader."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from tsds_stream.loader.distributed import default_coordination, rank_and_world_size
from tsds_stream.loader.fetching import Reader
from tsds_stream.loader.following import Alone, Coordination, Following, Staleness, is_duration
from tsds_stream.loader.order import Ordering, Sampling
from tsds_stream.loader.reading import Archive, Documents, LoaderError
from tsds_stream.loader.revisions import Revisions
from tsds_stream.loader.sharding import Shard, Uneven
from tsds_stream.loader.share import Share, ShareState
from tsds_stream.records import Json

TIMEOUT: Final = 600.0
_EPOCH, _REVISION, _IN_WORKERS = range(3)


class SelectedDataset(IterableDataset):  # type: ignore[misc]
    """The documents of one revision that a rank serves, in the order of an epoch.

    By position: `len(dataset)` and `dataset[i]`, the i-th of this rank. In order: `for document in dataset`, in a plain
    `DataLoader` whose workers share the documents, or in torchdata's `StatefulDataLoader`. As DistributedSampler does,
    it serves the same epoch until `set_epoch` is called, which reaches workers that persist. `SelectedLoader` goes
    through epochs and revisions on its own, and resumes with other numbers of workers.

    Args:
        selection: where the selection is, as `Revisions.open` takes it, or an open `Revisions`.
        target_set: its name.
        revision: number, or `latest`, which rank 0 looks up for all: each process of torch.distributed has to make the
            data set then, in the same order as others of the kind.
        follow: when a newer revision is taken up: `pin` never (but see `advance`), `epoch` at the beginning of an
            epoch, `step:N` every N steps of a `SelectedLoader`. Documents that were withdrawn are served until then.
        seed, shuffle, sampling: the order. By `weight`, heavy documents come early; all of them come. Weights
            differ where the selection is drawn (`mode = "coordinated"`, `"multinomial"`); else all are 1.
        repeat: begin the next epoch where one ends.
        rank, world_size: by default those of torch.distributed, and of one process without it. Give those of the data
            parallel group where that is another one.
        uneven: what happens where the ranks cannot share evenly: `pad`, `drop` or `error`.
        max_staleness: seconds after which training ends with an error when the publisher of the selection is not heard
            of any more.
        cache: folder for copies of what is not a local directory.
        timeout: seconds that anything is waited for: other ranks, a worker, a revision to arrive.
        coordination: how the ranks agree, where not through torch.distributed.

    Raises:
        ValueError: a setting is not one.
        LoaderError: the ranks are unknown, or cannot agree; the revision is empty, or does not suit the ranks.
    """

    def __init__(
        self,
        selection: str | Path | Archive,
        target_set: str = "default",
        revision: int | Literal["latest"] = "latest",
        follow: str = "pin",
        seed: int = 0,
        shuffle: bool = True,
        sampling: Sampling = "uniform",
        repeat: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
        *,
        uneven: Uneven = "pad",
        max_staleness: float | None = None,
        cache: str | Path | None = None,
        timeout: float = TIMEOUT,
        coordination: Coordination | None = None,
    ) -> None:
        super().__init__()
        if not is_duration(timeout):
            raise ValueError(f"timeout is a number of seconds above 0, not {timeout!r}")
        if revision != "latest" and not (type(revision) is int and revision >= 1):
            raise ValueError(f"revision is a number from 1 on, or 'latest', not {revision!r}")
        self.ordering = Ordering(seed, shuffle, sampling)
        self.following = Following.parse(follow)
        self.shard = Shard(*place_among_ranks(rank, world_size), uneven)
        self.repeat, self.timeout = repeat, float(timeout)
        self._opened: Revisions | None = None
        if isinstance(selection, str | Path):
            selection = self._opened = Revisions.open(selection, target_set, cache=cache, timeout=timeout)
        self.archive: Archive = selection
        self.staleness = Staleness(self.archive, max_staleness, _now)
        self.coordination = coordination or default_coordination(self.shard.world_size, timeout)
        self.reader = Reader(self.archive)
        # Shared with workers, which may live longer than an epoch.
        self._shared = torch.zeros(3, dtype=torch.int64).share_memory_()
        self._shared[_REVISION] = self.decide(0) if revision == "latest" else revision
        self._share: Share | None = None  # as it is read by position
        self._serving: Share | None = None  # as it is read in order
        self._resumed: ShareState | None = None
        self.shard.check(self.documents, 1)

    @property
    def revision(self) -> int:
        """The number of the revision that is served."""
        return int(self._shared[_REVISION])

    @property
    def epoch(self) -> int:
        """As `set_epoch` has set it; 0 at first."""
        return int(self._shared[_EPOCH])

    @property
    def documents(self) -> Documents:
        """The revision that is served, whole."""
        return self.reader.documents(self.revision)

    def __len__(self) -> int:
        """How many documents this rank serves in an epoch."""
        return self.shard.share(len(self.documents))

    def __getitem__(self, i: int) -> Json:
        """The i-th document that this rank serves in this epoch.

        Raises:
            IndexError: there are no i + 1 of them.
        """
        if not -len(self) <= i < len(self):
            raise IndexError(f"this rank serves {len(self)} documents, so there is none at {i}")
        share = self._share
        if share is None or (share.revision, share.epoch) != (self.revision, self.epoch):
            share = self._share = Share(self.documents, self.epoch, self.ordering, self.shard)
        place = share.places(i % len(self), 1)
        return self.reader.read_at(share.revision, share.epoch, place)[0]

    def set_epoch(self, epoch: int) -> None:
        """Serve this epoch from the next iteration on; with follow='epoch', the newest revision. All ranks call it."""
        if self.following.policy == "epoch" and epoch != self.epoch:
            self.advance()
        self._shared[_EPOCH] = epoch

    def advance(self) -> int:
        """Take up the newest revision from the next iteration on; all ranks call it. Returns its number."""
        newest = self.decide(self.epoch)
        if newest > self.revision:
            self._shared[_REVISION] = newest
        return self.revision

    def decide(self, step: int) -> int:
        """The newest revision, as rank 0 sees it at this step."""
        return self.coordination.decide(step, self.archive.newest)

    def check_following(self) -> None:
        """Raise `LoaderError` when ranks that cannot agree are to follow a selection."""
        if self.following.policy != "pin" and self.shard.world_size > 1 and isinstance(self.coordination, Alone):
            raise LoaderError(
                f"To follow the selection, {self.shard.world_size} ranks have to agree on the moment: call "
                "torch.distributed.init_process_group first, give coordination=…, or use follow='pin'."
            )

    def close(self) -> None:
        """Let go of the selection, if the data set opened it."""
        if self._opened is not None:
            self._opened.close()

    def __iter__(self) -> Iterator[Json]:
        if self.following.policy == "step" or (self.following.policy == "epoch" and self.repeat):
            raise LoaderError(
                "Workers cannot agree on a newer revision while they read. Serve this data set through SelectedLoader, "
                "or use follow='pin' with advance(), or follow='epoch' with set_epoch() and repeat=False."
            )
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        self._shared[_IN_WORKERS] = int(info is not None)
        resumed, self._resumed = self._resumed, None
        if resumed is None:
            epoch, revision, start = self.epoch, self.revision, 0
        else:
            resumed.check_worker(worker, workers)
            epoch, revision, start = resumed.epoch, resumed.revision, resumed.position
        documents = self.reader.documents(revision)
        share = self._serving = Share(documents, epoch, self.ordering, self.shard, worker, workers, start)
        return self._served(share, documents)

    def state_dict(self) -> Json:
        """Where this process stands in its share of an epoch.

        Raises:
            LoaderError: workers of a plain `DataLoader` read, and this process cannot know how far they are.
        """
        if self._shared[_IN_WORKERS] and get_worker_info() is None:
            raise LoaderError(
                "Only the workers of this DataLoader know how far they are. Use SelectedLoader, or torchdata's "
                "StatefulDataLoader, and take the state of that."
            )
        if self._resumed is not None:
            return self._resumed.as_json()
        share = self._serving
        if share is None:
            share = Share(self.documents, self.epoch, self.ordering, self.shard)
        return share.state().as_json()

    def load_state_dict(self, state: Json) -> None:
        """Go on where a state was taken, with the next iteration.

        Raises:
            LoaderError: the state is of another data set, rank or worker, or its revision is gone or damaged.
        """
        loaded = ShareState.of(state)
        loaded.check(self.reader.documents(loaded.revision), self.ordering, self.shard)
        info = get_worker_info()
        if info is not None:
            loaded.check_worker(info.id, info.num_workers)
        else:
            self._shared[_EPOCH], self._shared[_REVISION] = loaded.epoch, loaded.revision
        self._resumed = loaded

    def _served(self, share: Share, documents: Documents) -> Iterator[Json]:
        while True:
            self.staleness.check()
            places = share.next_places()
            for document in self._read(share, places):
                share.position += 1
                yield document
            if share.position == share.length:
                if not self.repeat:
                    return
                share = self._serving = share.next_epoch(documents)

    def _read(self, share: Share, places: NDArray[np.int64]) -> Iterator[Json]:
        for k in range(len(places)):
            yield self.reader.read_at(share.revision, share.epoch, places[k : k + 1])[0]

    def __getstate__(self) -> dict[str, Any]:
        """A copy for a worker; there, nobody is asked for newer revisions."""
        return {**self.__dict__, "coordination": Alone(), "_opened": None, "_share": None, "_serving": None}


def place_among_ranks(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """Rank and number of ranks: those that are given, or those of torch.distributed, or one process."""
    if rank is not None and world_size is not None:
        return rank, world_size
    if rank is not None or world_size is not None:
        raise ValueError("rank and world_size are given together, or not at all")
    found = rank_and_world_size()
    if found is not None:
        return found
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise LoaderError(
            f"The environment says that this is one of {os.environ['WORLD_SIZE']} ranks (WORLD_SIZE), and "
            "torch.distributed is not initialised: call init_process_group first, or give rank= and world_size=."
        )
    return 0, 1


def _now() -> int:
    return time.time_ns() // 1_000_000
