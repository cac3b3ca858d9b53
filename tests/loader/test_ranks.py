"""Ranks in processes of their own: rank 0 decides, the others follow; whoever is left alone gets an error in time."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.loader.ranks import die, run_ranks
from tests.loader.selections import Selection, ids
from tests.loader.serving import loader_of, origins, serve
from tests.loader.tools import needed

needed("torch")


def follow(rank: int, path: Path, publish_at: int, steps: int, state_at: int, workers: int, settings: dict) -> Any:
    """Serve some steps; rank 0 publishes a second revision on the way. Gives batches and a state."""
    selection = Selection(path, ids(40)) if rank == 0 else None
    _wait_for_all()
    loader = loader_of(path, 2, workers, repeat=True, collate_fn=origins, multiprocessing_context="fork", **settings)
    batches: list[Any] = []
    states: list[dict] = []
    while loader.step < steps:
        batches += serve(loader, min(publish_at if loader.step < publish_at else steps, steps), states)
        if loader.step == publish_at and selection is not None:
            selection.publish(ids(24, 30))
    loader.close()
    return batches, json.loads(json.dumps(states[state_at - 1]))


def go_on(rank: int, path: Path, states: list[dict], steps: int, workers: int, batch_size: int, settings: dict) -> Any:
    loader = loader_of(
        path, batch_size, workers, repeat=True, collate_fn=origins, multiprocessing_context="fork", **settings
    )
    loader.load_state_dict(states[rank] if rank < len(states) else states[0])
    batches = serve(loader, steps)
    loader.close()
    return batches


def _wait_for_all() -> None:
    import torch.distributed as dist

    dist.barrier()


@pytest.mark.parametrize("size", [2, 4])
def test_all_ranks_change_over_at_the_same_step_and_again_when_they_resume(tmp_path: Path, size: int) -> None:
    steps, cut = 16, 6
    settings = {"follow": "step:2"}
    found = run_ranks(follow, size, tmp_path, 4, steps, cut, 1, settings)
    assert all(isinstance(one, tuple) for one in found), found
    every = [batches for batches, _ in found]
    for step in range(steps):
        assert len({revision for batches in every for revision, _ in batches[step]}) == 1
    change = [batch[0][0] for batch in every[0]].index(2)
    assert change % 2 == 0
    assert 4 <= change <= 10  # with what was planned ahead of it
    once = Counter(
        name for batches in every for batch in batches[change : change + 24 // (2 * size)] for _, name in batch
    )
    assert once == Counter(ids(24, 30))  # and nothing that was withdrawn
    # Each rank from its own state, then all from that of rank 0 with other numbers of workers and ranks.
    states = [state for _, state in found]
    again = run_ranks(go_on, size, tmp_path, states, change + 2, 1, 2, settings)
    assert again == [batches[cut : change + 2] for batches in every]
    other = run_ranks(go_on, 2, tmp_path, states[:1], change + 2, 0, size, settings)
    for step in range(cut, change + 2):
        once = Counter(one for batches in every for one in batches[step])
        assert once == Counter(one for batches in other for one in batches[step - cut])


def latest(rank: int, path: Path) -> Any:
    selection = Selection(path, ids(12)) if rank == 0 else None
    _wait_for_all()
    loader = loader_of(path, 2, follow="epoch")
    if selection is not None:
        selection.publish(ids(12, 4))
    first = (loader.revision, sorted(name for batch in loader for name in batch))
    second = (sorted(name for batch in loader for name in batch), loader.revision)
    return first, second


def test_rank_0_says_which_revision_is_the_latest_and_when_an_epoch_has_a_newer_one(tmp_path: Path) -> None:
    found = run_ranks(latest, 3, tmp_path)
    assert all(isinstance(one, tuple) for one in found), found
    assert {first[0] for first, _ in found} == {1}
    assert sorted(name for first, _ in found for name in first[1]) == ids(12)
    assert {second[1] for _, second in found} == {2}
    assert sorted(name for _, second in found for name in second[0]) == ids(12, 4)


def dies(rank: int, path: Path, dead: int) -> Any:
    if rank == 0:
        Selection(path, ids(40))
    _wait_for_all()
    from tsds_stream.loader.dataset import SelectedDataset
    from tsds_stream.loader.loader import SelectedLoader

    loader = SelectedLoader(SelectedDataset(path, follow="step:1", repeat=True, timeout=5), 2)
    for _ in loader:
        if loader.step == 3 and rank == dead:
            die()
        if loader.step == 200:
            break
    return "went on"


def test_a_rank_0_that_dies_gives_the_others_an_error_and_no_hang(tmp_path: Path) -> None:
    dead, *others = run_ranks(dies, 3, tmp_path, 0)
    assert dead is None
    for rank, says in enumerate(others, 1):
        assert says.startswith(
            f"Rank {rank} could not hear which revision is served from step 3 on: another rank has died"
        )


def alone(rank: int, path: Path) -> Any:
    """Rank 1 makes the data set and then does something else."""
    if rank == 0:
        Selection(path, ids(40))
    _wait_for_all()
    from tsds_stream.loader.dataset import SelectedDataset
    from tsds_stream.loader.loader import SelectedLoader

    loader = SelectedLoader(SelectedDataset(path, timeout=2), 2)
    return len(next(iter(loader))) if rank == 0 else "elsewhere"


def test_a_rank_that_does_not_come_gives_the_others_an_error_in_time(tmp_path: Path) -> None:
    waiting, elsewhere = run_ranks(alone, 2, tmp_path)
    assert elsewhere == "elsewhere"
    assert waiting.startswith("Rank 0 could not compare the settings of all ranks: another rank has died, or did not")
    assert "within 2 s" in waiting


def differs(rank: int, path: Path, setting: str) -> Any:
    if rank == 0:
        Selection(path, ids(40))
    _wait_for_all()
    settings = {"seed": {"seed": rank}, "workers": {"workers": rank}, "uneven": {"uneven": ["pad", "drop"][rank]}}[
        setting
    ]
    loader = loader_of(path, 2, **settings)
    return len(next(iter(loader)))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("seed", "seed: 0 on rank 0, 1 on rank 1"),
        ("workers", "num_workers × prefetch_factor: 0 on rank 0, 2 on rank 1"),
        ("uneven", "uneven: 'pad' on rank 0, 'drop' on rank 1"),
    ],
)
def test_ranks_that_were_made_differently_are_told_so_before_the_first_batch(
    tmp_path: Path, setting: str, says: str
) -> None:
    for found in run_ranks(differs, 2, tmp_path, setting):
        assert found.startswith(f"The ranks do not agree ({says})"), found


def stale(rank: int, path: Path) -> Any:
    if rank == 0:
        Selection(path, ids(40)).heartbeat(3600)
    _wait_for_all()
    loader = loader_of(path, 2, max_staleness=60)
    return len(next(iter(loader)))


def test_an_old_selection_is_an_error_on_every_rank(tmp_path: Path) -> None:
    for found in run_ranks(stale, 2, tmp_path):
        assert "The publisher of the selection was last heard of 36" in found, found
