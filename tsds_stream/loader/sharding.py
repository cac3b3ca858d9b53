"""Which positions of an order a rank serves, and a worker of it, so that together they serve each document once.

The order of an epoch goes round the ranks: rank r of R takes the positions r, r + R, r + 2R, … The documents of a
global batch are therefore the same for any number of ranks whose batches have the same size together. Where the
documents do not come out even, all ranks still serve as many as each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from tsds_stream.loader.reading import Documents, LoaderError

Uneven = Literal["pad", "drop", "error"]
UNEVEN: Final = ("pad", "drop", "error")


@dataclass(frozen=True, slots=True)
class Shard:
    """One rank of several.

    Attributes:
        rank: of 0 … world_size - 1.
        world_size: how many ranks share the documents.
        uneven: what happens to the n mod world_size last positions of an epoch: `pad` serves documents from the start
            of its order once more, `drop` leaves the last ones out, `error` refuses such a revision.
    """

    rank: int = 0
    world_size: int = 1
    uneven: Uneven = "pad"

    def __post_init__(self) -> None:
        if self.uneven not in UNEVEN:
            raise ValueError(f"uneven is one of {', '.join(UNEVEN)}, not {self.uneven!r}")
        for name in ("rank", "world_size"):
            if not isinstance(value := getattr(self, name), Integral):
                raise ValueError(f"{name} is an integer, not {value!r}")
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"of {self.world_size} ranks there is no rank {self.rank}")

    def even(self, length: int) -> int:
        """How many positions of `length` are served together: a multiple of the number of ranks."""
        rest = length % self.world_size
        if not rest:
            return length
        return length - rest if self.uneven == "drop" else length + self.world_size - rest

    def share(self, length: int) -> int:
        """How many of `length` positions each rank serves."""
        return self.even(length) // self.world_size

    def positions(self, first: int, count: int) -> NDArray[np.int64]:
        """(count,) int64 positions of this rank among those from `first` on, a multiple of the number of ranks.

        They may lie beyond the end of the order, whose start then follows.
        """
        return np.arange(first + self.rank, first + count * self.world_size, self.world_size, dtype=np.int64)

    def worker_share(self, length: int, worker: int, workers: int) -> int:
        """How many of `length` positions this worker of a rank serves: every `workers`-th of the rank."""
        return len(range(worker, self.share(length), workers))

    def worker_positions(self, start: int, count: int, worker: int, workers: int) -> NDArray[np.int64]:
        """(count,) int64 positions of this worker, from the `start`-th of its own on."""
        own = np.arange(start, start + count, dtype=np.int64) * workers + worker
        return own * self.world_size + self.rank

    def check(self, documents: Documents, workers: int) -> None:
        """Raise `LoaderError` when a revision cannot be served by so many ranks and workers."""
        n, number = len(documents), documents.number
        set_name = documents.record.get("set", "")
        what = f"Revision {number} of target set {set_name!r}"
        if not n:
            raise LoaderError(
                f"{what} is empty: there is nothing to serve. Wait until documents are selected, or name another "
                "revision; `tsds-stream inspect` lists them."
            )
        needed = self.world_size * max(workers, 1)
        if n < needed:
            raise LoaderError(
                f"{what} has {n} documents, fewer than the {needed} of {self.world_size} ranks × {max(workers, 1)} "
                "workers. Use fewer ranks or workers, or select with a larger budget."
            )
        if self.uneven == "error" and n % self.world_size:
            raise LoaderError(
                f"{what} has {n} documents, which {self.world_size} ranks cannot share evenly. Choose a budget that is "
                "a multiple of the number of ranks, or uneven='pad' or 'drop'."
            )
