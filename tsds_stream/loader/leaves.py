"""Where each source of a mixture stands: what was taken from it, and what is asked for next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tsds_stream.loader.fetching import SERVED
from tsds_stream.loader.order import Ordering
from tsds_stream.loader.reading import Documents, LoaderError
from tsds_stream.loader.sharding import Shard
from tsds_stream.loader.share import Share
from tsds_stream.loader.sources import (
    NO_REVISION,
    Chunk,
    LeafRequest,
    Preparation,
    Prepared,
    Source,
    as_document,
)
from tsds_stream.loader.state import check_digest, digest_of_order
from tsds_stream.records import Json

_CHUNK: Final = 32  # documents that are read at a time


Fill = Callable[["PositionLeaf"], None]  # brings what a leaf asks for, until it is not hungry any more


class Leaf(Protocol):
    """One source of a mixture, in its order."""

    def take(self, fill: Fill, /) -> Prepared | None:
        """The next document, or None at the end of an epoch of a source that does not repeat."""

    @property
    def through(self) -> bool:
        """Whether the epoch has ended."""

    def renew(self) -> None:
        """Begin the next epoch."""

    def state(self) -> Json:
        """Where the last document that was taken ends."""

    def restore(self, state: Json) -> None:
        """Raises `LoaderError`, KeyError, TypeError or ValueError where the state does not suit."""


@dataclass(frozen=True, slots=True)
class Part:
    """What of a source is served here, in which order."""

    ordering: Ordering
    shard: Shard
    worker: int = 0
    workers: int = 1


class PositionLeaf:
    """A source that is read by position.

    Args:
        index: among the sources of the mixture.
        name: of the source.
        source: reads it.
        part: of it, and its order.
        repeat: begin the next epoch where one ends.
        newest: as the attribute.

    Attributes:
        newest: asked for the revision of an epoch before it begins; None: it is that of the one before.
        outstanding: documents that were asked for and not taken.
    """

    def __init__(
        self,
        index: int,
        name: str,
        source: Source,
        part: Part,
        revision: int,
        epoch: int,
        *,
        repeat: bool,
        newest: Callable[[], int] | None = None,
    ) -> None:
        self.index, self.outstanding = index, 0
        self._name, self._source, self._part, self._repeat = name, source, part, repeat
        self.newest = newest
        self._waiting: deque[Prepared | LoaderError] = deque()
        self._turn = 0  # what was asked for in an earlier one has been given up
        self._documents: Documents
        self._asked: Share
        self._epoch: int
        self._position: int  # documents that were taken, of this epoch
        self._all_empty: bool
        self._stand(revision, epoch, 0)

    @property
    def revision(self) -> int:
        return self._asked.revision

    @property
    def hungry(self) -> bool:
        """Whether nothing is here that could be taken."""
        return not self._waiting

    @property
    def through(self) -> bool:
        """Whether the epoch has ended."""
        return self._position == self._asked.length

    def take(self, fill: Fill, /) -> Prepared | None:
        if self.through:
            if not self._repeat:
                return None
            self.renew()
        if not self._waiting:
            fill(self)
        found = self._waiting[0]
        if isinstance(found, LoaderError):
            raise found
        self._waiting.popleft()
        self.outstanding -= 1
        self._position += 1
        self._all_empty = self._all_empty and found.empty
        return found

    def renew(self) -> None:
        if self._all_empty and self._repeat:
            raise LoaderError(
                f"Source {self._name!r} has no tokens: all documents of an epoch are empty. Leave it out."
            )
        if self._repeat and self.newest is None:
            self._epoch, self._position, self._all_empty = self._epoch + 1, 0, True
        else:
            revision = self._asked.revision
            self._stand(revision if self.newest is None else max(self.newest(), revision), self._epoch + 1, 0)

    def change(self, revision: int) -> None:
        """Go over to a newer revision with the next document."""
        if revision > self.revision:
            self._stand(revision, self._epoch + (self._position > 0), 0)

    def request(self) -> LeafRequest | None:
        """What is to be read next; None where that is not known yet, or nothing."""
        asked = self._asked
        if asked.position == asked.length:
            if not self._repeat or self.newest is not None:
                return None
            asked = self._asked = asked.next_epoch(self._documents)
        places = asked.places(asked.position, min(_CHUNK, asked.length - asked.position))
        asked.position += len(places)
        self.outstanding += len(places)
        return LeafRequest(self.index, self._turn, asked.revision, asked.epoch, places.tolist())

    def deliver(self, chunk: Chunk) -> None:
        """What was asked for."""
        if chunk.turn == self._turn:
            self._waiting.extend(chunk.found)

    def state(self) -> Json:
        digest = digest_of_order(self._documents, self._part.ordering)
        return {"revision": self.revision, "epoch": self._epoch, "position": self._position, "digest": digest}

    def restore(self, state: Json) -> None:
        revision, epoch, position = int(state["revision"]), int(state["epoch"]), int(state["position"])
        check_digest(str(state["digest"]), self._source.documents(revision), self._part.ordering)
        self._stand(revision, epoch, position)

    def _stand(self, revision: int, epoch: int, position: int) -> None:
        part = self._part
        self._documents = self._source.documents(revision)  # in use, so that it is not deleted
        self._asked = Share(self._documents, epoch, part.ordering, part.shard, part.worker, part.workers, position)
        self._epoch, self._position, self._all_empty = epoch, position, not position
        self._waiting.clear()
        self._turn, self.outstanding = self._turn + 1, 0


class IterableLeaf:
    """A source that can only be iterated over, in this process.

    It is resumed by its own `state_dict` and `load_state_dict`, or else by leaving out as many items as were taken. An
    epoch begins with `set_epoch`, where it has that.

    Args:
        name: of the source.
        dataset: the iterable.
        prepare: done with each document.
        repeat: begin the next epoch where one ends.

    Attributes:
        through: whether the epoch has ended.
    """

    def __init__(self, name: str, dataset: Any, prepare: Preparation, epoch: int, *, repeat: bool) -> None:
        self._name, self._dataset, self._prepare, self._repeat = name, dataset, prepare, repeat
        self._stateful = hasattr(dataset, "state_dict") and hasattr(dataset, "load_state_dict")
        self._restored: Any = None
        self._all_empty: bool
        self._begin(epoch)

    def take(self, fill: Fill, /) -> Prepared | None:
        while True:
            document = self._next()
            if document is None:
                self.through = True
                if not self._repeat:
                    return None
                self.renew()
                continue
            prepared = self._prepare(document, self._name)
            if isinstance(prepared, LoaderError):
                raise prepared
            self._all_empty = self._all_empty and prepared.empty
            return prepared

    def renew(self) -> None:
        if self._all_empty and self._repeat:
            raise LoaderError(
                f"Source {self._name!r} has nothing to serve: an epoch of it has no documents, or only empty ones. See "
                "that it can be iterated over more than once, or leave it out of the mixture."
            )
        self._begin(self._epoch + 1)

    def state(self) -> Json:
        state: Json = {"epoch": self._epoch, "taken": self._taken, "through": self.through}
        if self._stateful and self._iterator is not None:
            state["own"] = self._dataset.state_dict()
        elif self._restored is not None:
            state["own"] = self._restored
        return state

    def restore(self, state: Json) -> None:
        self._begin(int(state["epoch"]))
        self._taken, self.through, self._restored = int(state["taken"]), bool(state["through"]), state.get("own")
        self._all_empty = not self._taken
        if self._restored is not None and not self._stateful:
            raise LoaderError(
                f"Source {self._name!r} had a state_dict when the state was taken, and has none now. Make the mixture "
                "of the same data sets."
            )

    def _begin(self, epoch: int) -> None:
        self._epoch, self._taken, self.through, self._all_empty = epoch, 0, False, True
        self._iterator: Iterator[Any] | None = None
        self._restored = None

    def _next(self) -> Json | None:
        if self.through:
            return None
        try:
            if self._iterator is None:
                self._iterator = self._opened()
            item = next(self._iterator)
        except StopIteration:
            return None
        except Exception as error:
            raise LoaderError(
                f"Source {self._name!r} failed after {self._taken} items: {type(error).__name__}: {error}."
            ) from error
        document = as_document(item, self._taken, self._name)
        source = {"revision": NO_REVISION, "epoch": self._epoch, "place": self._taken, "source": self._name}
        document[SERVED] = source
        self._taken += 1
        return document

    def _opened(self) -> Iterator[Any]:
        if hasattr(self._dataset, "set_epoch"):
            self._dataset.set_epoch(self._epoch)
        if self._restored is not None:
            self._dataset.load_state_dict(self._restored)
        iterator: Iterator[Any] = iter(self._dataset)
        if self._restored is None:
            for _ in range(self._taken):
                next(iterator)
        return iterator
