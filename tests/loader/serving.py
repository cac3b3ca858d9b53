"""Serving batches to the point that a test asks for, and what came out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.patience import PATIENCE

if TYPE_CHECKING:
    from tsds_stream.loader.loader import SelectedLoader

Batch = list[str]


def names(batch: list[dict[str, Any]]) -> Batch:
    """The ids of a batch, as a `collate_fn` that can be sent to a worker."""
    return [document["id"] for document in batch]


def origins(batch: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(document["served"]["revision"], document["id"]) for document in batch]


def loader_of(path: Path, batch_size: int = 4, workers: int = 0, **settings: Any) -> SelectedLoader:
    """A loader of the selection there, with settings of the data set and of the loader mixed."""
    from tsds_stream.loader.dataset import SelectedDataset
    from tsds_stream.loader.loader import SelectedLoader

    own = ("drop_last", "multiprocessing_context", "pin_memory", "served", "collate_fn", "prefetch_factor")
    of_loader = {name: settings.pop(name) for name in own if name in settings}
    dataset = SelectedDataset(settings.pop("archive", path), timeout=PATIENCE, **settings)
    return SelectedLoader(dataset, batch_size, workers, **{"collate_fn": names, **of_loader})


def serve(loader: SelectedLoader, until: int, states: list[dict] | None = None) -> list[Any]:
    """Batches up to a step, over as many epochs as it takes, as a training script would ask for them."""
    out: list[Any] = []
    while loader.step < until:
        for batch in loader:
            out.append(batch)
            if states is not None:
                states.append(loader.state_dict())
            if loader.step >= until:
                break
    return out
