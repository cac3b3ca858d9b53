"""Ranks in processes of their own that mix: each its part of every source, with change-overs and an end in common."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.loader.ranks import run_ranks
from tests.loader.selections import Selection, ids
from tests.loader.tools import needed

needed("torch")

import pytest  # noqa: E402

from tests.loader.mixing import encode, lengths, selected, served  # noqa: E402
from tsds_stream.loader.loader import SelectedLoader  # noqa: E402
from tsds_stream.loader.mixture import Mixture  # noqa: E402
from tsds_stream.loader.packed import Packed  # noqa: E402
from tsds_stream.loader.reading import LoaderError  # noqa: E402


def made(path: Path, exhausted: Any, follow: str = "pin", workers: int = 0, batch_size: int = 2) -> SelectedLoader:
    sources = {"selected": (selected(path, follow=follow), 0.5), "base": (lengths(61), 0.5)}
    packed = Packed(Mixture(sources, exhausted=exhausted), encode, 12)
    return SelectedLoader(packed, batch_size, workers, multiprocessing_context="fork" if workers else None)


def mix(rank: int, path: Path) -> Any:
    """Two rounds that end; then a run in which a revision changes over, cut and resumed."""
    loader = made(path, "drop")
    rounds = [[batch["documents"] for batch in loader] for _ in range(2)]
    states: list[Any] = []
    loader = made(path, "repeat", "step:3", workers=1)
    whole = served(loader, 4, states)
    if rank == 0:
        Selection.publish(SELECTIONS[0], ids(12, 4))
    whole += served(loader, 8, states)
    loader.close()
    resumed = made(path, "repeat", "step:3")
    resumed.load_state_dict(states[6])
    again = served(resumed, 8)
    revisions = [state["leaves"]["selected"]["revision"] for state in states]
    return rounds, revisions, again == whole[7:], json.loads(json.dumps(states[6]))


SELECTIONS: list[Selection] = []


def begun(rank: int, path: Path) -> Any:
    import torch.distributed as dist

    if rank == 0:
        SELECTIONS.append(Selection(path, ids(12)))
    dist.barrier()
    return mix(rank, path)


def disagree(rank: int, path: Path) -> Any:
    return served(made(path, "repeat", batch_size=2 + rank), 2)


def test_ranks_divide_every_source_change_over_together_and_end_together(tmp_path: Path) -> None:
    found = run_ranks(begun, 2, tmp_path)
    assert all(isinstance(one, tuple) for one in found), found
    for round_ in range(2):
        one, other = (rounds[round_] for rounds, _, _, _ in found)
        assert len(one) == len(other) > 5
        mine, theirs = (
            {document["id"] for batch in part for row in batch for document in row} for part in (one, other)
        )
        assert not mine & theirs - {"b0"}  # the first of an epoch may come again, so that all have as many
        assert len(mine | theirs) > 50
    assert [revisions for _, revisions, _, _ in found] == [[1] * 6 + [2] * 2] * 2
    assert all(same for _, _, same, _ in found)
    other_rank = selected(tmp_path, rank=1, world_size=2)
    loader = SelectedLoader(
        Packed(Mixture({"selected": (other_rank, 0.5), "base": (lengths(61), 0.5)}, exhausted="repeat"), encode, 12), 2
    )
    with pytest.raises(LoaderError, match="rank: 0 there, 1 here"):
        loader.load_state_dict(found[0][3])


def test_ranks_with_other_settings_are_told(tmp_path: Path) -> None:
    Selection(tmp_path, ids(12)).close()
    for said in run_ranks(disagree, 2, tmp_path):
        assert "The ranks do not agree (batch_size: 2 on rank 0, 3 on rank 1)" in said


def test_ranks_that_cannot_agree_on_an_end_or_a_revision_are_refused(tmp_path: Path) -> None:
    Selection(tmp_path, ids(12)).close()
    alone = selected(tmp_path, rank=0, world_size=2)
    with pytest.raises(LoaderError, match=r"2 ranks would end at different steps: call torch.distributed.init_process"):
        SelectedLoader(Packed(Mixture({"a": (alone, 1)}), encode, 8))
    SelectedLoader(Packed(Mixture({"a": (alone, 1)}, exhausted="repeat"), encode, 8))
    SelectedLoader(Mixture({"a": (alone, 1)}, "documents"))
    with pytest.raises(LoaderError, match="2 ranks have to agree on the moment"):
        SelectedLoader(Mixture({"a": (selected(tmp_path, rank=0, world_size=2, follow="step:2"), 1)}))
