"""Batches of a `Mixture` or `Packed`: composed in the main process, out of documents that workers read ahead."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from torch import Tensor, cuda

from tsds_stream.loader.ahead import Ahead, Chunks, Direct
from tsds_stream.loader.composite import Composite, restore
from tsds_stream.loader.dataset import TIMEOUT
from tsds_stream.loader.distributed import default_coordination
from tsds_stream.loader.fetching import SERVED
from tsds_stream.loader.following import Alone, check_agreement, opened
from tsds_stream.loader.leaves import PositionLeaf
from tsds_stream.loader.reading import LoaderError
from tsds_stream.loader.state import Cursor
from tsds_stream.loader.workers import LoaderSettings
from tsds_stream.records import Json

_WORKER: Final = (0, 1)  # of this rank, composes


class CompositeLoader:
    """What `SelectedLoader` is for data sets that are composed of others; its arguments are described there.

    Nothing that is composed is ahead of what was yielded, only documents that were read. So a state is of a few numbers
    for each source and, when packing, of the tokens that are left over; and revisions are taken up at the very step.
    """

    def __init__(self, dataset: Composite, settings: LoaderSettings) -> None:
        self._dataset, self._batch_size, self._drop_last = dataset, settings.batch_size, settings.drop_last
        self._collate, self._pin = settings.collate_fn or dataset.collate, settings.pin_memory and cuda.is_available()
        self._served, self._lease = settings.served, settings.checkpoint_lease
        self._selections = dataset.mixture.selections
        timeout = min([one.timeout for one in self._selections.values()], default=TIMEOUT)
        ranks = dataset.mixture.shard.world_size
        first = next(iter(self._selections.values()), None)
        self._coordination = default_coordination(ranks, timeout) if first is None else first.coordination
        self._check_ranks(ranks)
        reader = dataset.reader()
        self._ahead = Ahead(reader, settings, timeout) if settings.num_workers else None
        chunks: Chunks = self._ahead or Direct(reader)
        self._stream = dataset.stream(chunks, reader)
        self._leaves = {name: leaf for name, leaf in self._stream.leaves.items() if isinstance(leaf, PositionLeaf)}
        for name, one in self._selections.items():
            if one.following.policy == "epoch":
                self._leaves[name].newest = partial(one.decide, 0)
        self._compare = ranks > 1 and dataset.mixture.ends and not self._all_alike
        self._run = uuid.uuid4().hex[:12]
        self._held: dict[tuple[str, int], float] = {}
        self._turn, self._step, self._epoch = 0, 0, 0
        self._ahead_of_state = False  # an error came while a batch was composed, or the workers were ended
        self._through: list[str] = []  # sources that have come to their end on a rank
        self._state = self._stream.state()

    @property
    def cursor(self) -> Cursor:
        """Steps and rounds of the loader; the revision of the first selection, 0 where there is none."""
        first = next(iter(self._selections), None)
        return Cursor(0 if first is None else self._leaves[first].revision, self._epoch, 0, self._step)

    def __len__(self) -> int:
        raise TypeError(f"a loader of a {type(self._dataset).__name__} has no length")

    def __iter__(self) -> Iterator[Any]:
        self._turn += 1
        if self._dataset.mixture.shard.world_size > 1:
            facts = {name: value for name, value in self._dataset.configuration.items() if name != "rank"}
            followed = {name: str(one.following) for name, one in self._selections.items()}
            mine = {"batch_size": self._batch_size, "step": self._step, "epoch": self._epoch, "follow": followed}
            check_agreement(self._coordination.gather({**facts, **mine}))
        self._go_back()
        if self._served is not None:
            self._served.begin(self._step)
        return self._yielded(self._turn)

    def state_dict(self) -> Json:
        if self._served is not None:
            self._served.sync()
        for name in self._selections:
            self._hold(name, self._state["leaves"][name]["revision"])
        place = {"step": self._step, "round": self._epoch, "run": self._run, "batch_size": self._batch_size}
        return {**self._dataset.marked(self._state, _WORKER), **place}

    def load_state_dict(self, state: Json) -> None:
        self._dataset.check(state)
        try:
            step, epoch, run = int(state["step"]), int(state["round"]), str(state["run"])
            size = int(state["batch_size"])
        except (KeyError, TypeError, ValueError) as error:
            raise LoaderError(
                f"This is not the state of a SelectedLoader over a {type(self._dataset).__name__}: "
                f"{type(error).__name__}: {error}."
            ) from None
        if size != self._batch_size:
            raise LoaderError(f"The state is of batches of {size}, and these are of {self._batch_size}. Make them so.")
        self._turn += 1
        restore(self._stream, state)
        self._ahead_of_state = False
        self._step, self._epoch, self._run, self._held = step, epoch, run, {}
        self._state = self._stream.state()

    def advance(self) -> int:
        self._go_back()
        for name, one in self._selections.items():
            self._change(name, one.decide(self._step))
        self._state = self._stream.state()
        return self.cursor.revision

    def close(self) -> None:
        self._turn, self._ahead_of_state = self._turn + 1, True
        if self._ahead is not None:
            self._ahead.close()
        if self._served is not None:
            self._served.close()

    def _yielded(self, turn: int) -> Iterator[Any]:
        while True:
            if turn != self._turn:
                raise LoaderError("Another iteration of this loader was begun, or a state loaded: this one has ended.")
            try:
                samples = self._samples()
                if samples is None:
                    break
                batch, state = self._collate(samples), self._stream.state()
                if self._served is not None:
                    self._note(samples)
            except BaseException:
                self.close()
                raise
            self._state, self._step = state, self._step + 1
            yield _pinned(batch) if self._pin else batch
        self._stream.begin(self._through)
        self._epoch, self._state = self._epoch + 1, self._stream.state()

    def _samples(self) -> list[Any] | None:
        """The next batch, or None at the end."""
        for name, one in self._selections.items():
            one.staleness.check()
            if one.following.policy == "step" and one.following.asks(self._step, 0):
                self._change(name, one.decide(self._step))
        samples: list[Any] = []
        while len(samples) < self._batch_size and (sample := self._stream.take()) is not None:
            samples.append(sample)
        whole = bool(samples) and (len(samples) == self._batch_size or not self._drop_last)
        if self._compare:  # the ranks end together, with the first
            everybody = self._coordination.gather({"whole": whole, "through": self._stream.through})
            whole = all(one["whole"] for one in everybody)
            self._through = sorted({name for one in everybody for name in one["through"]})
        else:
            self._through = self._stream.through
        return samples if whole else None

    def _go_back(self) -> None:
        """To where the last batch that was yielded ends."""
        if self._ahead_of_state:
            restore(self._stream, self._dataset.as_json(self._state))
            self._ahead_of_state = False

    def _change(self, name: str, revision: int) -> None:
        leaf, dataset = self._leaves[name], self._selections[name]
        if revision > leaf.revision:
            opened(dataset.archive, revision, dataset.timeout)
            leaf.change(revision)
            dataset.reader.let_go(revision)

    def _note(self, samples: list[Any]) -> None:
        assert self._served is not None
        now, by_source = time.time_ns() // 1_000_000, dict[tuple[str, int, int], list[str]]()
        for sample in samples:
            for document in self._dataset.provenance(sample):
                served = document[SERVED]
                key = served["source"], served["revision"], served["epoch"]
                by_source.setdefault(key, []).append(document["id"])
        if not by_source:  # no document begins in this step; without a record, the step would be missing
            self._served.write(self._step, now, "", 0, 0, [])
        for (source, revision, epoch), ids in by_source.items():
            self._served.write(self._step, now, source, revision, epoch, ids)

    def _hold(self, name: str, number: int) -> None:
        """Keep what a checkpoint needs, if that was not done a short while ago."""
        now, dataset = time.monotonic(), self._selections[name]
        if dataset.shard.rank == 0 and self._held.get((name, number), -1.0) < now:
            dataset.archive.hold(number, f"checkpoint-{self._run}", self._lease)
            self._held[name, number] = now + min(self._lease / 10, 3600.0)

    @property
    def _all_alike(self) -> bool:
        return self._dataset is self._dataset.mixture and self._dataset.mixture.all_alike

    def _check_ranks(self, ranks: int) -> None:
        """Raise `LoaderError` where ranks cannot agree on what they have to."""
        for name, one in self._selections.items():
            one.check_following()
            if ranks > 1 and one.following.policy == "epoch":
                raise LoaderError(
                    f"On {ranks} ranks the epochs of {name!r} end at different steps, so they cannot take up a newer "
                    "revision there together: use follow='step:N', or 'pin' with advance()."
                )
        if ranks > 1 and isinstance(self._coordination, Alone) and self._dataset.mixture.ends and not self._all_alike:
            raise LoaderError(
                f"{ranks} ranks would end at different steps: call torch.distributed.init_process_group first, so that "
                "they can agree on the end, or let every source repeat (exhausted='repeat')."
            )


def _pinned(batch: Any) -> Any:
    if isinstance(batch, Tensor):
        return batch.pin_memory()
    return {name: _pinned(one) for name, one in batch.items()} if isinstance(batch, dict) else batch
