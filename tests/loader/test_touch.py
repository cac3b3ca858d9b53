"""Documents that nothing is made of in a worker are only brought into memory there, and come whole all the same."""

from __future__ import annotations

from itertools import product
from mmap import PAGESIZE
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.loader.selections import Selection, ids
from tests.loader.serving import loader_of, serve
from tests.loader.test_bad_input_workers import two_segments
from tests.loader.tools import WORKERS_ARE_FINE, needed
from tests.streams.stories import publication
from tsds_stream.loader.errors import RevisionError
from tsds_stream.loader.revisions import Revision, Revisions
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.layout import Layout
from tsds_stream.streams.open_segments import OpenSegments

needed("torch")

from torch.utils.data import DataLoader  # noqa: E402

from tsds_stream.loader.fetching import Fetcher, Reader  # noqa: E402
from tsds_stream.loader.reading import LoaderError  # noqa: E402
from tsds_stream.loader.served_reader import ServedReader  # noqa: E402

pytestmark = WORKERS_ARE_FINE


def whole(path: Path, workers: int, until: int, **settings: Any) -> list[list[dict[str, Any]]]:
    """Batches of documents as they are."""
    loader = loader_of(path, 4, workers, collate_fn=None, **settings)
    batches = serve(loader, until)
    loader.close()
    return batches


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true but no accelerator:UserWarning")
@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.parametrize("pin_memory", [False, True])
def test_with_workers_documents_are_those_without(tmp_path: Path, context: str, pin_memory: bool) -> None:
    selection = Selection(tmp_path, ids(40), ids(30, 20))
    settings = {"revision": 1, "follow": "step:3", "repeat": True}
    expected = whole(tmp_path, 0, 25, **settings)
    assert {one["served"]["revision"] for batch in expected for one in batch} == {1, 2}
    assert all(one["text"] == f"text of {one['id']}" for batch in expected for one in batch)
    for workers in (1, 3):
        more = {"multiprocessing_context": context, "pin_memory": pin_memory}
        assert whole(tmp_path, workers, 25, **settings, **more) == expected
    selection.close()


def test_a_run_goes_on_with_any_number_of_workers_and_the_log_has_what_came(tmp_path: Path) -> None:
    selection = Selection(tmp_path / "selection", ids(29))
    settings = {"repeat": True, "collate_fn": None}
    expected = [one["id"] for batch in whole(selection.path, 0, 12, repeat=True) for one in batch]
    for first, second in product((0, 1, 2), repeat=2):
        served = tmp_path / f"served-{first}-{second}"
        loader = loader_of(selection.path, 4, first, served=served, **settings)
        serve(loader, 5)
        state = loader.state_dict()
        loader.close()
        loader = loader_of(selection.path, 4, second, served=served, **settings)
        loader.load_state_dict(state)
        serve(loader, 12)
        loader.close()
        assert [name for entry in ServedReader(served) for name in entry.ids] == expected
    selection.close()


@pytest.mark.parametrize("at_once", [1, 200])
def test_workers_send_documents_only_where_files_are_opened_again_and_again(
    tmp_path: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_segments(tmp_path)
    monkeypatch.setattr(OpenSegments.__init__, "__defaults__", (at_once,))
    fetcher = Fetcher(Reader(Revisions.open(tmp_path)), None)
    request = (2, 0, np.array([1, 45, 5]).tobytes())
    [answer] = DataLoader(fetcher, batch_sampler=[[request]], num_workers=1, collate_fn=list)
    [sent] = answer
    if at_once == 200:
        assert sent is None
    else:
        assert sent == fetcher.fetch(request)
        assert sent[0] == ["d00001", "d00045", "d00005"]
    assert whole(tmp_path, 2, 15, repeat=True) == whole(tmp_path, 0, 15, repeat=True)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_line_is_named_at_its_batch(tmp_path: Path, workers: int) -> None:
    Selection(tmp_path, ids(40)).close()
    path = Layout(tmp_path).of("default").lines(1)
    data = bytearray(path.read_bytes())
    data[data.index(b"text of d00021")] ^= 1
    path.write_bytes(data)
    served: list[list[dict[str, Any]]] = []
    with pytest.raises(LoaderError, match=rf"{path} is damaged in line 22"):
        served.extend(loader_of(tmp_path, 4, workers, collate_fn=None, shuffle=False))
    assert [one["id"] for batch in served for one in batch] == ids(20)


@pytest.fixture
def large(tmp_path: Path) -> Revision:
    """Documents of several pages each."""
    one = publication("default", 1, {}, dict.fromkeys(ids(9), (1 / 9, 1.0, 1)))
    for k, record in enumerate(one.upserts):
        record["text"] = f"{k}" * (1000 + 3000 * k)
    sink = DirectorySink(tmp_path)
    sink.recover()
    sink.commit([one], [], {"documents": {}, "targets": {}})
    sink.close()
    return Revisions.open(tmp_path).latest()


class Watched:
    """A file in memory that knows which of its pages were asked for."""

    def __init__(self, data: Any) -> None:
        self._data, self.pages = data, set[int]()

    def __getitem__(self, part: int | slice) -> Any:
        places = range(len(self._data))[part]
        self.pages |= {place // PAGESIZE for place in ([places] if isinstance(places, int) else places)}
        return self._data[part]


@pytest.mark.parametrize("some", [[], [0], [8, 3], [2, 2, 7], list(range(9))])
def test_each_page_of_the_documents_is_asked_for_and_no_other(large: Revision, some: list[int]) -> None:
    segment = large._stored._segments[1]
    rows = large._stored._row_of[some].tolist()
    expected = {
        page
        for row in rows
        for page in range(segment.offsets[row] // PAGESIZE, (segment.offsets[row + 1] - 1) // PAGESIZE + 1)
    }
    watched = segment.data = Watched(segment.data)
    large.touch(np.array(some, np.int64))
    assert watched.pages == expected
    assert not any(segment.compared)  # whoever reads them does that


def test_a_damaged_index_is_named(large: Revision, tmp_path: Path) -> None:
    path = Layout(tmp_path).of("default").index(1)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(RevisionError, match=f"{path} does not have the sha256"):
        Revisions.open(tmp_path).latest().touch(np.array([0]))
