"""Every document once, in every combination of ranks, workers, orders and ends, with real workers; and the same batches
where a run goes on that was cut short, also with other numbers of workers and ranks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import chain, product
from pathlib import Path

import numpy as np
import pytest

from tests.loader.selections import Selection, Stored, ids
from tests.loader.serving import loader_of, origins, serve
from tests.loader.test_sharding import expected
from tests.loader.tools import WORKERS_ARE_FINE, needed

needed("torch")

from tsds_stream.loader.dataset import SelectedDataset  # noqa: E402
from tsds_stream.loader.loader import SelectedLoader  # noqa: E402
from tsds_stream.loader.reading import LoaderError  # noqa: E402
from tsds_stream.streams.layout import Layout  # noqa: E402

pytestmark = WORKERS_ARE_FINE

COUNT = 29


@pytest.fixture(scope="module")
def selection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Selection]:
    """Revisions of 29, 33, 24 (withdrawn: 0 … 8) documents."""
    found = Selection(tmp_path_factory.mktemp("selection"), ids(COUNT), ids(33), ids(24, 9))
    yield found
    found.close()


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("uneven", ["pad", "drop", "error"])
def test_two_epochs_hold_everything_and_a_resumed_run_has_the_same_batches(
    selection: Selection, workers: int, ranks: int, uneven: str
) -> None:
    for sampling, shuffle in product(["uniform", "weight"], [True, False]):
        settings = {"sampling": sampling, "shuffle": shuffle, "world_size": ranks, "uneven": uneven, "revision": 1}
        if uneven == "error" and COUNT % ranks:
            with pytest.raises(LoaderError, match=f"29 documents, which {ranks} ranks cannot share evenly"):
                loader_of(selection.path, 4, workers, rank=0, **settings)
            continue
        steps = 2 * len(loader_of(selection.path, 4, rank=0, **settings))
        every: list[list[list[str]]] = []
        for rank in range(ranks):
            states: list[dict] = []
            loader = loader_of(selection.path, 4, workers, rank=rank, **settings)
            batches = serve(loader, steps, states)
            loader.close()
            every.append(batches)
            # In the middle of an epoch with what was read ahead; then at the end of it; each time with other workers.
            resumed: list[list[str]] = []
            for until, state in ((3, None), (steps // 2, states[2]), (steps, states[steps // 2 - 1])):
                loader = loader_of(selection.path, 4, (workers + until) % 3, rank=rank, **settings)
                if state is not None:
                    loader.load_state_dict(json.loads(json.dumps(state)))
                resumed += serve(loader, until)
                loader.close()
            assert resumed == batches
        assert len({tuple(map(len, batches)) for batches in every}) == 1
        for epoch in (0, 1):
            part = slice(epoch * steps // 2, (epoch + 1) * steps // 2)
            times = Counter(name for batches in every for batch in batches[part] for name in batch)
            assert sorted(times.values()) == sorted(expected(COUNT, ranks, uneven).values())
            assert set(times) <= set(selection.names[0])


def test_an_epoch_of_one_rank_is_the_selection_and_the_next_one_has_another_order(selection: Selection) -> None:
    loader = loader_of(selection.path, 4, revision=1)
    first, second = list(loader), list(loader)
    assert len(first) == 8
    assert loader.epoch == 2
    assert sorted(chain(*first)) == sorted(chain(*second)) == selection.names[0]
    assert first != second


def test_documents_come_with_where_they_come_from(selection: Selection) -> None:
    loader = loader_of(selection.path, 40, revision=2, shuffle=False, collate_fn=None)
    (batch,) = loader
    assert [document["id"] for document in batch] == selection.names[1]
    assert batch[7]["served"] == {"revision": 2, "epoch": 0, "place": 7}
    assert batch[7]["text"] == "text of d00007"
    assert batch[7]["weight"] == 4.0


@pytest.mark.parametrize("workers", [0, 2])
def test_every_batch_may_be_the_last_before_a_restart(selection: Selection, workers: int) -> None:
    """And the state after it may be taken by a run that resumed before."""
    states: list[dict] = []
    loader = loader_of(selection.path, 4, workers, revision=1, repeat=True)
    batches = serve(loader, 18, states)
    loader.close()
    resumed = loader_of(selection.path, 4, workers, revision=1, repeat=True)
    for step, state in enumerate(states[:-2], 1):
        resumed.load_state_dict(state)
        assert serve(resumed, step + 2) == batches[step : step + 2]
    resumed.close()


@pytest.mark.parametrize("drop_last", [False, True])
def test_other_ranks_go_on_where_the_global_batch_stays(selection: Selection, drop_last: bool) -> None:
    """12 per step: 3 ranks of 4, then 2 of 6, then 1 of 12, then 3 of 4 again."""

    def run(ranks: int, state: dict | None, until: int) -> tuple[list[set[str]], dict]:
        loaders = [
            loader_of(selection.path, 12 // ranks, rank=r, world_size=ranks, revision=1, drop_last=drop_last)
            for r in range(ranks)
        ]
        for loader in loaders:
            if state is not None:
                loader.load_state_dict(state)
        each = [serve(loader, until) for loader in loaders]
        return [{name for batch in batches for name in batch} for batches in zip(*each, strict=True)], loaders[
            0
        ].state_dict()

    steps = 6 if drop_last else 9
    whole, _ = run(3, None, steps)
    parts: list[set[str]] = []
    state = None
    for ranks, until in ((3, 1), (2, 2), (1, 4), (3, 5), (2, steps)):
        some, state = run(ranks, state, until)
        parts += some
    for k, (one, other) in enumerate(zip(whole, parts, strict=True)):
        # Ranks that do not come out even are padded from the beginning of the epoch, which is in its first batch.
        first = whole[k - k % 3] if not drop_last else set()
        assert one - first == other - first
        assert len(one ^ other) <= (2 if k % 3 == 2 and not drop_last else 0)


def test_a_change_over_is_part_of_the_state_with_what_was_planned_ahead(tmp_path: Path) -> None:
    """Cut at every step around it, resumed twice, also when the selection has moved on meanwhile."""
    selection = Selection(tmp_path, ids(40), ids(30, 20))
    archive = Scripted(tmp_path)
    settings = {"revision": 1, "follow": "step:2", "repeat": True, "collate_fn": origins}
    archive.number = 1
    loader = loader_of(tmp_path, 4, 2, archive=archive, prefetch_factor=2, **settings)
    states: list[dict] = []
    batches = serve(loader, 3, states)
    archive.number = 2
    batches += serve(loader, 16, states)
    loader.close()
    changes = [k for k, batch in enumerate(batches) if batch[0][0] == 2]
    assert 3 < changes[0] < 12
    assert all({revision for revision, _ in batch} == {1 if k < changes[0] else 2} for k, batch in enumerate(batches))
    assert any(state["decisions"] for state in states)
    selection.publish(ids(35))
    archive.number = 3
    for cut in range(1, 14):
        state = json.loads(json.dumps(states[cut - 1]))
        known = max([step for step, _ in state["decisions"]], default=-1)
        once = loader_of(tmp_path, 4, 1, archive=archive, **settings)
        once.load_state_dict(state)
        begun = serve(once, cut + 1)
        twice = loader_of(tmp_path, 4, 0, archive=archive, **settings)
        twice.load_state_dict(once.state_dict())
        begun += serve(twice, cut + 3)
        once.close()
        # What had been decided is done again; what had not is decided now, for the revision that came meanwhile.
        for k, batch in enumerate(begun, cut):
            asked = k - k % 2
            if asked <= known or asked < cut:
                assert batch == batches[k]
            else:
                assert batch[0][0] == 3
    selection.close()


class Scripted(Stored):
    """Says that a revision is the newest when the test says so."""

    number = 1

    def newest(self) -> int:
        return self.number


def test_with_epochs_the_newest_revision_is_taken_up_at_the_beginning_of_one(tmp_path: Path) -> None:
    selection = Selection(tmp_path, ids(8))
    loader = loader_of(tmp_path, 4, follow="epoch")
    assert sorted(chain(*loader)) == ids(8)
    selection.publish(ids(8, 4))
    state = loader.state_dict()
    assert sorted(chain(*loader)) == ids(8, 4)
    again = loader_of(tmp_path, 4, follow="epoch", revision=1)
    again.load_state_dict(state)
    assert sorted(chain(*again)) == ids(8, 4)
    selection.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pinned_loader_keeps_withdrawn_documents_until_it_is_told_to_advance(tmp_path: Path, workers: int) -> None:
    selection = Selection(tmp_path, ids(40))
    loader = loader_of(tmp_path, 4, workers, repeat=True, collate_fn=origins)
    seen = []
    for batch in loader:
        seen.append({revision for revision, _ in batch})
        if loader.step == 2:
            selection.publish(ids(10, 30))
        if loader.step == 4:
            assert loader.advance() == 2
        if loader.step == 9:
            break
    assert seen == [{1}] * 4 + [{2}] * 5
    assert loader.advance() == 2
    loader.close()
    selection.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_revision_is_kept_while_it_is_served_and_let_go_after_the_change(tmp_path: Path, workers: int) -> None:
    selection = Selection(tmp_path, ids(40), keep=1)
    kept = Layout(tmp_path).of("default")
    loader = loader_of(tmp_path, 4, workers, repeat=True)
    serve(loader, 2)
    for _ in range(3):
        selection.publish(ids(40, len(selection.names)))
    assert kept.manifest(1).exists()
    assert not kept.manifest(2).exists()
    assert loader.advance() == 4
    serve(loader, 4)
    selection.publish(ids(40, 9))
    assert loader.advance() == 5  # opening it writes the lease anew
    serve(loader, 6)
    selection.publish(ids(40, 10))
    assert not kept.manifest(1).exists()
    assert kept.manifest(5).exists()
    loader.close()
    selection.close()


def test_iterating_again_after_a_break_goes_on(selection: Selection) -> None:
    loader = loader_of(selection.path, 4, 2, revision=1)
    whole = list(loader_of(selection.path, 4, revision=1))
    begun = []
    for batch in loader:
        begun.append(batch)
        if len(begun) == 3:
            break
    assert len(loader) == 5
    begun += list(loader)
    loader.close()
    assert begun == whole


def test_only_the_last_iteration_goes_on(selection: Selection) -> None:
    loader = loader_of(selection.path, 4, revision=1)
    first = iter(loader)
    next(first)
    second = iter(loader)
    next(second)
    with pytest.raises(LoaderError, match="Another iteration of this loader was begun"):
        next(first)
    loader.load_state_dict(loader.state_dict())
    with pytest.raises(LoaderError, match="or a state loaded"):
        next(second)


def test_workers_that_are_spawned_serve_the_same(selection: Selection) -> None:
    loader = loader_of(selection.path, 4, 1, revision=1, multiprocessing_context="spawn")
    assert list(loader) == list(loader_of(selection.path, 4, revision=1))
    loader.close()


def test_what_is_yielded_is_noted_with_what_was_read_ahead_left_out(selection: Selection) -> None:
    class Log:
        def __init__(self) -> None:
            self.begun: list[int] = []
            self.lines: list[tuple] = []
            self.synced = 0

        def begin(self, step: int) -> None:
            self.begun.append(step)

        def write(self, step: int, time_ms: int, source: str, revision: int, epoch: int, ids: list[str]) -> None:
            assert time_ms > 1_600_000_000_000
            self.lines.append((step, source, revision, epoch, ids))

        def sync(self) -> None:
            self.synced = len(self.lines)

        def close(self) -> None: ...

    log = Log()
    loader = loader_of(selection.path, 4, 2, revision=1, served=log)
    batches = serve(loader, 10)
    state = loader.state_dict()
    assert log.synced == 10
    assert [line[:4] for line in log.lines] == [(step, "default", 1, step // 8) for step in range(10)]
    assert [line[4] for line in log.lines] == batches
    again = serve(loader, 12)
    loader.load_state_dict(state)
    assert serve(loader, 12) == again
    loader.close()
    assert log.begun == [0, 8, 10, 10]


def test_a_revision_in_a_state_is_kept_from_being_deleted_by_the_first_rank(selection: Selection) -> None:
    for rank in (0, 1):
        archive = Stored(selection.path)
        loader = loader_of(selection.path, 4, archive=archive, revision=2, rank=rank, world_size=2)
        for _ in range(3):
            loader.state_dict()
        assert [number for number, _, _ in archive.held] == ([2] if rank == 0 else [])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 1}, "seed=0 there, 1 here"),
        ({"sampling": "weight"}, "sampling='uniform' there, 'weight' here"),
        ({"batch_size": 5}, "all ranks together serve 4 documents per step; here 1 ranks × 5 are 5"),
        ({"rank": 0, "world_size": 3}, "here 3 ranks × 4 are 12"),
    ],
)
def test_a_state_that_does_not_suit_is_refused(selection: Selection, change: dict, says: str) -> None:
    loader = loader_of(selection.path, 4, revision=1)
    serve(loader, 2)
    other = loader_of(selection.path, change.pop("batch_size", 4), **{"revision": 1, **change})
    with pytest.raises(LoaderError, match=says):
        other.load_state_dict(loader.state_dict())


@pytest.mark.parametrize("change", [{"position": -4}, {"position": 1000}, {"epoch": -1}, {"step": -1}])
def test_a_state_that_stands_nowhere_is_refused(selection: Selection, change: dict) -> None:
    loader = loader_of(selection.path, 4, revision=1)
    with pytest.raises(LoaderError, match=r"damaged|below 0"):
        loader.load_state_dict({**loader.state_dict(), **change})


@pytest.mark.parametrize("position", [-1, COUNT + 1])
def test_a_state_of_a_dataset_that_stands_nowhere_is_an_error_and_no_hang(selection: Selection, position: int) -> None:
    dataset = SelectedDataset(selection.path, revision=1)
    dataset.load_state_dict({**dataset.state_dict(), "position": position})
    with pytest.raises(LoaderError, match="The state is damaged: it stands at position"):
        next(iter(dataset), None)


def test_a_state_of_another_selection_is_refused(selection: Selection, tmp_path: Path) -> None:
    Selection(tmp_path, ids(31)).close()
    with pytest.raises(LoaderError, match="is of another dataset: its revision 1 has the digest"):
        loader_of(tmp_path).load_state_dict(loader_of(selection.path, revision=1).state_dict())


def test_a_loader_that_repeats_never_ends_and_has_no_length(selection: Selection) -> None:
    loader = loader_of(selection.path, 4, revision=1, repeat=True)
    assert len(serve(loader, 20)) == 20
    with pytest.raises(TypeError, match="repeats has no length"):
        len(loader)


def test_ranks_that_cannot_agree_do_not_follow(selection: Selection) -> None:
    dataset = SelectedDataset(Stored(selection.path), follow="epoch", rank=0, world_size=2)
    with pytest.raises(LoaderError, match="2 ranks have to agree on the moment"):
        SelectedLoader(dataset)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"batch_size": 0}, "batch_size is an integer from 1 on, not 0"),
        ({"batch_size": 32.0}, "batch_size is an integer from 1 on, not 32.0"),
        ({"num_workers": -1}, "num_workers is an integer from 0 on, not -1"),
        ({"prefetch_factor": "2"}, "prefetch_factor is an integer from 1 on, not '2'"),
        ({"collate_fn": "tensors"}, "collate_fn is a function, not 'tensors'"),
        ({"checkpoint_lease": "week"}, "checkpoint_lease is a number of seconds above 0, not 'week'"),
    ],
)
def test_settings_that_are_none_are_refused(selection: Selection, settings: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SelectedLoader(SelectedDataset(Stored(selection.path)), **settings)


def test_numbers_may_be_of_numpy(selection: Selection) -> None:
    dataset = SelectedDataset(Stored(selection.path), revision=1, timeout=np.float32(5))
    loader = SelectedLoader(dataset, np.int64(4), np.int64(1), prefetch_factor=np.int32(2))
    assert len(list(loader)) == 8
    assert json.dumps(loader.state_dict())
    loader.close()


def test_what_is_no_data_set_of_ours_is_refused(selection: Selection) -> None:
    with pytest.raises(ValueError, match=r"Mixture or Packed, not str\. For a selection, give SelectedDataset"):
        SelectedLoader(str(selection.path))


def test_fewer_documents_than_ranks_and_workers_are_an_error(selection: Selection) -> None:
    loader = loader_of(selection.path, 1, 15, revision=1, rank=0, world_size=2)
    with pytest.raises(LoaderError, match="has 29 documents, fewer than the 30 of 2 ranks × 15 workers"):
        list(loader)
