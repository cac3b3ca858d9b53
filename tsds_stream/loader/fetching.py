"""Reads the documents of a batch, in the main process or in a worker of a DataLoader."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from tsds_stream.loader.orphans import end_with_parent
from tsds_stream.loader.reading import Archive, KeptDocuments, LoaderError
from tsds_stream.records import Json

SERVED: Final = "served"  # field of a served document: under which revision, in which epoch, from which place
_NO_TEXT: Final = (
    "Document {!r} of revision {} has no text: where a selection is published with payload = 'reference', its records "
    "only say where the documents are. Publish it with payload = 'text', or fetch the texts by `source` in collate_fn."
)
_AT_HAND: Final = 2  # revisions that stay open: while one gives way to the next, batches come from both


# Plain tuples are what costs least between processes.
Request = tuple[int, int, list[int]]  # a batch to be read: revision, epoch, places
Message = tuple[int, int, bytes]  # the same, with the places as int64
Fetched = tuple[list[str], Any]  # a batch that was read: its ids, if they are wanted, and what `collate` made of it


@dataclass(frozen=True, slots=True)
class Failed:
    """A batch that could not be read. As a value, what a worker says arrives as it was said."""

    error: LoaderError


class Reader:
    """Reads documents by revision and place. Each process opens the revisions for itself."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._in_worker = False
        self._open: dict[int, KeptDocuments] = {}

    def __getstate__(self) -> dict[str, object]:
        return {"_archive": self._archive, "_in_worker": False, "_open": {}}

    def documents(self, number: int) -> KeptDocuments:
        """A revision; the last few stay open."""
        if not self._in_worker and get_worker_info() is not None:
            end_with_parent()
            # A forked worker has the archive of its parent, with threads that are not here: what is sent to a worker
            # that is spawned serves as well.
            self._archive, self._open, self._in_worker = pickle.loads(pickle.dumps(self._archive)), {}, True  # noqa: S301
        documents = self._open.get(number)
        if documents is None:
            while len(self._open) >= _AT_HAND:
                del self._open[min(self._open)]
            documents = self._open[number] = self._archive.at(number)
        return documents

    def let_go(self, before: int) -> None:
        """Close revisions with a lower number, so that nothing of this process keeps them from being deleted."""
        for number in [number for number in self._open if number < before]:
            del self._open[number]

    def read(self, request: Request) -> list[Json]:
        """The documents of a batch, with what tells where they come from."""
        revision, epoch, places = request
        return self.read_at(revision, epoch, np.array(places, np.int64))

    def read_at(self, revision: int, epoch: int, places: NDArray[np.int64]) -> list[Json]:
        """The documents at (k,) places, as `read`."""
        documents = self.documents(revision).read(places)
        for place, document in zip(places.tolist(), documents, strict=True):
            document[SERVED] = {"revision": revision, "epoch": epoch, "place": place}
        return documents


class Fetcher:
    """What a DataLoader takes for its data set: asked for several batches, it gives the batches.

    Documents that nothing is made of in a worker do not come from there: to send them takes longer than to decode them.
    A worker sees to it that they are in memory and gives None, and the main process fetches the batch itself.

    Args:
        reader: of documents.
        collate: makes of a list of documents what is to be yielded.
        ids: whether anybody wants to know them.
    """

    def __init__(self, reader: Reader, collate: Callable[[list[Json]], Any] | None, ids: bool = True) -> None:
        self._reader, self._collate, self._ids = reader, collate, ids

    def __getitems__(self, requests: list[Message]) -> list[Fetched | Failed | None]:
        if self._collate is None and get_worker_info() is not None:
            return [self._touch(request) for request in requests]
        return [self.fetch(request) for request in requests]

    def _touch(self, request: Message) -> Fetched | Failed | None:
        revision, _, places = request
        try:
            documents = self._reader.documents(revision)
            if not documents.stays_open:
                return self.fetch(request)  # files are opened again and again: better by several processes
            documents.touch(np.frombuffer(places, np.int64))
        except LoaderError as error:
            return Failed(error)
        return None

    def fetch(self, request: Message) -> Fetched | Failed:
        """One batch."""
        revision, epoch, places = request
        documents: list[Json] = []
        try:
            documents = self._reader.read_at(revision, epoch, np.frombuffer(places, np.int64))
            ids = [document["id"] for document in documents] if self._ids else []
            return ids, documents if self._collate is None else self._collate(documents)
        except LoaderError as error:
            return Failed(error)
        except KeyError as error:
            without = next((one for one in documents if "text" not in one), None)
            if error.args != ("text",) or without is None:
                raise
            return Failed(LoaderError(_NO_TEXT.format(without["id"], revision)))
