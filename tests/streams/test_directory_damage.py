"""The snapshot directory says when a revision is not whole, and which file it is."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faulty_disk import FAULTS, Crash, FaultyDisk
from tests.streams.directory_cases import FIRST, MORE, SECOND, TIGHT, opened, published
from tests.streams.stories import Story, key_of, letter
from tsds_stream.sealed import DamagedFileError, seal
from tsds_stream.streams.base import SinkError
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.revisions import (
    NoSuchRevisionError,
    latest_revision,
    list_revisions,
    open_revision,
)

DAMAGES = {
    "flipped": lambda data, at: data[:at] + bytes([data[at] ^ 8]) + data[at + 1 :],
    "cut": lambda data, at: data[:at],
    "missing": None,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_anywhere_in_a_revision_is_found_and_named(tmp_path, damage):
    root = tmp_path / "s"
    published(root, FIRST | MORE, SECOND | MORE)
    files = [path for path in (root / "a").rglob("*") if path.is_file() and "1." not in path.name]
    files += [root / "a" / "segments" / name for name in ("00000001.jsonl", "00000001.index")]
    assert len(files) == 7
    for path in files:
        whole = path.read_bytes()
        for at in range(0, len(whole), 7):
            if damage == "missing":
                path.unlink()
            else:
                path.write_bytes(DAMAGES[damage](whole, at))
            with pytest.raises((DamagedFileError, NoSuchRevisionError)) as caught:
                open_revision(root, "a").verify()
            if isinstance(caught.value, DamagedFileError):
                assert caught.value.path == path
                assert str(path) in str(caught.value)
                assert caught.value.remedy in str(caught.value)
            else:
                assert path.name == "LATEST"
            path.write_bytes(whole)
            if damage == "missing":
                break
    open_revision(root, "a").verify()


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_in_what_is_committed_stops_the_writer_with_a_sentence(tmp_path, damage):
    root = tmp_path / "s"
    story = published(root, FIRST | MORE, SECOND | MORE)
    names = ["commit.json", "a/manifests/00000002.json", "a/manifests/00000002.members", "a/segments/00000001.index"]
    for name in names:
        path = root / name
        whole = path.read_bytes()
        for at in range(0, len(whole), 11):
            if damage == "missing":
                path.unlink()
            else:
                path.write_bytes(DAMAGES[damage](whole, at))
            sink = DirectorySink(root, disk=FaultyDisk())
            with pytest.raises(SinkError, match=path.name) as caught:
                sink.recover()
            assert "Restore" in str(caught.value)
            sink.close()
            path.write_bytes(whole)
            if damage == "missing":
                break
    opened(root, story).close()


def test_a_damaged_line_is_not_copied_into_a_new_segment(tmp_path):
    story = published(tmp_path, FIRST)
    path = tmp_path / "a" / "segments" / "00000001.jsonl"
    path.write_bytes(path.read_bytes().replace(b"text of y", b"test of y"))
    sink = opened(tmp_path, story)
    with pytest.raises(SinkError, match=r"00000001.jsonl is damaged in line 2"):
        sink.commit(*story.after({"a": {"y": FIRST["y"]}}, [], {})[1])
    assert story.is_what(sink.recover())
    sink.close()


def test_a_damaged_latest_is_made_anew_by_the_writer(tmp_path):
    story = published(tmp_path, FIRST, SECOND)
    for content in (b"", b"{}", seal({"revision": 1, "set": "a"}), None):
        if content is None:
            (tmp_path / "a" / "LATEST").unlink()
        else:
            (tmp_path / "a" / "LATEST").write_bytes(content)
        opened(tmp_path, story).close()
        assert latest_revision(tmp_path, "a") == 2


def test_damage_in_an_older_revision_is_listed_and_does_not_stop_the_writer(tmp_path):
    story = published(tmp_path, FIRST, SECOND)
    (tmp_path / "a" / "manifests" / "00000001.json").write_bytes(b"?")
    sink = opened(tmp_path, story, keep_revisions=1)
    records, damages = list_revisions(tmp_path, "a")
    assert [record["revision"] for record in records] == [2]
    assert [damage.path.name for damage in damages] == ["00000001.json"]
    story, arguments = story.after({"a": FIRST}, [], {"documents": 5})
    sink.commit(*arguments)
    story.check(tmp_path)
    assert story.is_what(sink.recover())
    assert list_revisions(tmp_path, "a")[1] == []
    sink.close()


def test_the_directory_of_a_newer_version_is_left_alone(tmp_path):
    (tmp_path / "commit.json").write_bytes(seal({"format": 2}))
    sink = DirectorySink(tmp_path)
    with pytest.raises(SinkError, match="has format 2, and this version reads 1"):
        sink.recover()
    sink.close()


def test_real_syncs_work_too(tmp_path):
    sink = DirectorySink(tmp_path / "s")
    sink.recover()
    story, arguments = Story().after({"a": FIRST}, [letter("one")], {"documents": 1})
    sink.commit(*arguments)
    sink.heartbeat({"documents": 1}, 5)
    sink.close()
    story.check(tmp_path / "s")
    copy = shutil.copytree(tmp_path / "s", tmp_path / "copy")
    story.check(copy)


MEMBERS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "dd", "é", "𝄞", "z" * 30, "\x00", "10", "9"]),
    st.tuples(st.floats(0, 1), st.floats(0, 100), st.integers(1, 5)),
)
COMMITS = st.tuples(
    st.dictionaries(st.sampled_from(["one", "two"]), MEMBERS),
    st.integers(0, 2),
    st.one_of(st.none(), st.tuples(st.integers(0, 70), st.sampled_from(FAULTS))),
)


@settings(max_examples=50)
@given(steps=st.lists(COMMITS, max_size=12), keep=st.integers(1, 4))
def test_any_sequence_of_commits_and_faults_leaves_what_a_dictionary_says(tmp_path_factory, steps, keep):
    root = tmp_path_factory.mktemp("story") / "s"
    story = Story()
    for position, (changes, count, fault) in enumerate(steps):
        sink = opened(root, story, keep_revisions=keep, compaction=TIGHT)
        sink.close()
        disk = FaultyDisk() if fault is None else FaultyDisk(*fault)
        new, arguments = story.after(changes, [letter("poison")] * count, {"documents": position})
        sink = None
        try:
            sink = DirectorySink(root, keep_revisions=keep, compaction=TIGHT, disk=disk)
            sink.recover()
            sink.commit(*arguments)
            story = new
        except (Crash, SinkError):
            if sink is not None:
                sink.close()
            sink = DirectorySink(root, keep_revisions=keep, compaction=TIGHT, disk=FaultyDisk())
            story = new if new.is_what(sink.recover()) else story
        sink.close()
        story.check(root)
    sink = opened(root, story, keep_revisions=keep, compaction=TIGHT)
    assert all(key_of(name) == one.key for held in sink.recover().members.values() for name, one in held.items())
    sink.close()
