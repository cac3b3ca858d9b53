"""The traps of hnswlib, each with a test that it no longer bites."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tsds_stream
from tests.selection.test_index import cloud, fill, words_of
from tsds_stream.selection import hnsw
from tsds_stream.selection.arithmetic import canonical, keys_of, squared_distances
from tsds_stream.selection.graph import Graph
from tsds_stream.selection.hnsw import HnswIndex, HnswParameters
from tsds_stream.selection.index_files import DamagedIndexError
from tsds_stream.selection.recall import recall_probe

# One thread where an answer is expected to the last neighbour: then the graph is the same every time.
NEVER = HnswParameters(rebuild_share=1.0, threads=1)
OFTEN = HnswParameters(rebuild_share=0.2, rebuild_minimum=10, threads=1)


def at_once(work: Callable[[], None]) -> None:
    work()


def test_ten_thousand_copies_are_one_point_and_cost_no_recall() -> None:
    vectors = cloud(2000, d=32)
    stream = np.concatenate([np.repeat(vectors[:1], 10_000, 0), vectors])
    keys = keys_of(stream)
    points = np.array(sorted({key: i for i, key in reversed(list(enumerate(keys)))}.values()))
    assert len(points) == 2000
    index = HnswIndex(32)
    index.add(points, stream[points], words_of(stream[points]))
    assert recall_probe(index, points, stream[points], vectors[::10], 0.5) >= 0.99


def test_distances_are_exact_and_not_those_of_the_graph() -> None:
    vectors = cloud(300, d=48)
    _, squared = fill(HnswIndex(48), vectors).nearest(vectors[:30], 20)
    truth = np.sort(squared_distances(vectors[:30], vectors), 1)[:, :20]
    assert (squared == truth).all()
    assert (squared[:, 0] == 0.0).all()


def test_rows_that_the_graph_cannot_answer_are_computed_in_full_and_counted() -> None:
    vectors = cloud(3000)
    index = HnswIndex(16, HnswParameters(m=2, ef_construction=5, ef_search=10, rebuild_share=1.0, threads=1))
    fill(index, vectors)
    index.remove(np.arange(2980))
    labels, squared = index.nearest(vectors[:40], 15)
    truth = squared_distances(vectors[:40], vectors[2980:])
    assert (squared == np.sort(truth, 1)[:, :15]).all()
    assert labels.min() >= 2980
    found = index.within(vectors[:40], 1.5)
    assert np.diff(found.offsets).tolist() == (truth < 1.5**2).sum(1).tolist()
    statistics = index.statistics
    assert statistics.fallback_rows > 0
    assert statistics.tombstones == 2980


def test_one_row_that_fails_does_not_fail_its_batch() -> None:
    class Fussy:
        """Fails every batch with a row whose first coordinate is negative, as hnswlib fails an unreachable row."""

        def knn_query(self, rows: Any, k: int, num_threads: int) -> tuple[Any, Any]:
            if (rows[:, 0] < 0).any():
                raise RuntimeError("Cannot return the results in a contiguous 2D array")
            return np.full((len(rows), k), 7, np.uint64), np.ones((len(rows), k), np.float32)

    graph = Graph(2, NEVER, 10)
    graph.index = Fussy()
    rows = np.array([[1, 0], [-1, 0], [1, 0], [1, 0], [-1, 0]], np.float32)
    nodes, squared = graph.search(rows, 3)
    assert nodes[:, 0].tolist() == [7, -1, 7, 7, -1]
    assert squared.shape == (5, 3)


def test_more_neighbours_than_points_are_not_asked_for() -> None:
    vectors = cloud(5)
    index = fill(HnswIndex(16), vectors)
    assert index.nearest(vectors, 100)[0].shape == (5, 5)
    assert np.diff(index.within(vectors, 3.0).offsets).tolist() == [5] * 5
    assert index.statistics.fallback_rows == 0


def test_tombstones_lead_to_a_new_graph_with_the_same_answers() -> None:
    vectors = cloud(600)
    index = HnswIndex(16, OFTEN, background=at_once)
    fill(index, vectors)
    index.remove(np.arange(100))
    assert index.statistics.tombstones == 100
    before = index.within(vectors[:60], 0.7)
    index.remove(np.arange(100, 121))
    assert index.statistics.rebuilds == 1
    assert index.statistics.tombstones == 0
    after = index.within(vectors[:60], 0.7)
    gone = (before.labels >= 100) & (before.labels < 121)
    assert after.labels.tolist() == before.labels[~gone].tolist()
    index.add(np.arange(50), vectors[:50], words_of(vectors[:50]))
    index.remove(np.arange(200, 400))
    assert index.statistics.rebuilds == 2
    assert index.nearest(vectors[:1], 1)[0].tolist() == [[0]]


def test_writes_and_queries_go_on_while_a_new_graph_is_built() -> None:
    vectors = cloud(9000)
    words = words_of(vectors)
    works: list[Callable[[], None]] = []
    index = HnswIndex(16, HnswParameters(m=32, rebuild_share=0.2), background=works.append)
    index.add(np.arange(6000), vectors[:6000], words[:6000])
    index.remove(np.arange(1500))
    builder = threading.Thread(target=works[0])
    builder.start()
    held = set(range(1500, 6000))
    for start in range(6000, 9000, 250):  # the writer and a reader, against the builder
        index.add(np.arange(start, start + 250), vectors[start : start + 250], words[start : start + 250])
        index.remove(np.arange(start - 4500, start - 4400))
        held = held | set(range(start, start + 250))
        held -= set(range(start - 4500, start - 4400))
        labels, squared = index.nearest(vectors[start : start + 20], 1)
        assert (squared == 0).all()
        assert labels[:, 0].tolist() == list(range(start, start + 20))
    builder.join()
    assert index.wait(0)
    assert index.statistics.rebuilds == 1
    assert len(index) == len(held)
    sample = np.array(sorted(held))
    labels, squared = index.nearest(vectors[sample], 1)
    assert (labels[:, 0] == sample).mean() > 0.999
    found = index.within(vectors[::50], 0.5)
    assert set(found.labels.tolist()) <= held
    assert recall_probe(index, sample, vectors[sample], vectors[::50], 0.5) > 0.98


def test_changes_during_a_rebuild_survive_the_swap(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = cloud(3000)
    words = words_of(vectors)
    index = HnswIndex(16, OFTEN, background=at_once)
    index.add(np.arange(1000), vectors[:1000], words[:1000])
    changed = []

    class Meddled(Graph):
        """In the middle of the rebuild, more points come than a swap may add under the lock, and some leave."""

        def add(self, vectors_: Any) -> None:
            super().add(vectors_)
            if not changed:
                changed.append(True)
                index.add(np.arange(1000, 3000), vectors[1000:], words[1000:])
                index.remove(np.arange(950, 1050))

    monkeypatch.setattr(hnsw, "Graph", Meddled)
    index.remove(np.arange(300))
    assert changed
    assert index.statistics.rebuilds == 1
    assert len(index) == 2600
    live = np.r_[300:950, 1050:3000]
    labels, squared = index.nearest(vectors[live], 1)
    assert (labels[:, 0] == live).all()
    assert (squared == 0).all()


def test_a_failed_rebuild_is_told_to_the_next_writer_and_keeps_the_old_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    vectors = cloud(100)
    index = fill(HnswIndex(16, OFTEN, background=at_once), vectors)
    monkeypatch.setattr(hnsw, "Graph", no_memory)
    index.remove(np.arange(50))
    assert index.nearest(vectors[60:61], 1)[0].tolist() == [[60]]
    with pytest.raises(RuntimeError, match="old graph is still in use"):
        index.add(np.arange(3), vectors[:3], words_of(vectors[:3]))
    index.add(np.arange(3), vectors[:3], words_of(vectors[:3]))
    assert len(index) == 53


def test_readers_see_whole_batches_while_the_graph_grows() -> None:
    vectors = cloud(6000)
    words = words_of(vectors)
    index = HnswIndex(16, HnswParameters(ef_construction=30, threads=1))
    index.add(np.arange(100), vectors[:100], words[:100])
    stop, failures = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            labels, squared = index.nearest(vectors[:50], 5)
            if (squared[:, 0] != 0).any() or (labels[:, 0] != np.arange(50)).any():
                failures.append(labels)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for start in range(100, 6000, 590):  # grows several times past its first capacity
        index.add(np.arange(start, start + 590), vectors[start : start + 590], words[start : start + 590])
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert len(index) == 6000


def test_the_search_breadth_is_set_again_after_loading(tmp_path: Path) -> None:
    parameters = HnswParameters(ef_search=77)
    fill(HnswIndex(16, parameters), cloud(100)).save(tmp_path)
    assert HnswIndex.load(tmp_path, 16, parameters)._graph.index.ef == 77


def test_a_graph_with_tombstones_is_loaded_with_them(tmp_path: Path) -> None:
    vectors = cloud(400)
    index = fill(HnswIndex(16, NEVER), vectors)
    index.remove(np.arange(0, 400, 4))
    index.save(tmp_path)
    loaded = HnswIndex.load(tmp_path, 16, OFTEN, background=at_once)
    assert loaded.statistics.tombstones == 100
    before, after = index.within(vectors[:40], 0.8), loaded.within(vectors[:40], 0.8)
    assert after.labels.tolist() == before.labels.tolist()
    loaded.remove(np.array([1, 2, 3]))
    assert loaded.statistics.rebuilds == 1
    assert loaded.nearest(vectors[5:6], 1)[0].tolist() == [[5]]


@pytest.mark.parametrize("name", ["graph.bin", "nodes.bin"])
def test_a_damaged_graph_can_be_built_anew_from_the_vectors(name: str, tmp_path: Path) -> None:
    vectors = cloud(300)
    fill(HnswIndex(16), vectors).save(tmp_path)
    sound = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(sound[:-9] + b"damaged!!")
    with pytest.raises(DamagedIndexError, match="sha256"):
        HnswIndex.load(tmp_path, 16)
    repaired = HnswIndex.load(tmp_path, 16, repair=True)
    assert repaired.statistics.rebuilds == 1
    assert repaired.nearest(vectors, 1)[0].ravel().tolist() == list(range(300))


def test_damaged_vectors_are_never_repaired(tmp_path: Path) -> None:
    fill(HnswIndex(16), cloud(300)).save(tmp_path)
    (tmp_path / "vectors.bin").write_bytes(b"\0" * (tmp_path / "vectors.bin").stat().st_size)
    with pytest.raises(DamagedIndexError, match=r"vectors\.bin"):
        HnswIndex.load(tmp_path, 16, repair=True)


def test_an_empty_index_is_saved_and_loaded(tmp_path: Path) -> None:
    HnswIndex(16).save(tmp_path)
    loaded = HnswIndex.load(tmp_path, 16)
    assert len(loaded) == 0
    assert fill(loaded, cloud(3)).nearest(cloud(3), 1)[0].ravel().tolist() == [0, 1, 2]


def test_a_graph_cut_short_by_a_full_disk_is_an_error(tmp_path: Path) -> None:
    class FullDisk:
        """Saves less than there is and says nothing, as hnswlib does."""

        def save_index(self, path: str) -> None:
            Path(path).write_bytes(b"half")

        def index_file_size(self) -> int:
            return 8

    graph = Graph(2, NEVER, 10)
    graph.index = FullDisk()
    with pytest.raises(OSError, match="disk full"):
        graph.save(tmp_path / "graph.bin")


def test_one_nan_is_kept_out_of_the_graph() -> None:
    vectors = cloud(200)
    index = fill(HnswIndex(16), vectors)
    poison = vectors[:1].copy()
    poison[0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        index.add(np.array([999]), poison, words_of(vectors[:1]))
    assert index.statistics.tombstones == 0
    assert index.nearest(vectors, 1)[0].ravel().tolist() == list(range(200))


def test_more_near_copies_than_the_limit_are_reported_as_saturated() -> None:
    rng = np.random.default_rng(0)
    vectors = canonical((rng.standard_normal((1, 16)) + 1e-3 * rng.standard_normal((400, 16))).astype(np.float32))
    found = fill(HnswIndex(16), vectors).within(vectors[:5], 0.5, limit=100)
    assert found.saturated.all()
    assert np.diff(found.offsets).tolist() == [100] * 5


def test_only_one_module_knows_hnswlib() -> None:
    package = Path(tsds_stream.__file__).parent
    users = [path.name for path in package.rglob("*.py") if "import hnswlib" in path.read_text()]
    assert users == ["graph.py"]
