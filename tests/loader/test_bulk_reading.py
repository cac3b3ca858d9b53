"""Documents that are read together are those that are read one by one, whatever is damaged and however few files may be
open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.streams.directory_cases import published
from tests.streams.stories import publication
from tsds_stream.loader.errors import RevisionError
from tsds_stream.loader.revisions import Revision, Revisions
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.layout import Layout
from tsds_stream.streams.open_segments import OpenSegments
from tsds_stream.streams.revisions import StoredRevision

COUNT = 40
places = st.lists(st.integers(-COUNT, COUNT - 1), max_size=30)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five revisions, the last of which has documents in five segments."""
    root = tmp_path_factory.mktemp("selection")
    published(root, *({f"d{i:02}": (0.02, 1 + i / COUNT, 1) for i in range(n)} for n in range(8, COUNT + 1, 8)))
    return root


@pytest.fixture(params=[2, 256])
def revision(root: Path, request: pytest.FixtureRequest) -> Iterator[Revision]:
    with Revisions.open(root, "a") as revisions:
        found = revisions.latest()
        _with_few_open(found, request.param)
        yield found


def _with_few_open(revision: Revision, at_once: int) -> None:
    stored: StoredRevision = revision._stored
    assert len(set(stored._segment_of.tolist())) == 5
    stored._segments = OpenSegments(stored._layout, stored.manifest.segments, at_once)


@given(places=places, again=places)
def test_a_read_of_several_is_the_reads_of_each(root: Path, places: list[int], again: list[int]) -> None:
    for at_once in (2, 256):
        revision = Revisions.open(root, "a").latest()
        _with_few_open(revision, at_once)
        for some in (places, again):  # the second time among lines and segments that were used before
            assert revision.read(some) == [revision[i] for i in some]
            assert revision.read(np.array(some, np.int64)) == revision.read(some)


def test_values_that_have_changed_since_a_record_was_sent_are_those_of_the_revision(tmp_path: Path) -> None:
    """Where only some have, and in some segments none."""
    sink, before = DirectorySink(tmp_path), {}
    sink.recover()
    for number, count in enumerate((10, 20, 30), 1):
        members = {f"d{i:02}": (1 / count, 1.0 + (i % 3 == 0) / count, 1) for i in range(count)}
        one = publication("a", number, before, members)
        new = [k for k, record in enumerate(one.upserts) if record["id"] not in before]  # the others changed too little
        sent = replace(one, upserts=[one.upserts[k] for k in new], keys=[one.keys[k] for k in new])
        sink.commit([sent], [], {"documents": {}, "targets": {}})
        before = members
    sink.close()
    with Revisions.open(tmp_path, "a") as revisions:
        for revision in revisions:
            stored, n = revision._stored, len(revision)
            found = [revision.read(some) for some in ([n - 1, 0], [], range(n), [3, -1, 3])]
            assert found[2] == list(revision)
            assert [(one["probability"], one["weight"]) for one in found[2]] == list(
                zip(revision.probabilities.tolist(), revision.weights.tolist(), strict=True)
            )
            assert [one["id"] for one in found[3]] == ["d03", f"d{n - 1:02}", "d03"]
        assert stored._may_differ.tolist() == [True] * 20 + [False] * 10


def test_documents_that_are_read_together_or_twice_are_not_the_same_objects(revision: Revision) -> None:
    one, other = revision.read([3, 3])
    one["meta"]["note"] = "of the user"
    assert other != one
    assert revision[3] == other


def test_a_place_that_is_not_there_is_told_as_by_one(revision: Revision) -> None:
    for some in ([COUNT], [0, -COUNT - 1]):
        with pytest.raises(IndexError):
            revision.read(some)


@pytest.mark.parametrize("suffix", ["jsonl", "index"])
def test_damage_is_the_same_error_that_names_the_same_file(tmp_path: Path, suffix: str) -> None:
    published(tmp_path, *({f"d{i:02}": (0.02, 1.0, 1) for i in range(n)} for n in (10, 20, 30)))
    with Revisions.open(tmp_path, "a") as revisions:
        stored: StoredRevision = revisions.latest()._stored
        assert len(set(stored._segment_of.tolist())) == 3
        number = stored._segment_of.item(13)
    layout = Layout(tmp_path).of("a")
    path = layout.lines(number) if suffix == "jsonl" else layout.index(number)
    data = bytearray(path.read_bytes())
    data[data.index(b"d13") + 1] ^= 1
    path.write_bytes(data)

    def told(places: list[int], together: bool) -> str:
        with Revisions.open(tmp_path, "a") as revisions:
            revision = revisions.latest()
            try:
                found = revision.read(places) if together else [revision[i] for i in places]
            except RevisionError as error:
                return f"{type(error).__name__}: {error} ({error.path})"
            return str([one["id"] for one in found])

    for some in ([13], [1, 13, 25], [25, 12, 13], [1, 2, 25], [*range(30)]):
        assert told(some, True) == told(some, False)
    assert f"{path} " in told([1, 13], True)
