"""The log that a real loader keeps, with workers, kills and other numbers of ranks: it proves that the sequence of a
run that was interrupted is that of one that was not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_cases import ROOT, tsds
from tests.loader.selections import Selection, ids
from tests.loader.served_logs import entries, sequence
from tests.loader.serving import loader_of, serve
from tests.loader.tools import WORKERS_ARE_FINE, needed

needed("torch")

from tsds_stream.loader.dataset import SelectedDataset  # noqa: E402
from tsds_stream.loader.loader import SelectedLoader  # noqa: E402
from tsds_stream.loader.packed import Packed  # noqa: E402
from tsds_stream.loader.served_log import ServedLogError  # noqa: E402
from tsds_stream.loader.served_writer import ServedWriter  # noqa: E402

pytestmark = WORKERS_ARE_FINE


@pytest.fixture(scope="module")
def selection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Selection]:
    found = Selection(tmp_path_factory.mktemp("selection"), ids(29))
    yield found
    found.close()


def test_the_log_of_a_run_that_was_resumed_twice_is_that_of_one_that_was_not(
    selection: Selection, tmp_path: Path
) -> None:
    """What the workers had read ahead is not in it; steps that were served again are there once."""
    whole = loader_of(selection.path, 4, 2, served=tmp_path / "whole")
    batches = serve(whole, 20)
    whole.close()
    assert [found for _, _, found in sequence(tmp_path / "whole")] == batches
    state = None
    for workers, end, lost in ((2, 7, 2), (0, 16, 3), (1, 20, 0)):
        loader = loader_of(selection.path, 4, workers, served=tmp_path / "cut")
        if state is not None:
            loader.load_state_dict(json.loads(json.dumps(state)))
        serve(loader, end)
        state = loader.state_dict()
        serve(loader, end + lost)  # after the checkpoint
        loader.close()
    assert sequence(tmp_path / "cut") == sequence(tmp_path / "whole")
    found, _ = entries(tmp_path / "cut")
    assert [one.step for one in found if not one.counts] == [7, 8, 16, 17, 18]
    lists = [tsds("served", tmp_path / name, "--list") for name in ("cut", "whole")]
    assert lists[0].stdout == lists[1].stdout
    assert len(lists[0].stdout.splitlines()) == sum(map(len, batches))


def test_ranks_that_are_fewer_after_a_resume_go_on_with_the_log(selection: Selection, tmp_path: Path) -> None:
    def run(ranks: int, state: dict | None, until: int, checkpoint: int) -> dict:
        kept = None
        for rank in range(ranks):
            loader = loader_of(selection.path, 12 // ranks, rank=rank, world_size=ranks, served=tmp_path)
            if state is not None:
                loader.load_state_dict(state)
            serve(loader, checkpoint)
            kept = loader.state_dict()
            serve(loader, until)
            loader.close()
        assert kept is not None
        return kept

    run(2, run(3, None, 5, 2), 4, 4)
    by_step: dict[int, list[str]] = {}
    ranks: dict[int, set[int]] = {}
    for step, rank, found in sequence(tmp_path):
        by_step.setdefault(step, []).extend(found)
        ranks.setdefault(step, set()).add(rank)
    assert ranks == {0: {0, 1, 2}, 1: {0, 1, 2}, 2: {0, 1}, 3: {0, 1}}
    one = serve(loader_of(selection.path, 12), 4)
    for step in (0, 1, 3):
        assert set(by_step[step]) == set(one[step])


TRAINING = """
import json, os, sys
from pathlib import Path
from tests.loader.serving import loader_of
from tsds_stream.durable import Disk, write_atomically

if __name__ == "__main__":
    selection, log, checkpoint = map(Path, sys.argv[1:4])
    loader = loader_of(selection, 4, int(sys.argv[4]), repeat=True, served=log)
    if checkpoint.exists():
        loader.load_state_dict(json.loads(checkpoint.read_text()))
    for batch in loader:
        print(json.dumps([loader.step - 1, batch]), flush=True)
        if loader.step % 5 == 0:
            write_atomically(Disk(), checkpoint, json.dumps(loader.state_dict()).encode())
"""


def test_a_training_that_is_killed_goes_on_at_once_and_its_log_is_whole(selection: Selection, tmp_path: Path) -> None:
    """Its workers live on for a few seconds, and do not keep the lock."""
    script = tmp_path / "training.py"
    script.write_text(TRAINING)
    log, checkpoint = tmp_path / "log", tmp_path / "checkpoint.json"
    for workers, count in ((2, 13), (1, 9), (2, 17)):
        command = [sys.executable, str(script), str(selection.path), str(log), str(checkpoint), str(workers)]
        training = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"}
        )
        assert training.stdout is not None
        assert training.stderr is not None
        seen = []
        for _ in range(count):
            line = training.stdout.readline()
            assert line, training.stderr.read().decode()
            seen.append(json.loads(line))
        training.send_signal(signal.SIGKILL)
        training.wait()
        training.stdout.close()
        training.stderr.close()
        found = {step: batch for step, _, batch in sequence(log)}
        assert all(found[step] == batch for step, batch in seen)
    whole = loader_of(selection.path, 4, repeat=True)
    found = [batch for _, _, batch in sequence(log)]
    assert len(found) >= 25
    assert found == serve(whole, len(found))


def test_a_batch_that_cannot_be_noted_is_not_served(selection: Selection, tmp_path: Path) -> None:
    class Full(ServedWriter):
        full = False

        def write(self, *record: object) -> None:  # type: ignore[override]
            if self.full:
                raise ServedLogError("no space is left")
            super().write(*record)  # type: ignore[arg-type]

    log = Full(tmp_path)
    loader = loader_of(selection.path, 4, 2, served=log)
    batches = serve(loader, 3)
    log.full = True
    with pytest.raises(ServedLogError, match="no space is left"):
        next(iter(loader))
    assert loader.step == 3
    log.full = False
    batches += serve(loader, 6)
    loader.close()
    assert [found for _, _, found in sequence(tmp_path)] == batches == serve(loader_of(selection.path, 4), 6)


def in_bytes(text: str) -> list[int]:
    return list(text.encode())


def test_documents_that_are_longer_than_a_step_are_noted_where_they_begin(selection: Selection, tmp_path: Path) -> None:
    packed = Packed(SelectedDataset(selection.path), in_bytes, sequence_length=4)
    loader = SelectedLoader(packed, 1, served=tmp_path)
    state = None
    for until, last in ((10, 13), (30, 31), (60, 60)):
        if state is not None:
            loader.load_state_dict(state)
        serve(loader, until)
        state = loader.state_dict()
        serve(loader, last)
    loader.close()
    found = sequence(tmp_path)
    assert 10 < len(found) < 25  # of 60 steps
    order = [name for batch in serve(loader_of(selection.path), 8) for name in batch]
    assert [name for _, _, names in found for name in names] == order[: len(found)]


def test_two_loaders_of_one_rank_do_not_share_a_log(selection: Selection, tmp_path: Path) -> None:
    first = loader_of(selection.path, 4, served=tmp_path)
    with pytest.raises(ServedLogError, match="rank-00000 has a writer already"):
        loader_of(selection.path, 4, served=tmp_path)
    first.close()
    loader_of(selection.path, 4, served=str(tmp_path)).close()
