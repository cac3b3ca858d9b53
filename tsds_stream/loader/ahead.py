"""Reads documents of several sources before they are taken, in the workers of one DataLoader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from tsds_stream.loader.leaves import PositionLeaf
from tsds_stream.loader.reading import LoaderError
from tsds_stream.loader.sources import Chunk, ChunkReader, LeafRequest
from tsds_stream.loader.workers import LoaderSettings, Workers


class Chunks(Protocol):
    """Brings the documents that leaves ask for."""

    def fill(self, leaf: PositionLeaf) -> None:
        """Return when it is not hungry any more."""


class Direct:
    """Reads what is asked for when it is needed, in this process."""

    def __init__(self, reader: ChunkReader) -> None:
        self._reader = reader

    def fill(self, leaf: PositionLeaf) -> None:
        request = leaf.request()
        assert request is not None  # a leaf that is through is not hungry
        leaf.deliver(self._reader.__getitems__(request))


class Ahead:
    """Reads ahead, in workers: most for the sources with the largest shares. What comes of it is the same.

    Args:
        reader: used in the workers.
        settings: of the workers, at least one; `prefetch_factor` is how many chunks each reads ahead.
        timeout: seconds to wait for one.
    """

    def __init__(self, reader: ChunkReader, settings: LoaderSettings, timeout: float) -> None:
        self._asked = _Asked()
        self._workers = Workers(reader, self._asked, settings, ahead=settings.prefetch_factor, timeout=timeout)
        self._chunks: Iterator[Chunk] | None = None

    def serve(self, leaves: Mapping[PositionLeaf, float]) -> None:
        """Read for these from now on, in proportion to their shares."""
        self._asked.leaves = {leaf.index: (leaf, share) for leaf, share in leaves.items()}

    def fill(self, leaf: PositionLeaf) -> None:
        while leaf.hungry:
            chunk = next(self._running(), None)
            if chunk is None:  # what was asked for when the sources were through has come; now there is more
                self._chunks = None
                chunk = next(self._running(), None)
                if chunk is None:
                    raise LoaderError(
                        "The workers of the mixture have nothing more to read, and documents are missing."
                    )
            self._asked.leaves[chunk.leaf][0].deliver(chunk)

    def close(self) -> None:
        """End the workers; the next document starts new ones."""
        self._chunks = None
        self._workers.end()

    def _running(self) -> Iterator[Chunk]:
        if self._chunks is None:
            self._chunks = iter(self._workers)
        return self._chunks


class _Asked:
    """The batch sampler: what is to be read next. Does not know the DataLoader, so that workers end in good order."""

    def __init__(self) -> None:
        self.leaves: dict[int, tuple[PositionLeaf, float]] = {}

    def __iter__(self) -> Iterator[LeafRequest]:
        while (request := self._next()) is not None:
            yield request

    def _next(self) -> LeafRequest | None:
        by_need = sorted(self.leaves.values(), key=lambda one: one[0].outstanding / one[1])
        return next((request for leaf, _ in by_need if (request := leaf.request()) is not None), None)
