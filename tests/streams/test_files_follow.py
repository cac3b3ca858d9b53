"""Following files that grow, are rotated, truncated, replaced, renamed, while the source runs and between its runs."""

from __future__ import annotations

import gzip
import logging
import os
import threading
import time
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.streams.files_at_hand import Clock, drain, ids, lines, numbered, open_files
from tsds_stream.streams.base import SourceError


class Story:
    """One followed place: write, then see what comes; restart at will."""

    def __init__(self, path, state):
        self.path, self.state, self.clock = path, state, Clock(time.time())
        self.positions = None
        self.seen = []
        self.letters = []
        self.start()

    def start(self):
        self.source = open_files(self.path, self.state, self.clock, follow=True)

    def restart(self):
        """A crash: what is not in the committed positions is forgotten."""
        self.source.close()
        self.start()
        self.source.seek(self.positions)

    def comes(self, seconds=1.0):
        """The ids that come within so many seconds."""
        got = []
        until = self.clock.seconds + seconds
        while self.clock.seconds < until:
            batch = self.source.poll(3, 0.1)
            got += ids(batch)
            self.letters += batch.dead_letters
            self.positions = batch.positions
            self.clock.sleep(0.05)
        self.seen += got
        assert not self.source.exhausted
        return got


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "documents"
    path.mkdir()
    return path


@pytest.fixture
def story(folder, tmp_path):
    return Story(folder, tmp_path / "state")


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


def test_a_growing_file_is_read_on(folder, story):
    append(folder / "a.jsonl", lines("a", "b"))
    assert story.comes() == ["a", "b"]
    assert story.comes() == []
    append(folder / "a.jsonl", lines("c"))
    assert story.comes() == ["c"]
    story.comes(100)  # quiet for long: out of the positions
    assert story.positions["files"] == {}
    append(folder / "a.jsonl", lines("d"))
    assert story.comes() == ["d"]
    story.restart()
    append(folder / "a.jsonl", lines("e"))
    assert story.comes() == ["e"]
    assert story.source.lag() == {"bytes": 0}


def test_new_files_are_picked_up(folder, story):
    append(folder / "b.jsonl", lines("b"))
    assert story.comes() == ["b"]
    append(folder / "a.jsonl", lines("a"))
    (folder / "sub").mkdir()
    append(folder / "sub" / "c.jsonl.gz", gzip.compress(lines("c")))
    assert story.comes() == ["a", "c"]


def test_a_directory_and_a_file_may_come_into_being_later(tmp_path):
    for path, file in [(tmp_path / "later", tmp_path / "later" / "a.jsonl"), (tmp_path / "b.jsonl",) * 2]:
        source = open_files(f"{path}/" if path != file else path, follow=True)
        assert ids(drain(source)) == []
        file.parent.mkdir(exist_ok=True)
        append(file, lines("a"))
        assert ids(source.poll(10, 1.0)) == ["a"]


def test_a_half_written_last_line_waits(folder, story):
    whole = lines("a", "b")
    for cut in (len(whole) - 12, len(whole) - 3):
        (folder / "a.jsonl").unlink(missing_ok=True)
        append(folder / "a.jsonl", lines("x") + whole[:cut])
        story.positions = None
        story.restart()
        assert story.comes(90) == ["x", "a"]
        append(folder / "a.jsonl", whole[cut:] + lines("c"))
        assert story.comes() == ["b", "c"]
    assert story.letters == []


def test_a_whole_object_without_newline_does_not_wait(folder, story):
    append(folder / "a.jsonl", lines("a", "b")[:-1])
    assert story.comes() == ["a", "b"]
    append(folder / "a.jsonl", b"\n" + lines("c"))
    assert story.comes() == ["c"]
    assert story.letters == []


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_compressed_file_grows_by_members_and_by_pieces(folder, story, kind):
    path = folder / f"a.jsonl.{kind}"
    compress = {"gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress}[kind]
    append(path, compress(lines("a")))
    assert story.comes() == ["a"]
    member = compress(lines("b", "c"))
    append(path, member[: len(member) // 2])
    early = story.comes()
    append(path, member[len(member) // 2 :])
    assert early + story.comes() == ["b", "c"]
    story.restart()
    append(path, compress(lines("d")))
    assert story.comes() == ["d"]
    story.comes(100)
    append(path, compress(lines("e")))
    assert story.comes() == ["e"]
    assert story.letters == []


def test_a_flushed_gzip_stream_is_read_while_it_is_written(folder, story):
    member = zlib.compressobj(wbits=31)
    append(folder / "a.jsonl.gz", member.compress(lines("a")) + member.flush(zlib.Z_SYNC_FLUSH))
    assert story.comes() == ["a"]
    append(folder / "a.jsonl.gz", member.compress(lines("b")) + member.flush())
    assert story.comes() == ["b"]


@pytest.mark.parametrize("quiet", [1, 100])
@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("rotated", ["a.jsonl.1", "old.jsonl", "0.jsonl"])
def test_a_rotated_file_is_read_to_its_end_and_then_the_new_one(folder, story, rotated, restart, quiet):
    path = folder / "a.jsonl"
    append(path, lines("a", "b"))
    assert story.comes(quiet) == ["a", "b"]
    append(path, lines("c"))
    path.rename(folder / rotated)
    append(path, lines("x", "y", "z"))
    if restart:
        story.restart()
    assert story.comes(5) == ["c", "x", "y", "z"]
    story.restart()
    assert story.comes(5) == []
    append(path, lines("w"))
    assert story.comes(5) == ["w"]


def test_a_rotated_and_compressed_file_is_found_by_its_content(tmp_path):
    path = tmp_path / "log.jsonl"
    append(path, lines(*numbered(0, 5)))
    story = Story(path, tmp_path / "state")
    assert story.comes() == numbered(0, 5)
    append(path, lines("late"))
    (tmp_path / "log.jsonl.2.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    append(path, lines("new"))
    story.restart()
    assert story.comes(5) == ["late", "new"]


def test_a_truncated_file_is_read_from_its_start_with_a_warning(folder, story, caplog):
    path = folder / "a.jsonl"
    append(path, lines(*numbered(0, 5)))
    assert story.comes() == numbered(0, 5)
    with caplog.at_level(logging.WARNING):
        path.write_bytes(lines("new"))
        assert story.comes() == ["new"]
    assert "holds something else now" in caplog.text
    with path.open("r+b") as file:  # rewritten in place and longer than before
        file.write(lines("x", "y", "z"))
    assert story.comes() == ["x", "y", "z"]
    story.restart()
    assert story.comes() == []


def test_replay_over_a_truncation_is_possible_only_from_behind_it(folder, story, tmp_path):
    path = folder / "a.jsonl"
    append(path, lines(*numbered(0, 5)))
    story.comes()
    before = story.positions
    path.write_bytes(lines("new"))
    story.comes()
    until = story.positions
    again = open_files(folder, tmp_path / "state", follow=True)
    again.seek(before)
    assert ids(drain(again, until=until)) == ["new"]
    again = open_files(folder, tmp_path / "state", follow=True)
    with pytest.raises(SourceError, match="are needed again"):
        drain(again, until=until)


def test_a_renamed_file_is_not_read_again(folder, story):
    append(folder / "a.jsonl", lines("a", "b"))
    story.comes(100)
    (folder / "a.jsonl").rename(folder / "b.jsonl")
    assert story.comes(5) == []
    append(folder / "b.jsonl", lines("c"))
    assert story.comes(5) == ["c"]
    story.restart()
    (folder / "b.jsonl").rename(folder / "c.jsonl")
    assert story.comes(5) == []


def test_a_file_that_is_removed_when_it_was_read_is_forgotten(folder, story):
    append(folder / "a.jsonl", lines("a"))
    story.comes()
    (folder / "a.jsonl").unlink()
    story.comes(5)
    assert story.positions["files"] == {}
    story.restart()
    append(folder / "a.jsonl", lines("b"))
    assert story.comes() == ["b"]


def test_a_new_file_under_the_name_of_one_that_was_renamed_brings_nothing_back(folder, story):
    append(folder / "log.jsonl", lines("a"))
    assert story.comes(70) == ["a"]
    append(folder / "log.jsonl", lines("b"))
    (folder / "log.jsonl").rename(folder / "old.jsonl")
    assert story.comes(3) == ["b"]
    append(folder / "log.jsonl", b"")
    assert story.comes(3) == []
    story.restart()
    append(folder / "log.jsonl", lines("c"))
    assert story.comes(3) == ["c"]


def test_an_edited_text_is_a_new_version_of_its_document(folder, story):
    (folder / "a.txt").write_text("first")
    assert story.comes() == ["a.txt"]
    (folder / "a.txt").write_text("other")
    os.utime(folder / "a.txt", (1, 1))
    assert story.comes() == ["a.txt"]
    os.utime(folder / "a.txt", (2, 2))
    assert story.comes() == []


def test_a_file_that_never_ends_lets_others_have_their_turn(folder, story, monkeypatch):
    monkeypatch.setattr("tsds_stream.streams.files._LONG_TURN", 1000)
    append(folder / "a.jsonl", lines(*numbered(0, 100)))
    append(folder / "b.jsonl", lines("b"))
    got = story.comes(10)
    assert sorted(got) == sorted([*numbered(0, 100), "b"])
    assert got.index("b") < 60


def test_waiting_takes_no_longer_than_asked(folder, story):
    begin = story.clock.seconds
    assert story.source.poll(10, 2.0).documents == []
    assert 2.0 <= story.clock.seconds - begin < 2.5


actions = st.lists(
    st.sampled_from(["append", "half", "rotate", "new", "restart", "crash", "poll", "rename", "wait"]), max_size=25
)


@given(actions)
@settings(max_examples=60)
def test_whatever_happens_to_files_each_line_comes_once(tmp_path_factory, actions):
    root = tmp_path_factory.mktemp("story")
    folder = root / "documents"
    folder.mkdir()
    story = Story(folder, root / "state")
    current, count, rest, written = folder / "log.jsonl", 0, b"", []
    known = False  # a file that is rotated before anybody looked at it is not found
    for step, action in enumerate(actions):
        if action == "append":
            append(current, rest + lines(f"{count}"))
            written.append(f"{count}")
            count, rest = count + 1, b""
        elif action == "half" and not rest:
            row = lines(f"{count}")
            append(current, row[:9])
            written.append(f"{count}")
            count, rest = count + 1, row[9:]
        elif action == "rotate" and known and not rest:
            current.rename(folder / f"log.jsonl.{step + 1}")
        elif action == "rename" and current.exists() and not rest:
            current.rename(folder / f"moved-{step}.jsonl")
        elif action == "new":
            append(folder / f"other-{step}.jsonl", lines(f"{count}"))
            written.append(f"{count}")
            count += 1
        elif action == "restart":
            story.restart()
        elif action == "crash":
            story.source.poll(1, 0.0)  # read, and never committed
            lost = story.positions
            story.restart()
            assert story.positions is lost
        elif action == "poll":
            story.comes(0.2)
        elif action == "wait":
            story.comes(70)
        if action in ("rotate", "rename"):
            story.comes(3)  # rotations are slower than looks; faster ones lose files to any follower
            known = False
        if action in ("poll", "wait"):
            known = current.exists() and b"\n" in current.read_bytes()
    append(current, rest)
    story.comes(5)
    assert sorted(story.seen, key=int) == written
    assert story.letters == []
    again = open_files(folder, root / "state", follow=True)
    assert sorted(ids(drain(again, until=story.positions)), key=int) == written


def test_a_writer_and_the_source_may_run_at_once(folder, tmp_path):
    def write():
        with (folder / "a.jsonl").open("ab", buffering=0) as file:
            for name in numbered(0, 300):
                row = lines(name)
                file.write(row[:11])
                file.write(row[11:])

    source = open_files(folder, tmp_path / "state", follow=True, poll_interval=0.01)
    writer = threading.Thread(target=write)
    writer.start()
    got = []
    while writer.is_alive():
        got += ids(source.poll(20, 0.05))
    got += ids(drain(source)) + ids(source.poll(1000, 1.0))
    assert got == numbered(0, 300)
