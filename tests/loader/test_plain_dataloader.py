"""The data set in loaders that are not ours: by position, in torch's DataLoader, in torchdata's StatefulDataLoader."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.loader.selections import Selection, ids
from tests.loader.serving import names
from tests.loader.test_sharding import expected
from tests.loader.tools import WORKERS_ARE_FINE, needed

needed("torch")
needed("torchdata")

from torch.utils.data import DataLoader  # noqa: E402
from torchdata.stateful_dataloader import StatefulDataLoader  # noqa: E402

from tsds_stream.loader.dataset import SelectedDataset  # noqa: E402
from tsds_stream.loader.reading import LoaderError  # noqa: E402

pytestmark = [
    *WORKERS_ARE_FINE,
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),  # torchdata 0.11 with newer torch
]
COUNT = 29


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("selection")
    selection = Selection(root, ids(COUNT), ids(33))
    yield root
    selection.close()


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("uneven", ["pad", "drop", "error"])
def test_workers_of_all_ranks_serve_every_document_once_in_as_many_batches(
    path: Path, workers: int, ranks: int, uneven: str
) -> None:
    for sampling, shuffle in product(["uniform", "weight"], [True, False]):
        settings = {"sampling": sampling, "shuffle": shuffle, "world_size": ranks, "uneven": uneven, "revision": 1}
        if uneven == "error" and COUNT % ranks:
            with pytest.raises(LoaderError, match="cannot share evenly"):
                SelectedDataset(path, rank=0, **settings)
            continue
        every = []
        for rank in range(ranks):
            dataset = SelectedDataset(path, rank=rank, **settings)
            every.append(list(DataLoader(dataset, 4, num_workers=workers, collate_fn=names)))
            assert Counter(name for batch in every[-1] for name in batch) == Counter(
                names([dataset[i] for i in range(len(dataset))])
            )
        assert len({tuple(map(len, batches)) for batches in every}) == 1
        times = Counter(name for batches in every for batch in batches for name in batch)
        assert sorted(times.values()) == sorted(expected(COUNT, ranks, uneven).values())


def test_documents_are_there_by_position(path: Path) -> None:
    dataset = SelectedDataset(path, revision=1, shuffle=False)
    assert len(dataset) == 29
    assert [dataset[k]["id"] for k in (0, 28, -1, -29)] == ["d00000", "d00028", "d00028", "d00000"]
    for outside in (29, -30):
        with pytest.raises(IndexError, match="serves 29 documents"):
            dataset[outside]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_is_set_also_for_workers_that_persist(path: Path, workers: int) -> None:
    dataset = SelectedDataset(path, revision=1)
    loader = DataLoader(dataset, 4, num_workers=workers, collate_fn=names, persistent_workers=workers > 0)
    first, same = list(loader), list(loader)
    dataset.set_epoch(1)
    other = list(loader)
    assert first == same
    assert first != other
    again = SelectedDataset(path, revision=1)
    again.set_epoch(1)
    assert list(DataLoader(again, 4, num_workers=workers, collate_fn=names)) == other


@pytest.mark.parametrize("workers", [0, 2])
def test_with_epochs_the_newest_revision_is_taken_up_when_one_is_set(tmp_path: Path, workers: int) -> None:
    selection = Selection(tmp_path, ids(8))
    dataset = SelectedDataset(tmp_path, follow="epoch")
    loader = DataLoader(dataset, 4, num_workers=workers, collate_fn=names, persistent_workers=workers > 0)
    selection.publish(ids(8, 4))
    assert sorted(name for batch in loader for name in batch) == ids(8)
    dataset.set_epoch(1)
    assert sorted(name for batch in loader for name in batch) == ids(8, 4)
    selection.close()


def test_what_workers_cannot_do_is_said(path: Path) -> None:
    with pytest.raises(LoaderError, match="Workers cannot agree on a newer revision"):
        iter(SelectedDataset(path, follow="step:3"))
    dataset = SelectedDataset(path, revision=1)
    list(DataLoader(dataset, 4, num_workers=1, collate_fn=names))
    with pytest.raises(LoaderError, match="Only the workers of this DataLoader know how far they are"):
        dataset.state_dict()
    with pytest.raises(LoaderError, match="fewer than the 30 of 15 ranks × 2 workers"):
        list(DataLoader(SelectedDataset(path, revision=1, rank=0, world_size=15), num_workers=2, collate_fn=names))


def epochs(loader: StatefulDataLoader, dataset: SelectedDataset, first: int, count: int, states: list) -> list:
    """What a script serves from an epoch on, with the state after each batch and the epoch that it belongs to."""
    out = []
    for epoch in range(first, first + count):
        dataset.set_epoch(epoch)
        for batch in loader:
            out.append(batch)
            states.append((epoch, json.loads(json.dumps(loader.state_dict()))))
    return out


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("persistent", [False, True])
def test_a_stateful_loader_resumes_twice_and_at_the_end_of_an_epoch(path: Path, workers: int, persistent: bool) -> None:
    def made() -> tuple[StatefulDataLoader, SelectedDataset]:
        dataset = SelectedDataset(path, revision=1, rank=1, world_size=2)
        persist = persistent and workers > 0
        return StatefulDataLoader(
            dataset, 4, num_workers=workers, collate_fn=names, persistent_workers=persist
        ), dataset

    states: list = []
    whole = epochs(*made(), 0, 3, states)
    per_epoch = len(whole) // 3
    for cut in (1, per_epoch - 1, per_epoch, per_epoch + 1, 2 * per_epoch):
        epoch, state = states[cut - 1]
        loader, dataset = made()
        loader.load_state_dict(state)
        later: list = []
        assert whole[cut:] == epochs(loader, dataset, epoch, 3 - epoch, later)
        for second in (0, 2):
            if second < len(later):
                epoch, state = later[second]
                loader, dataset = made()
                loader.load_state_dict(state)
                assert whole[cut + second + 1 :] == epochs(loader, dataset, epoch, 3 - epoch, [])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stateful_loader_over_a_data_set_that_repeats_goes_on_through_epochs(path: Path, workers: int) -> None:
    def made() -> StatefulDataLoader:
        return StatefulDataLoader(
            SelectedDataset(path, revision=1, repeat=True), 4, num_workers=workers, collate_fn=names
        )

    def some(loader: StatefulDataLoader, count: int, states: list) -> list:
        out = []
        for batch in loader:
            out.append(batch)
            states.append(loader.state_dict())
            if len(out) == count:
                break
        return out

    states: list = []
    whole = some(made(), 20, states)
    begun, state = [], None
    for count in (3, 5, 7, 5):
        loader = made()
        if state is not None:
            loader.load_state_dict(state)
        later: list = []
        begun += some(loader, count, later)
        state = later[-1]
    assert begun == whole


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 1}, "seed=0 there, 1 here"),
        ({"rank": 1}, "is of rank 0 of 2, and this is rank 1 of 2"),
        ({"world_size": 3}, "is of rank 0 of 2, and this is rank 0 of 3"),
    ],
)
def test_a_state_of_another_data_set_is_refused(path: Path, change: dict, says: str) -> None:
    settings = {"revision": 1, "rank": 0, "world_size": 2}
    state = SelectedDataset(path, **settings).state_dict()
    with pytest.raises(LoaderError, match=says):
        SelectedDataset(path, **{**settings, **change}).load_state_dict(state)
    with pytest.raises(LoaderError, match="not the state of a SelectedDataset"):
        SelectedDataset(path, **settings).load_state_dict({"epoch": 0})
    with pytest.raises(LoaderError, match=r"has format 9, and this version reads 1"):
        SelectedDataset(path, **settings).load_state_dict({**state, "format": 9})


def test_a_state_of_other_workers_is_refused(path: Path) -> None:
    def made(workers: int) -> StatefulDataLoader:
        return StatefulDataLoader(SelectedDataset(path, revision=1), 4, num_workers=workers, collate_fn=names)

    two = made(2)
    next(iter(two))
    state = next(iter(two.state_dict()["_snapshot"]["_worker_snapshots"].values()))["dataset_state"]
    dataset = SelectedDataset(path, revision=1)
    dataset.load_state_dict(state)
    with pytest.raises(LoaderError, match="is of worker 0 of 2, and this is worker 0 of 1"):
        iter(dataset)


def test_settings_that_are_none_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for settings, says in (
        ({"revision": 0}, "a number from 1 on, or 'latest'"),
        ({"revision": "newest"}, "a number from 1 on, or 'latest'"),
        ({"rank": 1}, "given together"),
        ({"timeout": 0}, "above 0"),
        ({"timeout": "600"}, "a number of seconds above 0, not '600'"),
        ({"max_staleness": "1h"}, "a number of seconds above 0, not '1h'"),
        ({"follow": "steps"}, "'pin', 'epoch' or 'step:N'"),
        ({"follow": 500}, "'pin', 'epoch' or 'step:N' with N >= 1, not 500"),
        ({"rank": "0", "world_size": "2"}, "rank is an integer, not '0'"),
    ):
        with pytest.raises(ValueError, match=says):
            SelectedDataset(path, **settings)
    monkeypatch.setenv("WORLD_SIZE", "8")
    with pytest.raises(LoaderError, match=r"one of 8 ranks .WORLD_SIZE., and torch.distributed is not initialised"):
        SelectedDataset(path)
