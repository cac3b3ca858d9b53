"""The part of an epoch that one worker of one rank serves, where nobody plans for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tsds_stream.loader.order import Ordering
from tsds_stream.loader.reading import Documents, LoaderError
from tsds_stream.loader.sharding import Shard
from tsds_stream.loader.state import check_digest, check_ordering, digest_of_order, ordering_as_json
from tsds_stream.records import Json

FORMAT: Final = 1
_BLOCK: Final = 1024
_NUMBERS: Final = ("revision", "epoch", "position", "rank", "world_size", "worker", "workers")


@dataclass(frozen=True, slots=True)
class ShareState:
    """How far a worker is.

    Attributes:
        position: documents that it has served of its share.
    """

    revision: int
    epoch: int
    position: int
    rank: int
    world_size: int
    worker: int
    workers: int
    ordering: Ordering
    digest: str

    def as_json(self) -> Json:
        fields = {name: getattr(self, name) for name in _NUMBERS}
        return {"format": FORMAT, **fields, "digest": self.digest, **ordering_as_json(self.ordering)}

    @classmethod
    def of(cls, state: Json) -> ShareState:
        try:
            if state["format"] != FORMAT:
                raise LoaderError(
                    f"The state has format {state['format']}, and this version reads {FORMAT}. Use the version that "
                    "wrote it."
                )
            ordering = Ordering(int(state["seed"]), bool(state["shuffle"]), state["sampling"])
            numbers = {name: int(state[name]) for name in _NUMBERS}
            return cls(**numbers, ordering=ordering, digest=str(state["digest"]))
        except (KeyError, TypeError, ValueError) as error:
            raise LoaderError(f"This is not the state of a SelectedDataset: {type(error).__name__}: {error}.") from None

    def check(self, documents: Documents, ordering: Ordering, shard: Shard) -> None:
        """Raise `LoaderError` when the state is of something else."""
        check_ordering(self.ordering, ordering)
        check_digest(self.digest, documents, ordering)
        if (self.rank, self.world_size) != (shard.rank, shard.world_size):
            raise LoaderError(
                f"The state is of rank {self.rank} of {self.world_size}, and this is rank {shard.rank} of "
                f"{shard.world_size}. Give every rank its own state, or use SelectedLoader, whose state suits any "
                "number of ranks."
            )

    def check_worker(self, worker: int, workers: int) -> None:
        """Raise `LoaderError` when another worker, or one of another number, took the state."""
        if (self.worker, self.workers) != (worker, workers):
            raise LoaderError(
                f"The state is of worker {self.worker} of {self.workers}, and this is worker {worker} of {workers}. "
                "Use as many workers as then, or SelectedLoader, whose state suits any number."
            )


class Share:
    """What one worker serves of an epoch.

    Attributes:
        length: documents of it.
        position: how many of them were served.
    """

    def __init__(
        self,
        documents: Documents,
        epoch: int,
        ordering: Ordering,
        shard: Shard,
        worker: int = 0,
        workers: int = 1,
        position: int = 0,
    ) -> None:
        shard.check(documents, workers)
        self.revision, self.epoch, self.position = documents.number, epoch, position
        self._settings = (ordering, shard, worker, workers)
        self._digest = digest_of_order(documents, ordering)
        self._documents = len(documents)
        self._order = ordering.of(documents, epoch)
        self.length = shard.worker_share(self._documents, worker, workers)
        if not 0 <= position <= self.length:
            raise LoaderError(
                f"The state is damaged: it stands at position {position}, and {self.length} documents of revision "
                f"{self.revision} are served here. Resume from another checkpoint."
            )

    def places(self, start: int, count: int) -> NDArray[np.int64]:
        """(count,) int64 places of the documents from the `start`-th of this share on."""
        _, shard, worker, workers = self._settings
        return self._order(shard.worker_positions(start, count, worker, workers) % self._documents)

    def next_places(self) -> NDArray[np.int64]:
        """Some of those that come next; none at the end."""
        return self.places(self.position, min(_BLOCK, self.length - self.position))

    def next_epoch(self, documents: Documents) -> Share:
        return Share(documents, self.epoch + 1, *self._settings)

    def state(self) -> ShareState:
        ordering, shard, worker, workers = self._settings
        return ShareState(
            self.revision,
            self.epoch,
            self.position,
            shard.rank,
            shard.world_size,
            worker,
            workers,
            ordering,
            self._digest,
        )
