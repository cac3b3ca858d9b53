"""What is left of a loader after an error, and states that cannot be."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loader.selections import Selection, ids
from tests.loader.serving import loader_of, serve
from tests.loader.tools import WORKERS_ARE_FINE, needed

needed("torch")

from tsds_stream.loader.reading import LoaderError  # noqa: E402

pytestmark = WORKERS_ARE_FINE


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    with_documents = Selection(tmp_path / "selection", ids(29))
    yield tmp_path / "selection"
    with_documents.close()


def broken(batch: list[dict]) -> list[str]:
    raise RuntimeError(f"nothing can be made of {batch[0]['id']}")


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_collate_fn_ends_the_workers_and_the_loader_can_be_asked_again(path: Path, workers: int) -> None:
    loader = loader_of(path, 4, workers, collate_fn=broken)
    before = set(multiprocessing.active_children())
    for _ in range(2):
        with pytest.raises(RuntimeError, match="nothing can be made of"):
            next(iter(loader))
        assert set(multiprocessing.active_children()) == before


@pytest.mark.parametrize("decision", [[1, 1], [7, 0]])
def test_a_state_with_decisions_of_the_past_is_refused(path: Path, decision: list[int]) -> None:
    loader = loader_of(path, 4)
    serve(loader, 2)
    with pytest.raises(LoaderError, match="decisions from before"):
        loader.load_state_dict(loader.state_dict() | {"decisions": [decision]})
