"""What a mixture reads by position: selections and other map-style data sets, in the main process or in workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tsds_stream.loader.fetching import SERVED
from tsds_stream.loader.reading import Documents, LoaderError
from tsds_stream.loader.tokenizing import INPUT_IDS, Measure, Tokenized
from tsds_stream.records import Json

MapStyle = Any  # with len() and [i]
NO_REVISION: Final = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that was read.

    Attributes:
        size: what it counts for, of the shares.
        empty: whether it has no tokens, where those are known.
    """

    document: Json
    size: int
    empty: bool


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is done with each document where it is read.

    Attributes:
        tokenized: adds the tokens.
        measure: of the size of a document; None: each counts for one.
    """

    tokenized: Tokenized | None = None
    measure: Measure | None = None

    def __call__(self, document: Json, source: str) -> Prepared | LoaderError:
        """An error comes as a value, to be raised when the document is due: those before it are fine."""
        try:
            if self.tokenized is not None:
                document = self.tokenized(document)
            size = 1 if self.measure is None else self.measure(document)
            return Prepared(document, size, not size or (self.tokenized is not None and not len(document[INPUT_IDS])))
        except LoaderError as error:
            return LoaderError(f"Source {source!r}: {error}")


class Source(Protocol):
    """Revisions by number; can be pickled for a worker. The `Reader` of a selection is one."""

    def documents(self, number: int, /) -> Documents: ...


class MapSource:
    """Any map-style data set, as the only revision, number 0.

    Args:
        name: within the mixture.
        dataset: of dictionaries or texts.
    """

    def __init__(self, name: str, dataset: MapStyle) -> None:
        self._items = Items(name, dataset)

    def documents(self, number: int, /) -> Documents:
        return self._items


class Items:
    """The items of a data set as documents."""

    number = NO_REVISION

    def __init__(self, name: str, dataset: MapStyle) -> None:
        self._name, self._dataset, self._length = name, dataset, len(dataset)
        self.record: Json = {"set": name, "digest": f"{self._length} items of {name}"}

    @property
    def weights(self) -> NDArray[np.float64]:
        return np.ones(self._length)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, i: int, /) -> Json:
        return as_document(self._dataset[i], i, self._name)

    def read(self, places: NDArray[np.int64], /) -> list[Json]:
        return [self[i] for i in places.tolist()]


def as_document(item: Any, place: int, source: str) -> Json:
    """A dictionary with an `id`, which is the place where the item has none. Raises `LoaderError`: it is neither."""
    if isinstance(item, str):
        return {"id": str(place), "text": item}
    if not isinstance(item, Mapping):
        raise LoaderError(
            f"Source {source!r} gives a {type(item).__name__} at {place}; a mixture takes dictionaries, or texts."
        )
    document = dict(item)
    document["id"] = str(document.get("id", place))
    return document


class LeafRequest(NamedTuple):
    """Some documents of one source.

    Attributes:
        leaf: the place of the source among the names.
        turn: of that leaf; what was asked for in an earlier one has been given up.
    """

    leaf: int
    turn: int
    revision: int
    epoch: int
    places: list[int]


class Chunk(NamedTuple):
    """What a request brought."""

    leaf: int
    turn: int
    found: list[Prepared | LoaderError]


class ChunkReader:
    """What a DataLoader takes for its data set, where that is a mixture.

    Args:
        names, sources: by place; None for those that are not read by position.
        prepare: done with each document.
    """

    def __init__(self, names: Sequence[str], sources: Sequence[Source | None], prepare: Preparation) -> None:
        self._names, self._sources, self.prepare = names, sources, prepare

    def __getitems__(self, asked: LeafRequest) -> Chunk:
        source, name = self._sources[asked.leaf], self._names[asked.leaf]
        assert source is not None
        found: list[Prepared | LoaderError] = []
        for place, document in zip(asked.places, self._read(source, name, asked), strict=True):
            if isinstance(document, LoaderError):
                found.append(document)
            else:
                served = {"source": name, "revision": asked.revision, "epoch": asked.epoch, "place": place}
                found.append(self.prepare({**document, SERVED: served}, name))
        return Chunk(asked.leaf, asked.turn, found)

    @staticmethod
    def _read(source: Source, name: str, asked: LeafRequest) -> Sequence[Json | LoaderError]:
        try:
            documents = source.documents(asked.revision)
            return documents.read(np.array(asked.places, np.int64))
        except Exception:  # noqa: BLE001 - which one it is, and what is wrong, is told below
            return [_one(source, name, asked.revision, place) for place in asked.places]


def _one(source: Source, name: str, revision: int, place: int) -> Json | LoaderError:
    try:
        return source.documents(revision)[place]
    except LoaderError as error:
        return error
    except Exception as error:  # noqa: BLE001 - the data set is not ours
        return LoaderError(f"Source {name!r} failed at {place}: {type(error).__name__}: {error}.")
