"""Whatever is wrong with a selection is said in a sentence with the remedy, from workers as well, and nothing hangs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from contextlib import suppress
from itertools import chain
from pathlib import Path

import pytest

from tests.loader.selections import Selection, Stored, ids
from tests.loader.serving import loader_of, names, serve
from tests.loader.tools import WORKERS_ARE_FINE, needed
from tests.patience import PATIENCE

needed("torch")

from torch.utils.data import DataLoader  # noqa: E402

from tsds_stream.loader.dataset import SelectedDataset  # noqa: E402
from tsds_stream.loader.reading import LoaderError  # noqa: E402
from tsds_stream.streams.layout import Layout  # noqa: E402

pytestmark = WORKERS_ARE_FINE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Selection(tmp_path, ids(40), ids(36, 4)).close()
    return tmp_path


@pytest.mark.parametrize("workers", [0, 2])
def test_a_flipped_bit_is_an_error_at_the_batch_that_holds_it(path: Path, workers: int) -> None:
    segment = Layout(path).of("default").lines(1)
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[20] = lines[20].replace(b"text", b"tEXT", 1)
    segment.write_bytes(b"".join(lines))
    loader = loader_of(path, 4, workers, revision=1, shuffle=False)
    served = []
    with pytest.raises(LoaderError, match=rf"{segment}.*"):
        served.extend(loader)
    damaged = next(k for k, name in enumerate(sorted(ids(40))) if f'"{name}"'.encode() in lines[20])
    assert served == [ids(4, 4 * k) for k in range(damaged // 4)]
    assert loader.step == len(served)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_truncated_segment_is_an_error(path: Path, workers: int) -> None:
    segment = Layout(path).of("default").lines(1)
    os.truncate(segment, segment.stat().st_size - 100)
    with pytest.raises(LoaderError, match=f"{segment}"):
        list(loader_of(path, 4, workers, revision=1))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_revision_that_is_gone_at_a_resume_is_an_error(path: Path, workers: int) -> None:
    loader = loader_of(path, 4, workers, revision=1)
    serve(loader, 3)
    state = loader.state_dict()
    loader.close()
    Layout(path).of("default").manifest(1).unlink()
    with pytest.raises(LoaderError, match=r"revision 1"):
        loader_of(path, 4, workers).load_state_dict(state)


def test_a_revision_that_is_deleted_under_the_workers_is_an_error(path: Path) -> None:
    loader = loader_of(path, 4, 2, revision=1)
    Layout(path).of("default").manifest(1).unlink()  # before the workers open it
    with pytest.raises(LoaderError, match=r"revision 1"):
        list(loader)


def test_an_empty_selection_and_one_that_is_not_there_are_errors(tmp_path: Path) -> None:
    selection = Selection(tmp_path, ids(4))
    with pytest.raises(LoaderError, match="'other'"):
        SelectedDataset(tmp_path, "other")
    with pytest.raises(LoaderError, match="revision 7"):
        SelectedDataset(tmp_path, revision=7, timeout=0.1)
    selection.publish([])
    with pytest.raises(LoaderError, match="Revision 2 of target set 'default' is empty"):
        SelectedDataset(tmp_path)
    loader = loader_of(tmp_path, 2, revision=1, follow="epoch", repeat=True)
    served: list[list[str]] = []
    with pytest.raises(LoaderError, match="Revision 2 of target set 'default' is empty"):
        served.extend(loader)
    assert sorted(chain(*served)) == ids(4)
    selection.close()
    with pytest.raises(LoaderError, match="nowhere"):
        SelectedDataset(tmp_path / "nowhere")


def test_a_worker_that_dies_is_an_error_and_no_hang(path: Path) -> None:
    def dies(batch: list[dict]) -> list[str]:
        os.kill(os.getpid(), signal.SIGKILL)
        return names(batch)

    loader = loader_of(path, 4, 1, collate_fn=dies)
    says = r"(unexpectedly, by itself or killed|signal: Killed, as the system does).*take fewer workers"
    with pytest.raises(LoaderError, match=says):
        list(loader)
    loader.close()


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_loader_goes_on_with_new_workers_where_one_has_died_meanwhile(path: Path, context: str) -> None:
    settings = {"repeat": True, "multiprocessing_context": context, "collate_fn": names}
    expected = serve(loader_of(path, 4, 0, repeat=True), 6)
    loader = loader_of(path, 4, 2, **settings)
    served = serve(loader, 3)
    before = set(multiprocessing.active_children())
    victim = before.pop()
    with suppress(RuntimeError):  # torch says so wherever the training is
        os.kill(victim.pid or 0, signal.SIGKILL)
        victim.join()
    began = time.monotonic()
    assert served + serve(loader, 6) == expected
    assert time.monotonic() - began < PATIENCE / 2  # nobody waits for the dead
    loader.close()


def test_a_worker_that_hangs_is_an_error_in_time(path: Path) -> None:
    from tsds_stream.loader.loader import SelectedLoader

    loader = SelectedLoader(SelectedDataset(path, timeout=1), 4, 1, collate_fn=lambda batch: signal.pause())
    with pytest.raises(LoaderError, match=r"No worker has read a batch within 1 s\. See whether the storage answers"):
        list(loader)
    loader.close()


def test_a_publisher_that_is_silent_ends_the_training(path: Path) -> None:
    archive = Stored(path, beat=1)
    loader = loader_of(path, 4, archive=archive, max_staleness=60)
    with pytest.raises(LoaderError, match=r"was last heard of .* ago, and max_staleness is 60 s"):
        list(loader)
    with pytest.raises(LoaderError, match="was last heard of"):
        list(DataLoader(SelectedDataset(archive, max_staleness=60), collate_fn=names))
