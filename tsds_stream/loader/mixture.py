"""Several data sets as one, each with its share of what is served."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from math import isfinite
from typing import Any, Final, Literal

from torch.utils.data import IterableDataset

from tsds_stream.loader.ahead import Ahead, Chunks
from tsds_stream.loader.composite import Composite
from tsds_stream.loader.dataset import SelectedDataset, place_among_ranks
from tsds_stream.loader.leaves import IterableLeaf, Leaf, Part, PositionLeaf
from tsds_stream.loader.order import Ordering
from tsds_stream.loader.proportions import Proportions
from tsds_stream.loader.reading import LoaderError
from tsds_stream.loader.sharding import Shard
from tsds_stream.loader.sources import (
    NO_REVISION,
    ChunkReader,
    MapSource,
    Preparation,
    Prepared,
    Source,
)
from tsds_stream.loader.tokenizing import Measure, Tokenized, Tokenizer
from tsds_stream.records import Json

Unit = Literal["tokens", "documents"]
Exhausted = Literal["stop", "repeat", "drop"]
UNITS: Final = ("tokens", "documents")
EXHAUSTED: Final = ("stop", "repeat", "drop")


class Mixture(Composite):
    """The documents of several data sets, mixed so evenly that every share is met at every moment.

    The sequence is a function of the data sets and the seed. After every document, each source has had its share of
    what was served, but for less than one document (the longest, where shares are of tokens). On several ranks, each
    mixes its own part of every source. A document is a dictionary with `id` and `served: {source, revision, epoch,
    place}`; texts become `{"id": "17", "text": …}`.

    Serve it through `SelectedLoader`, whose workers read for all sources; or, each worker with a mixture of its own, in
    a `DataLoader` or torchdata's `StatefulDataLoader`.

    Args:
        sources: name -> (data set, share). A `SelectedDataset` has its own order, and is followed as it says: with
            `step:N`, steps are those of the loader. Other data sets with `len()` and `[i]` are shuffled in every epoch
            and divided among ranks. Those that can only be iterated over have to give this rank's part themselves; they
            are read in the main process, and resumed by their own `state_dict` and `load_state_dict`, as exactly as
            those do it, or else by reading again what was taken.
        unit: what shares are of, `tokens` or `documents`.
        seed: decides between sources that are equally due, and orders map-style data sets.
        count: with `tokens`, their number in a document: the field that has it, a tokenizer, or a function of the
            document; a `Tokenized` adds `input_ids`. By default documents have `input_ids`, which `Packed` adds.
        exhausted: what happens at the end of a source: `stop` ends the mixture, `repeat` begins the next epoch of the
            source, `drop` lets the others share without it. One for all, or by name. A `SelectedDataset` that repeats
            never ends.
        rank, world_size: by default those of the selections, or of torch.distributed.

    Raises:
        ValueError, TypeError: a setting, or a data set, is not one.
        LoaderError: a source is empty, or cannot be divided among the ranks.
    """

    def __init__(
        self,
        sources: Mapping[str, tuple[Any, float]],
        unit: Unit = "tokens",
        seed: int = 0,
        *,
        count: str | Tokenizer | Tokenized | Callable[[Json], int] | None = None,
        exhausted: Exhausted | Mapping[str, Exhausted] = "stop",
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__()
        if unit not in UNITS:
            raise ValueError(f"unit is {' or '.join(UNITS)}, not {unit!r}")
        if not sources:
            raise ValueError("a mixture has at least one source: name -> (data set, share)")
        self.names = list(sources)
        self.datasets = {name: _usable(name, *_pair(name, pair)) for name, pair in sources.items()}
        self.shares = [float(share) for _, share in sources.values()]
        self.unit, self.seed, self.count = unit, seed, count
        self.selections: dict[str, SelectedDataset] = {
            name: dataset for name, dataset in self.datasets.items() if isinstance(dataset, SelectedDataset)
        }
        self.exhausted = _by_name(self.names, exhausted)
        self.shard = self._shard(rank, world_size)
        self._sources: list[Source | None] = [self._source(name) for name in self.names]

    @property
    def mixture(self) -> Mixture:
        return self

    @property
    def configuration(self) -> Json:
        return {
            "sources": self.names,
            "shares": self.shares,
            "unit": self.unit,
            "seed": self.seed,
            "exhausted": [self.exhausted[name] for name in self.names],
            "order": [self._ordering_as_json(name) for name in self.names],
            "rank": self.shard.rank,
            "world_size": self.shard.world_size,
        }

    def repeats(self, name: str) -> bool:
        """Whether a source begins anew where it ends."""
        return self.exhausted[name] == "repeat" or (name in self.selections and self.selections[name].repeat)

    @property
    def ends(self) -> bool:
        """Whether the mixture comes to an end."""
        if any(self.exhausted[name] == "stop" and not self.repeats(name) for name in self.names):
            return True
        return not any(self.repeats(name) for name in self.names)

    @property
    def all_alike(self) -> bool:
        """Whether every rank takes as many documents, from the same sources, in the same order."""
        return self.unit == "documents" and all(source is not None for source in self._sources)

    def reader(self, tokenized: Tokenized | None = None) -> ChunkReader:
        count = self.count
        if isinstance(count, Tokenized):
            tokenized, count = tokenized or count, None
        measure = Measure(count) if self.unit == "tokens" else None
        return ChunkReader(self.names, self._sources, Preparation(tokenized, measure))

    def stream(self, chunks: Chunks, reader: ChunkReader, worker: int = 0, workers: int = 1) -> MixtureStream:
        leaves: dict[str, Leaf] = {}
        for index, (name, source) in enumerate(zip(self.names, self._sources, strict=True)):
            dataset, repeat = self.datasets[name], self.repeats(name)
            if source is None:
                leaves[name] = IterableLeaf(name, dataset, reader.prepare, self.epoch, repeat=repeat)
                continue
            shard = dataset.shard if isinstance(dataset, SelectedDataset) else self.shard
            leaves[name] = PositionLeaf(
                index,
                name,
                source,
                Part(self._ordering(name), shard, worker, workers),
                dataset.revision if isinstance(dataset, SelectedDataset) else NO_REVISION,
                dataset.epoch if isinstance(dataset, SelectedDataset) else self.epoch,
                repeat=repeat,
            )
        if isinstance(chunks, Ahead):
            ahead = dict(zip(leaves.values(), self.shares, strict=True))
            chunks.serve({leaf: share for leaf, share in ahead.items() if isinstance(leaf, PositionLeaf)})
        return MixtureStream(self, leaves, chunks)

    def collate(self, samples: list[Any]) -> Any:
        return samples

    def provenance(self, sample: Any) -> list[Json]:
        return [sample]

    def as_json(self, state: Json) -> Json:
        return state

    def _ordering(self, name: str) -> Ordering:
        dataset = self.selections.get(name)
        return Ordering(self.seed) if dataset is None else dataset.ordering

    def _ordering_as_json(self, name: str) -> Json | None:
        ordering = self._ordering(name)
        return {"seed": ordering.seed, "shuffle": ordering.shuffle, "sampling": ordering.sampling}

    def _shard(self, rank: int | None, world_size: int | None) -> Shard:
        places = {name: (one.shard.rank, one.shard.world_size) for name, one in self.selections.items()}
        if rank is None and world_size is None and places:
            rank, world_size = next(iter(places.values()))
        found = place_among_ranks(rank, world_size)
        for name, place in places.items():
            if place != found:
                raise ValueError(
                    f"source {name!r} is of rank {place[0]} of {place[1]}, and the mixture of rank {found[0]} of "
                    f"{found[1]}: make all of them with the same rank and world_size"
                )
        return Shard(*found)

    def _source(self, name: str) -> Source | None:
        dataset = self.datasets[name]
        if isinstance(dataset, SelectedDataset):
            return dataset.reader
        if not _by_position(dataset):
            return None
        n, needed = len(dataset), self.shard.world_size
        if n < needed:
            have = f"has {n} documents, fewer than there are ranks ({needed})" if n else "is empty"
            raise LoaderError(f"Source {name!r} {have}: there is nothing to mix. Leave it out, or give it documents.")
        return MapSource(name, dataset)


class MixtureStream:
    """The documents of a mixture, one after the other."""

    def __init__(self, mixture: Mixture, leaves: dict[str, Leaf], chunks: Chunks) -> None:
        self.leaves, self._mixture = leaves, mixture
        self._order, self._fill = list(leaves.values()), chunks.fill
        self._drops = [mixture.exhausted[name] == "drop" for name in mixture.names]
        self._proportions = Proportions(mixture.names, mixture.shares, mixture.seed)
        self._ended = False

    def take(self) -> Json | None:
        found = self.draw()
        return None if found is None else found.document

    def draw(self) -> Prepared | None:
        """The next document with what is known of it, or None at the end."""
        while not self._ended:
            due = self._proportions.next()
            if due is None:
                break
            found = self._order[due].take(self._fill)
            if found is not None:
                self._proportions.add(due, found.size)
                return found
            if not self._drops[due]:
                break
            self._proportions.leave_out(due)
        self._ended = True
        return None

    @property
    def through(self) -> list[str]:
        """The sources that have come to their end."""
        return [name for name, leaf in self.leaves.items() if leaf.through and not self._mixture.repeats(name)]

    def begin(self, through: Collection[str]) -> None:
        for name in through:
            self.leaves[name].renew()
        self._proportions.begin()
        self._ended = False

    def state(self) -> Json:
        shares = self._proportions
        return {
            "leaves": {name: leaf.state() for name, leaf in self.leaves.items()},
            "served": list(shares.served),
            "largest": shares.largest,
            "left_out": list(shares.left_out),
            "ended": self._ended,
        }

    def restore(self, state: Json) -> None:
        for name, leaf in self.leaves.items():
            leaf.restore(state["leaves"][name])
        self._proportions.restore(state["served"], int(state["largest"]), state["left_out"])
        self._ended = bool(state["ended"])


def _pair(name: str, pair: object) -> tuple[Any, Any]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"source {name!r} is a pair of a data set and its share, not a {type(pair).__name__}")
    return pair[0], pair[1]


def _usable(name: str, dataset: Any, share: Any) -> Any:
    if not isinstance(share, int | float) or not isfinite(share) or not share > 0:
        raise ValueError(f"the share of {name!r} is a number above 0, not {share!r}")
    if isinstance(dataset, Composite):
        raise TypeError(f"source {name!r} is a {type(dataset).__name__}: mix its data sets, with shares multiplied")
    if isinstance(dataset, SelectedDataset) or _by_position(dataset):
        return dataset
    if not isinstance(dataset, Iterable) or isinstance(dataset, Iterator | str):
        what = "can be read only once" if isinstance(dataset, Iterator) else "is no data set"
        raise TypeError(
            f"source {name!r} {what}: a {type(dataset).__name__}. Give a data set with len() and [i], or one that can "
            "be iterated over again"
        )
    return dataset


def _by_position(dataset: Any) -> bool:
    return (
        hasattr(dataset, "__getitem__")
        and hasattr(dataset, "__len__")
        and not isinstance(dataset, IterableDataset | Mapping | str)
    )


def _by_name(names: list[str], exhausted: Exhausted | Mapping[str, Exhausted]) -> dict[str, Exhausted]:
    if isinstance(exhausted, str):
        exhausted = dict.fromkeys(names, exhausted)
    for name, one in exhausted.items():
        if one not in EXHAUSTED:
            raise ValueError(f"exhausted is {', '.join(EXHAUSTED)}, not {one!r}")
        if name not in names:
            raise ValueError(f"exhausted names {name!r}, which is no source; there are {', '.join(map(repr, names))}")
    return {name: exhausted.get(name, "stop") for name in names}
