"""The loader of a training: serves batches, and tells at any moment where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tsds_stream.loader.composite import Composite
from tsds_stream.loader.composite_loader import CompositeLoader
from tsds_stream.loader.dataset import SelectedDataset
from tsds_stream.loader.revision_loader import RevisionLoader
from tsds_stream.loader.served_log import ServedLog
from tsds_stream.loader.served_writer import ServedWriter
from tsds_stream.loader.sharding import Shard
from tsds_stream.loader.workers import Collate, LoaderSettings
from tsds_stream.records import Json

WEEK: Final = 7 * 86_400.0


class SelectedLoader:
    """Serves batches of a `SelectedDataset`, a `Mixture` or a `Packed`, and tells at any moment where it stands.

    `for batch in loader` is one epoch, or never ends when the data set repeats. A batch is a list of documents as
    dictionaries, or what `collate_fn` makes of one; of a `Packed`, a dictionary of tensors. Documents carry
    `served: {revision, epoch, place}`. `state_dict()` tells where the last batch that was *yielded* ends, at hardly any
    cost. A state goes on at the next batch with any number of workers, and, of a `SelectedDataset`, with any number of
    ranks if the documents per step of all of them stay as many; of the others, every rank has a state of its own.
    Iterating again goes on, too: after an early `break` with the next batch, after the end with the next epoch.

    Args:
        dataset: what to serve, in which order, to which rank.
        batch_size: documents, or packed sequences, per batch of this rank.
        num_workers: processes that read ahead and call `collate_fn`; 0 does all that in this one. Without a
            `collate_fn` they bring documents into memory, and this process decodes them: to send them takes longer.
        collate_fn: called with the list of documents, in the worker, and can be pickled where workers are spawned; with
            that of a mixture, or of packed sequences, in this process.
        drop_last: leave out the end of an epoch that does not fill a batch on every rank.
        prefetch_factor: batches that each worker reads ahead.
        pin_memory, multiprocessing_context, worker_init_fn: as of torch's `DataLoader`.
        served: a directory where it is noted what is yielded, for `tsds-stream served`; the same for all ranks, and
            for a run that goes on. Or another `ServedLog`.
        checkpoint_lease: seconds that the revisions in a state are kept from being deleted, from when it was taken.

    Raises:
        ValueError: a setting is not one.
        LoaderError: ranks that have no means to agree follow a selection, or would end at different steps; or the
            served log has a writer, or cannot be written.
    """

    def __init__(
        self,
        dataset: SelectedDataset | Composite,
        batch_size: int = 32,
        num_workers: int = 0,
        *,
        collate_fn: Collate | None = None,
        drop_last: bool = False,
        prefetch_factor: int = 2,
        pin_memory: bool = False,
        multiprocessing_context: Any = None,
        worker_init_fn: Callable[[int], None] | None = None,
        served: str | Path | ServedLog | None = None,
        checkpoint_lease: float = WEEK,
    ) -> None:
        if not isinstance(dataset, SelectedDataset | Composite):
            raise ValueError(
                f"dataset is a SelectedDataset, Mixture or Packed, not {type(dataset).__name__}. For a selection, give "
                "SelectedDataset(PATH); for other data, a Mixture with it."
            )
        settings = LoaderSettings(
            batch_size,
            num_workers,
            collate_fn,
            drop_last,
            prefetch_factor,
            pin_memory,
            multiprocessing_context,
            worker_init_fn,
            _log_of(served, dataset.mixture.shard if isinstance(dataset, Composite) else dataset.shard),
            checkpoint_lease,
        )
        self._serving: CompositeLoader | RevisionLoader
        if isinstance(dataset, Composite):
            self._serving = CompositeLoader(dataset, settings)
        else:
            self._serving = RevisionLoader(dataset, settings)

    @property
    def epoch(self) -> int:
        """How many orders were begun before the one that is being served; of a mixture, how often it has ended."""
        return self._serving.cursor.epoch

    @property
    def step(self) -> int:
        """How many batches were yielded since the beginning of the run, over all restarts."""
        return self._serving.cursor.step

    @property
    def revision(self) -> int:
        """The number of the revision that is being served; of a mixture, that of its first selection."""
        return self._serving.cursor.revision

    def __len__(self) -> int:
        """How many batches there are left in this epoch, if no other revision is taken up.

        Raises:
            TypeError: that is not known, as of a mixture, or of a data set that repeats.
        """
        return len(self._serving)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._serving)

    def state_dict(self) -> Json:
        """Where the last batch that was yielded ends: plain numbers and short texts, for JSON or a torch checkpoint."""
        return self._serving.state_dict()

    def load_state_dict(self, state: Json) -> None:
        """Go on where a state was taken; the next iteration begins there, and one that is running ends with an error.

        Raises:
            LoaderError: the state is of another dataset, or of ranks whose batches have another size together; or its
                revision is gone, or damaged.
        """
        self._serving.load_state_dict(state)

    def advance(self) -> int:
        """Take up the newest revision with the next batch; all ranks call this after the same step.

        Returns:
            The number of the revision that is served from now on.
        """
        return self._serving.advance()

    def close(self) -> None:
        """End the workers and let go of the served log; iterating again starts new ones, and goes on with it."""
        self._serving.close()


def _log_of(served: str | Path | ServedLog | None, shard: Shard) -> ServedLog | None:
    return ServedWriter(served, shard.rank, shard.world_size) if isinstance(served, str | Path) else served
