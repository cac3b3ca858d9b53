"""What every neighbour index promises, run over all implementations, and what the exact one adds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsds_stream.selection.arithmetic import (
    Float32,
    Float64,
    Int64,
    UInt64,
    canonical,
    key_words,
    keys_of,
    squared_distances,
)
from tsds_stream.selection.hnsw import HnswIndex, HnswParameters
from tsds_stream.selection.index import ExactIndex, NeighbourIndex
from tsds_stream.selection.index_files import DamagedIndexError
from tsds_stream.selection.neighbours import Neighbours
from tsds_stream.selection.recall import recall_probe


def cloud(n: int, d: int = 16, seed: int = 0) -> Float32:
    """Distinct canonical vectors around a few centres."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((8, d))
    vectors = canonical((centres[rng.integers(0, 8, n)] + 0.5 * rng.standard_normal((n, d))).astype(np.float32))
    return vectors


def words_of(vectors: Float32) -> UInt64:
    return key_words(keys_of(vectors))


def fill(index: NeighbourIndex, vectors: Float32, labels: Int64 | None = None) -> NeighbourIndex:
    index.add(np.arange(len(vectors)) if labels is None else labels, vectors, words_of(vectors))
    return index


Truth = dict[int, list[tuple[float, bytes, int]]]


def brute(vectors: Float32, labels: Int64, queries: Float32) -> list[list[tuple[float, bytes, int]]]:
    """All points of each query as (squared, key, label), ascending."""
    squared: Float64 = squared_distances(queries, vectors)
    keys = keys_of(vectors)
    return [sorted(zip(row.tolist(), keys, labels.tolist(), strict=True)) for row in squared]


def agree(found: Neighbours, i: int, expected: list[tuple[float, bytes, int]]) -> None:
    labels, squared = found.row(i)
    assert squared.tolist() == [entry[0] for entry in expected]
    assert labels.tolist() == [entry[2] for entry in expected]


def sure_graph(dimension: int) -> HnswIndex:
    """One thread, so the same graph every time; broad enough to miss nothing among a few hundred points."""
    return HnswIndex(dimension, HnswParameters(m=32, ef_construction=200, ef_search=200, threads=1))


Maker = Callable[[int], NeighbourIndex]
every_index = pytest.mark.parametrize("make", [ExactIndex, sure_graph], ids=["exact", "hnsw"])


@every_index
def test_within_lists_exact_distances_in_order(make: Maker) -> None:
    vectors = cloud(400)
    index = fill(make(16), vectors)
    found = index.within(vectors[:50], 0.8)
    for i, row in enumerate(brute(vectors, np.arange(400), vectors[:50])):
        agree(found, i, [entry for entry in row if entry[0] < 0.8 * 0.8])
    assert not found.saturated.any()
    assert (found.distances == np.sqrt(found.squared)).all()


@every_index
@pytest.mark.parametrize("k", [1, 7, 400, 1000])
def test_nearest_lists_the_nearest_in_order(make: Maker, k: int) -> None:
    vectors = cloud(400)
    labels = np.random.default_rng(1).permutation(10_000)[:400]
    index = fill(make(16), vectors, labels)
    found, squared = index.nearest(vectors[:20], k)
    assert found.shape == squared.shape == (20, min(k, 400))
    for i, row in enumerate(brute(vectors, labels, vectors[:20])):
        assert squared[i].tolist() == [entry[0] for entry in row[:k]]
        assert found[i].tolist() == [entry[2] for entry in row[:k]]


@every_index
def test_equal_distances_are_ordered_by_key(make: Maker) -> None:
    vectors = canonical(np.eye(12, dtype=np.float32))
    query = canonical(np.ones((1, 12), np.float32))
    index = fill(make(12), vectors)
    by_key = sorted(range(12), key=lambda i: keys_of(vectors)[i])
    labels, squared = index.nearest(query, 5)
    assert len(set(squared[0])) == 1
    assert labels[0].tolist() == by_key[:5]
    assert index.within(query, 1.9).row(0)[0].tolist() == by_key


@every_index
def test_a_limit_keeps_the_nearest_and_says_so(make: Maker) -> None:
    vectors = cloud(300)
    index = fill(make(16), vectors)
    found = index.within(vectors[:10], 3.0, limit=40)
    assert found.saturated.all()
    for i, row in enumerate(brute(vectors, np.arange(300), vectors[:10])):
        agree(found, i, row[:40])
    assert index.statistics.saturated == 10


@every_index
def test_a_row_below_its_limit_is_not_saturated(make: Maker) -> None:
    vectors = cloud(300)
    found = fill(make(16), vectors).within(vectors[:10], 1e-3, limit=40)
    assert not found.saturated.any()
    assert np.diff(found.offsets).tolist() == [1] * 10


@every_index
def test_an_empty_index_answers_with_nothing(make: Maker) -> None:
    index = make(16)
    queries = cloud(3)
    assert len(index.within(queries, 1.0).labels) == 0
    assert index.nearest(queries, 5)[0].shape == (3, 0)
    index.add(np.empty(0, np.int64), np.empty((0, 16), np.float32), np.empty((0, 2), np.uint64))
    index.remove(np.empty(0, np.int64))
    assert len(index) == 0
    assert len(fill(index, queries).within(np.empty((0, 16), np.float32), 1.0)) == 0


@every_index
def test_removed_points_are_not_found_and_may_come_back(make: Maker) -> None:
    vectors = cloud(200)
    index = fill(make(16), vectors)
    index.remove(np.arange(0, 200, 2))
    assert len(index) == 100
    assert set(index.nearest(vectors[:1], 100)[0][0]) == set(range(1, 200, 2))
    index.add(np.array([0]), vectors[150:151], words_of(vectors[150:151]))  # another point under an old label
    assert index.nearest(vectors[150:151], 1)[0].tolist() == [[0]]


@every_index
def test_what_cannot_be_indexed_is_refused_and_changes_nothing(make: Maker) -> None:
    vectors = cloud(10)
    index = fill(make(16), vectors[:5])
    words = words_of(vectors)
    broken = vectors[5:7].copy()
    broken[1, 3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        index.add(np.array([5, 6]), broken, words[5:7])
    with pytest.raises(ValueError, match="held: \\[4\\]"):
        index.add(np.array([5, 4]), vectors[5:7], words[5:7])
    with pytest.raises(ValueError, match="distinct"):
        index.add(np.array([5, 5]), vectors[5:7], words[5:7])
    with pytest.raises(ValueError, match="shape"):
        index.add(np.array([5]), vectors[5:6, :8], words[5:6])
    with pytest.raises(ValueError, match="match"):
        index.add(np.array([5]), vectors[5:7], words[5:7])
    with pytest.raises(KeyError):
        index.remove(np.array([1, 77]))
    with pytest.raises(KeyError):
        index.remove(np.array([1, 1]))
    with pytest.raises(ValueError, match="finite"):
        index.within(broken, 1.0)
    with pytest.raises(ValueError, match="k must be"):
        index.nearest(vectors, 0)
    assert len(index) == 5
    assert sorted(index.nearest(vectors[:1], 5)[0][0]) == [0, 1, 2, 3, 4]


@every_index
def test_a_saved_index_answers_as_before(make: Maker, tmp_path: Path) -> None:
    vectors = cloud(500)
    index = fill(make(16), vectors)
    index.remove(np.arange(100, 200))
    index.save(tmp_path / "index")
    loaded = type(index).load(tmp_path / "index", 16)
    assert len(loaded) == 400
    before, after = index.within(vectors[:50], 0.7), loaded.within(vectors[:50], 0.7)
    assert after.labels.tolist() == before.labels.tolist()
    assert after.squared.tolist() == before.squared.tolist()
    loaded.add(np.arange(100, 200), vectors[100:200], words_of(vectors[100:200]))
    assert loaded.nearest(vectors[150:151], 1)[0].tolist() == [[150]]


@every_index
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_file_is_refused(make: Maker, damage: str, tmp_path: Path) -> None:
    index = fill(make(16), cloud(100))
    index.save(tmp_path)
    for path in sorted(tmp_path.glob("*.bin")):
        sound = path.read_bytes()
        middle = len(sound) // 2
        if damage == "flip":
            path.write_bytes(sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :])
        elif damage == "cut":
            path.write_bytes(sound[:-1])
        else:
            path.unlink()
        with pytest.raises(DamagedIndexError, match=path.name):
            type(index).load(tmp_path, 16)
        path.write_bytes(sound)
    assert len(type(index).load(tmp_path, 16)) == 100


@every_index
def test_another_dimension_or_an_unfinished_directory_is_refused(make: Maker, tmp_path: Path) -> None:
    index = fill(make(16), cloud(100))
    index.save(tmp_path)
    with pytest.raises(DamagedIndexError, match="dimension"):
        type(index).load(tmp_path, 32)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["count"] = 99
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DamagedIndexError, match="numbers"):
        type(index).load(tmp_path, 16)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(DamagedIndexError, match="manifest"):
        type(index).load(tmp_path, 16)


@every_index
@given(data=st.data())
@settings(max_examples=25)
def test_any_sequence_of_adds_and_removes_equals_brute_force(make: Maker, data: st.DataObject) -> None:
    vectors = cloud(120, d=6, seed=3)
    index = make(6)
    held: set[int] = set()
    for _ in range(data.draw(st.integers(1, 8))):
        absent = sorted(set(range(120)) - held)
        coming = data.draw(st.lists(st.sampled_from(absent), unique=True, max_size=40)) if absent else []
        index.add(np.array(coming, np.int64), vectors[coming], words_of(vectors[coming]).reshape(-1, 2))
        held |= set(coming)
        going = data.draw(st.lists(st.sampled_from(sorted(held)), unique=True, max_size=20)) if held else []
        index.remove(np.array(going, np.int64))
        held -= set(going)
        labels = np.array(sorted(held), np.int64)
        found = index.within(vectors[:5], 0.6)
        for i, row in enumerate(brute(vectors[labels], labels, vectors[:5])):
            agree(found, i, [entry for entry in row if entry[0] < 0.6 * 0.6])
    assert len(index) == len(held)


@every_index
def test_recall_of_a_small_index_is_one(make: Maker) -> None:
    vectors = cloud(500)
    index = fill(make(16), vectors)
    assert recall_probe(index, np.arange(0, 500, 5), vectors[::5], vectors[:40], 0.8) == 1.0
    assert recall_probe(index, np.arange(5), vectors[:5], -vectors[:5], 1e-6) == 1.0


def test_missed_neighbours_lower_the_recall() -> None:
    vectors = cloud(500)
    index = fill(ExactIndex(16), vectors)
    whole = len(index.within(vectors[:40], 0.8).labels)
    limited = len(index.within(vectors[:40], 0.8, limit=3).labels)
    recall = recall_probe(index, np.arange(500), vectors, vectors[:40], 0.8, limit=3)
    assert recall == limited / whole


def test_an_exact_index_stays_exact_while_it_outgrows_its_fold() -> None:
    scale = np.arange(1, 65) ** -0.8
    rng = np.random.default_rng(5)
    raw = rng.standard_normal((6000, 64)) * scale
    vectors = canonical(raw.astype(np.float32))
    index = ExactIndex(64)
    queries = vectors[::150]
    for start, stop in ((0, 500), (500, 900), (900, 3000), (3000, 6000)):
        index.add(np.arange(start, stop), vectors[start:stop], words_of(vectors[start:stop]))
        if start:
            index.remove(np.arange(start - 100, start))
            index.add(
                np.arange(start - 100, start), vectors[start - 100 : start], words_of(vectors[start - 100 : start])
            )
        for radius in (0.15, 0.3, 1.1):
            found = index.within(queries, radius)
            rows, _ = np.nonzero(squared_distances(queries, vectors[:stop]) < radius * radius)
            assert np.diff(found.offsets).tolist() == np.bincount(rows, minlength=len(queries)).tolist()
            assert found.squared.max() < radius * radius


def test_rows_with_a_limit_are_cut_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tsds_stream.selection.neighbours._PENDING", 1000)
    vectors = cloud(2500)
    index = fill(ExactIndex(16), vectors)
    found = index.within(vectors[:600], 3.0, limit=2)
    squared = np.sort(squared_distances(vectors[:600], vectors), 1)[:, :2]
    assert (found.squared.reshape(600, 2) == squared).all()
    assert found.saturated.all()
