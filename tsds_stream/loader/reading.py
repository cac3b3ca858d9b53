"""What the loader needs of a revision and of a place that holds revisions."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tsds_stream.records import Json


class LoaderError(Exception):
    """The loader cannot go on; the message says why, and what to do."""


class Documents(Protocol):
    """One revision, by ascending ids."""

    @property
    def number(self) -> int: ...

    @property
    def record(self) -> Json:
        """The revision record."""

    @property
    def weights(self) -> NDArray[np.float64]:
        """(n,) float64, mean 1."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: int, /) -> Json: ...

    def read(self, places: NDArray[np.int64], /) -> list[Json]:
        """The documents at (k,) places, in this order."""


class KeptDocuments(Documents, Protocol):
    """A revision on a disk, or further away."""

    @property
    def stays_open(self) -> bool:
        """Whether its files are so few that all of them stay open once they were read."""

    def touch(self, places: NDArray[np.int64], /) -> None:
        """Bring the documents at (k,) places into the memory of this computer, for any of its processes."""


class Archive(Protocol):
    """Where the revisions of one target set are. Can be pickled; a copy in another process only reads."""

    @property
    def target_set(self) -> str: ...

    def newest(self) -> int:
        """The number of the newest revision; cheap."""

    def at(self, number: int) -> KeptDocuments: ...

    def heartbeat(self) -> int | None:
        """When publication was last known to be in effect, in milliseconds since the epoch."""

    def hold(self, number: int, name: str, seconds: float) -> None:
        """Keep a revision for that long, on behalf of a checkpoint."""
