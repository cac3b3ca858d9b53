"""A run over a mixture goes on with the very next sample: at every step, twice, with other workers, while revisions
change over, with tokens left over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.loader.selections import Selection, Stored, ids
from tests.loader.tools import WORKERS_ARE_FINE, needed

needed("torch")

from tests.loader.mixing import Stateful, lengths, of_kind, selected, served, shown  # noqa: E402
from tsds_stream.loader.loader import SelectedLoader  # noqa: E402
from tsds_stream.loader.mixture import Mixture  # noqa: E402
from tsds_stream.loader.packed import Packed  # noqa: E402
from tsds_stream.loader.reading import LoaderError  # noqa: E402

StatefulDataLoader = needed("torchdata.stateful_dataloader").StatefulDataLoader
pytestmark = [
    *WORKERS_ARE_FINE,
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),  # torchdata 0.11 with newer torch
]
KINDS = ["mixture", "concat", "first_fit"]


@pytest.fixture(scope="module")
def selection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Selection]:
    found = Selection(tmp_path_factory.mktemp("selection"), ids(13), ids(15, 5))
    yield found
    found.close()


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_may_be_the_last_before_two_restarts(selection: Selection, kind: str) -> None:
    """Over the ends of epochs of every source."""
    states: list[Any] = []
    whole = served(SelectedLoader(of_kind(kind, selection.path), 3), 24, states)
    once, twice = (SelectedLoader(of_kind(kind, selection.path), 3) for _ in range(2))
    for step in range(1, 22):
        once.load_state_dict(states[step - 1])
        assert served(once, step + 1) == whole[step : step + 1]
        twice.load_state_dict(json.loads(json.dumps(once.state_dict())))
        assert served(twice, step + 3) == whole[step + 1 : step + 3]


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_workers_serves_the_same_and_takes_over_while_others_read_ahead(
    selection: Selection, kind: str
) -> None:
    whole = served(SelectedLoader(of_kind(kind, selection.path), 3), 20)
    state, found = None, []
    for until, workers in ((4, 2), (9, 1), (12, 0), (20, 3)):
        loader = SelectedLoader(of_kind(kind, selection.path), 3, workers)
        if state is not None:
            loader.load_state_dict(state)
        found += served(loader, until)
        state = json.loads(json.dumps(loader.state_dict()))
        loader.close()
    assert found == whole


def test_workers_that_are_spawned_serve_the_same(selection: Selection) -> None:
    loader = SelectedLoader(of_kind("concat", selection.path), 3, 1, multiprocessing_context="spawn")
    assert served(loader, 3) == served(SelectedLoader(of_kind("concat", selection.path), 3), 3)
    loader.close()


@pytest.mark.parametrize("exhausted", ["stop", "drop"])
@pytest.mark.parametrize("kind", KINDS)
def test_rounds_that_end_are_resumed_at_every_step(selection: Selection, kind: str, exhausted: str) -> None:
    """Two rounds of a mixture that ends; the last batch of a round is as good a place as any."""

    def made(workers: int = 0) -> SelectedLoader:
        return SelectedLoader(of_kind(kind, selection.path, exhausted=exhausted), 3, workers)

    states: list[Any] = []
    loader = made()
    first = [shown(batch) for batch in loader]
    second = [shown(batch) for batch in loader]
    assert loader.epoch == 2
    assert first != second
    whole = first + second
    assert served(made(), len(whole), states) == whole
    resumed = made(1)
    for step in (1, len(first) - 1, len(first), len(first) + 1):
        resumed.load_state_dict(states[step - 1])
        assert served(resumed, len(whole)) == whole[step:]
    resumed.close()


def test_an_iterable_with_a_state_is_not_read_again(selection: Selection) -> None:
    def made() -> tuple[SelectedLoader, Stateful]:
        lines = Stateful(9)
        return SelectedLoader(of_kind("mixture", selection.path, lines=lines), 3), lines

    states: list[Any] = []
    whole = served(made()[0], 30, states)
    assert any(name.startswith("s1-") for batch in whole for _, _, name in batch)
    for step in (1, 2, 11, 14, 15, 16, 25):
        loader, lines = made()
        loader.load_state_dict(states[step - 1])
        assert served(loader, 30) == whole[step:]
        assert lines.given == sum(source == "lines" for batch in whole[step:] for source, _, _ in batch)


class Scripted(Stored):
    """Says that a revision is the newest when the test says so."""

    target_set = "default"
    number = 1

    def newest(self) -> int:
        return self.number


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_change_of_revision_comes_at_its_step_and_again_after_a_resume(
    selection: Selection, kind: str, workers: int
) -> None:
    archive = Scripted(selection.path)

    def made(count: int) -> SelectedLoader:
        followed = {"archive": archive, "follow": "step:4"}
        return SelectedLoader(of_kind(kind, selection.path, of_selection=followed), 3, count)

    states: list[Any] = []
    loader = made(workers)
    whole = served(loader, 6, states)
    archive.number = 2
    whole += served(loader, 14, states)
    loader.close()
    revisions = [state["leaves"]["selected"]["revision"] for state in states]
    assert revisions == [1] * 8 + [2] * 6
    resumed = made(0)
    for cut in range(6, 13):
        resumed.load_state_dict(states[cut - 1])
        assert served(resumed, 14) == whole[cut:]


def test_with_epochs_the_newest_revision_is_taken_up_where_that_source_begins_anew(selection: Selection) -> None:
    archive = Scripted(selection.path)

    def made() -> SelectedLoader:
        followed = {"archive": archive, "follow": "epoch"}
        return SelectedLoader(of_kind("mixture", selection.path, of_selection=followed), 3, 1)

    states: list[Any] = []
    loader = made()
    archive.number = 2
    whole = served(loader, 16, states)
    loader.close()
    origins = [(revision, name) for batch in whole for source, revision, name in batch if source == "selected"]
    assert sorted(name for _, name in origins[:13]) == ids(13)
    assert [revision for revision, _ in origins] == [1] * 13 + [2] * (len(origins) - 13)
    resumed = made()
    for cut in (8, 9, 10):
        resumed.load_state_dict(states[cut - 1])
        assert served(resumed, 16) == whole[cut:]
    resumed.close()


def test_a_pinned_mixture_advances_when_it_is_told_to(selection: Selection) -> None:
    loader = SelectedLoader(of_kind("mixture", selection.path), 4)
    before = served(loader, 3)
    assert (loader.revision, loader.advance(), loader.revision) == (1, 2, 2)
    after = served(loader, 6)
    assert {one[1] for batch in before for one in batch if one[0] == "selected"} == {1}
    assert {one[1] for batch in after for one in batch if one[0] == "selected"} == {2}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_stateful_loader_of_torchdata_resumes_twice(selection: Selection, kind: str, workers: int) -> None:
    def made() -> Any:
        return StatefulDataLoader(of_kind(kind, selection.path), 2, num_workers=workers, collate_fn=_listed)

    def some(loader: Any, count: int) -> tuple[list[Any], Any]:
        out = []
        for batch in loader:
            out.append(batch)
            if len(out) == count:
                return out, json.loads(json.dumps(loader.state_dict()))
        raise AssertionError("it repeats")

    whole, _ = some(made(), 14)
    state, found = None, []
    for count in (3, 4, 7):
        loader = made()
        if state is not None:
            loader.load_state_dict(state)
        batches, state = some(loader, count)
        found += batches
    assert found == whole


def test_states_that_only_workers_know_or_that_are_of_others_are_refused(selection: Selection) -> None:
    mixture = of_kind("mixture", selection.path)
    loader = StatefulDataLoader(mixture, 2, num_workers=2, collate_fn=_listed)
    next(iter(loader))
    with pytest.raises(LoaderError, match="Only the workers of this DataLoader know how far they are"):
        mixture.state_dict()
    state = next(iter(loader.state_dict()["_snapshot"]["_worker_snapshots"].values()))["dataset_state"]
    alone = of_kind("mixture", selection.path)
    alone.load_state_dict(state)
    with pytest.raises(LoaderError, match="is of worker 0 of 2, and this is worker 0 of 1"):
        iter(alone)


def _listed(batch: list[Any]) -> list[Any]:
    return [shown([one]) if "served" in one else shown(one) for one in batch]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 3}, "seed: 0 there, 3 here"),
        ({"unit": "documents"}, "unit: 'tokens' there, 'documents' here"),
        ({"exhausted": "drop"}, "exhausted: "),
        ({"of_selection": {"seed": 9}}, "order: "),
        ({"of_selection": {"revision": 2}}, None),
    ],
)
def test_a_state_of_another_mixture_is_refused(selection: Selection, change: Any, says: str | None) -> None:
    state = SelectedLoader(of_kind("concat", selection.path), 3).state_dict()
    other = SelectedLoader(of_kind("concat", selection.path, **change), 3)
    if says is None:  # the state tells the revision
        other.load_state_dict(state)
        assert other.revision == 1
        return
    with pytest.raises(LoaderError, match=says):
        other.load_state_dict(state)


def test_a_state_of_other_sources_shares_sequences_or_batches_is_refused(selection: Selection) -> None:
    def made(shares: dict[str, float], size: int = 3, **settings: Any) -> SelectedLoader:
        mixture = Mixture({name: (lengths(37), share) for name, share in shares.items()}, exhausted="repeat")
        return SelectedLoader(Packed(mixture, str.encode, **{"sequence_length": 8, **settings}), size)

    loader = made({"a": 0.5, "b": 0.5})
    state = loader.state_dict()
    for other, says in (
        (made({"a": 0.5, "c": 0.5}), r"sources: \['a', 'b'\] there, \['a', 'c'\] here"),
        (made({"a": 0.5, "b": 0.6}), r"shares: \[0.5, 0.5\] there, \[0.5, 0.6\] here"),
        (made({"a": 0.5, "b": 0.5}, sequence_length=9), "sequence_length: 8 there, 9 here"),
        (made({"a": 0.5, "b": 0.5}, mode="first_fit"), "mode: 'concat' there, 'first_fit' here"),
        (made({"a": 0.5, "b": 0.5}, separator=0), "separator: None there, 0 here"),
        (made({"a": 0.5, "b": 0.5}, 4), "is of batches of 3, and these are of 4"),
    ):
        with pytest.raises(LoaderError, match=says):
            other.load_state_dict(state)
    with pytest.raises(LoaderError, match="not the state of a Packed"):
        loader.load_state_dict(SelectedLoader(selected(selection.path)).state_dict())
    with pytest.raises(LoaderError, match="not the state of a SelectedLoader over a Packed"):
        loader.load_state_dict({name: one for name, one in state.items() if name != "step"})
    with pytest.raises(LoaderError, match="format 9, and this version reads 1"):
        loader.load_state_dict({**state, "format": 9})
    with pytest.raises(LoaderError, match="The state cannot be read"):
        loader.load_state_dict({**state, "leaves": {}})
    leaves = {name: {**one, "digest": "36 items"} for name, one in state["leaves"].items()}
    with pytest.raises(LoaderError, match="is of another dataset"):
        loader.load_state_dict({**state, "leaves": leaves})


def test_a_state_is_small(selection: Selection) -> None:
    loader = SelectedLoader(of_kind("mixture", selection.path), 3)
    served(loader, 5)
    assert len(json.dumps(loader.state_dict())) < 1500
