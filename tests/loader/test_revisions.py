"""Revisions are listed, opened and read as they were written."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import orjson
import pytest

from tests.streams.directory_cases import FIRST, MORE, SECOND, published
from tsds_stream.loader.errors import DamagedRevisionError, GoneRevisionError, NoRevisionError
from tsds_stream.loader.revisions import Revision, Revisions
from tsds_stream.sealed import DamagedFileError
from tsds_stream.streams.layout import Layout
from tsds_stream.streams.manifest import read_manifest
from tsds_stream.streams.open_segments import OpenSegments

TWO = (FIRST | MORE, SECOND | MORE)


def test_a_revision_is_a_sequence_of_documents(tmp_path: Path) -> None:
    published(tmp_path, *TWO)
    with Revisions.open(tmp_path, "a") as revisions:
        assert revisions.numbers() == [1, 2]
        assert revisions.newest() == 2
        assert [record["revision"] for record in revisions.list()] == [1, 2]
        first, latest = revisions.at(1), revisions.latest()
    assert (first.number, first.target_set, len(first)) == (1, "a", 5)
    assert first.record["size"] == 5
    assert first.ids == ["q", "r", "x", "y", "ä"]
    assert [first[i]["id"] for i in range(5)] == first.ids
    assert [one["id"] for one in first] == first.ids
    assert [one["id"] for one in first[1:4]] == ["r", "x", "y"]
    assert [one["id"] for one in first[::-2]] == ["ä", "x", "q"]
    assert first[-1] == first[4]
    assert first[2]["text"] == "text of x"
    assert first[2]["nearest"] == [["t", 0.5]]
    assert latest.number == 2
    assert latest.find("ä") == 4
    assert latest.find("y") is None
    assert latest[4]["probability"] == latest.probabilities[4] == 0.375
    assert latest[4]["weight"] == latest.weights[4] == 1.5
    assert latest.weights.dtype == latest.probabilities.dtype == np.float64
    for i in (5, -6):
        with pytest.raises(IndexError):
            latest[i]
    latest.verify()


@pytest.mark.parametrize("form", [str, Path, lambda root: f"{root}/", lambda root: f"file://{root}"])
def test_a_directory_is_named_by_path_or_url(tmp_path: Path, form) -> None:
    published(tmp_path / "a selection", *TWO)
    assert len(Revisions.open(form(tmp_path / "a selection"), "a")[2]) == 5


def test_revisions_go_to_other_processes(tmp_path: Path) -> None:
    published(tmp_path, *TWO)
    revisions = Revisions.open(tmp_path, "a")
    there: Revisions = pickle.loads(pickle.dumps(revisions))  # noqa: S301
    assert there.numbers() == [1, 2]
    revision: Revision = pickle.loads(pickle.dumps(revisions.at(1)))  # noqa: S301
    assert list(revision) == list(revisions.at(1))


def test_the_same_revision_is_opened_once_and_let_go_with_its_last_user(tmp_path: Path) -> None:
    published(tmp_path, *TWO)
    revisions = Revisions.open(tmp_path, "a")
    assert revisions.at(1) is revisions[1]


def test_what_is_not_there_is_told_with_what_is(tmp_path: Path) -> None:
    published(tmp_path, *TWO)
    revisions = Revisions.open(tmp_path, "a")
    for number in (0, 3, -1):
        with pytest.raises(NoRevisionError, match=rf"has no revision {number} of target set 'a'. It has 1, 2\."):
            revisions.at(number)
    with pytest.raises(NoRevisionError, match=r"no revision of a target set 'b': it has a\. .*tsds-stream inspect"):
        Revisions.open(tmp_path, "b")
    with pytest.raises(NoRevisionError, match="nothing was published there yet"):
        Revisions.open(tmp_path / "nowhere", "a")
    with pytest.raises(ValueError, match="cannot be named"):
        Revisions.open(tmp_path, "../a")


def test_an_empty_revision_is_empty(tmp_path: Path) -> None:
    published(tmp_path, FIRST, {})
    revision = Revisions.open(tmp_path, "a").latest()
    assert (len(revision), list(revision), revision.ids, revision[0:9], revision.find("x")) == (0, [], [], [], None)
    revision.verify()


def test_a_damaged_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    published(tmp_path, *TWO)
    path = tmp_path / "a" / "segments" / "00000001.jsonl"
    data = path.read_bytes()
    at = data.index(b"text of x")
    path.write_bytes(data[:at] + b"TEXT" + data[at + 4 :])
    line = data[:at].count(b"\n") + 1
    revision = Revisions.open(tmp_path, "a").at(1)
    damaged = revision.find("x")
    assert damaged is not None
    with pytest.raises(DamagedRevisionError, match=rf"00000001.jsonl is damaged in line {line} .*Restore the file"):
        revision[damaged]
    assert [one["id"] for one in revision[:damaged]] == ["q", "r"]
    with pytest.raises(DamagedRevisionError, match=f"damaged in line {line}") as caught:
        revision.verify()
    assert caught.value.path == path
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (str(again), again.path) == (str(caught.value), path)


def test_a_line_that_is_damaged_after_it_was_read_is_found_and_named(tmp_path: Path) -> None:
    published(tmp_path, *TWO)
    path = tmp_path / "a" / "segments" / "00000001.jsonl"
    revision = Revisions.open(tmp_path, "a").at(1)
    assert len(revision[:]) == 5
    with path.open("r+b") as file:
        file.seek(path.read_bytes().index(b"text of x"))
        file.write(b"TEXT")
    with pytest.raises(DamagedRevisionError, match=r"00000001\.jsonl is damaged in line \d"):
        revision.verify()


@pytest.mark.parametrize("name", ["manifests/00000001.json", "manifests/00000001.members"])
def test_a_damaged_manifest_is_named_when_the_revision_is_opened(tmp_path: Path, name: str, caplog) -> None:
    published(tmp_path, *TWO)
    path = tmp_path / "a" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    revisions = Revisions.open(tmp_path, "a")
    with pytest.raises(DamagedRevisionError, match=path.name):
        revisions.at(1)
    assert [record["revision"] for record in revisions.list()] == ([1, 2] if name.endswith("members") else [2])
    assert (path.name in caplog.text) == name.endswith("json")
    revisions.at(2).verify()


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_a_damaged_index_is_named_at_the_latest_when_it_is_used(tmp_path: Path, damage: str) -> None:
    published(tmp_path, *TWO)
    path = tmp_path / "a" / "segments" / "00000001.index"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # an id
    path.unlink()
    if damage != "missing":
        path.write_bytes(data if damage == "flipped" else data[:-1])
    with pytest.raises(DamagedRevisionError, match=r"00000001\.index"):
        Revisions.open(tmp_path, "a").at(1)[0]


def test_a_revision_that_is_deleted_under_its_reader_is_an_error_that_says_so(tmp_path: Path) -> None:
    published(tmp_path, *TWO)
    revisions = Revisions.open(tmp_path, "a")
    revision = revisions.at(1)
    text = revision[0]
    (tmp_path / "a" / "manifests" / "00000001.json").unlink()
    shutil.rmtree(tmp_path / "a" / "segments")
    assert revision[0] == text  # what is open stays
    with pytest.raises(GoneRevisionError, match=r"Revision 1 of target set 'a' was deleted from .*keep_revisions"):
        revision.verify()
    with pytest.raises(NoRevisionError, match=r"no revision 1 .* It has 2\."):
        Revisions.open(tmp_path, "a").at(1)


def test_many_segments_are_read_with_few_open_files(tmp_path: Path) -> None:
    published(tmp_path, *({f"d{i}": (0.1, 1.0, 1) for i in range(n)} for n in range(1, 12)))
    layout = Layout(tmp_path).of("a")
    infos = read_manifest(layout, 11).segments
    assert len(infos) == 11
    segments = OpenSegments(layout, infos, at_once=3)
    lines = [segments[number].line(0) for _ in range(2) for number in segments]
    assert [orjson.loads(line)["id"] for line in lines] == [f"d{i}" for i in range(11)] * 2
    assert len(segments._open) == 3
    segments.verify()
    layout.index(9).write_bytes(b"x" * infos[8].index_bytes)
    with pytest.raises(DamagedFileError, match=r"00000009\.index"):
        segments.verify()
    layout.index(9).unlink()
    with pytest.raises(DamagedFileError, match=r"00000009\.index"):
        OpenSegments(layout, infos, at_once=3)


def test_opening_a_large_revision_decodes_nothing(tmp_path: Path) -> None:
    n = 40_000
    ids = [f"document {i:06d} with a long name" for i in range(n)]
    published(tmp_path, dict.fromkeys(ids, (1 / n, 1.0, 1)))
    tracemalloc.start()
    try:
        revision = Revisions.open(tmp_path, "a").latest()
        assert revision.find(ids[777]) == 777
        assert revision[n // 2]["id"] == ids[n // 2]
        assert tracemalloc.get_traced_memory()[1] < 2_000_000  # half of which is the buffer of checksums
        assert revision.ids == ids
        assert tracemalloc.get_traced_memory()[1] > 3_000_000
    finally:
        tracemalloc.stop()


def test_reading_revisions_imports_no_torch() -> None:
    slow = {"torch", "fsspec", "kafka"}
    code = f"import sys; import tsds_stream.loader.revisions; print(sorted({slow} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]"]
