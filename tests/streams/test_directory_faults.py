"""A commit is there whole or not at all, whatever happens between any two operations on the disk."""

from __future__ import annotations

import shutil
from contextlib import suppress

import pytest

from tests.faulty_disk import CRASHES, FAULTS, Crash, FaultyDisk
from tests.streams.stories import Story, letter
from tsds_stream.streams.base import SinkError
from tsds_stream.streams.directory import DirectorySink


def members(*names, p=0.125):
    return dict.fromkeys(names, (p, 1.0, 1))


def build(root):
    """Three commits: a set whose first segment is about to become sparse and whose oldest revision is about to go."""
    story, sink = Story(), DirectorySink(root, keep_revisions=2, disk=FaultyDisk())
    sink.recover()
    for step, (changes, letters) in enumerate(
        [
            ({"a": members("1", "2", "3", "4", "é")}, [letter("decode", b"\xff")]),
            ({"a": members("1", "2", "4", "é", "only in 2"), "b": members("x")}, []),
            ({"a": members("1", "2", "5", "é")}, [letter("no_text", None)]),
        ]
    ):
        story, arguments = story.after(changes, letters, {"documents": step})
        sink.commit(*arguments)
    sink.close()
    return story


def next_commit(story):
    changes = {
        "a": {**members("5", "6", "é"), "1": (0.5, 2.0, 3)},
        "b": {},
        "c": members("new set"),
    }
    return story.after(changes, [letter("late"), letter("zero", b"\x00")], {"documents": 9})


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    root = tmp_path_factory.mktemp("before") / "selection"
    return root, build(root)


def failure(sink, arguments):
    """What ended the commit; None: nothing did."""
    try:
        sink.commit(*arguments)
    except (Crash, SinkError) as stop:
        return stop
    return None


def operations(before, tmp_path):
    """How many operations on the disk the commit under test needs."""
    root, story = before
    shutil.copytree(root, tmp_path / "dry")
    disk = FaultyDisk()
    sink = DirectorySink(tmp_path / "dry", keep_revisions=2, disk=disk)
    sink.recover()
    start = len(disk.operations)
    sink.commit(*next_commit(story)[1])
    sink.close()
    return start, disk.operations


def test_the_commit_under_test_compacts_retires_and_publishes_three_sets(before, tmp_path):
    start, names = operations(before, tmp_path)
    done = names[start:]
    assert "replace commit.json" in done
    assert done.count("replace LATEST") == 3
    assert "append dead-letters.jsonl" in done
    assert any(name.startswith("remove 0000000") and name.endswith(".jsonl") for name in done)
    assert len(done) > 50


@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_fault_at_any_operation_the_commit_is_whole_or_absent(before, tmp_path, fault):
    root, old = before
    start, names = operations(before, tmp_path)
    new, arguments = next_commit(old)
    outcomes = set()
    for at in range(start, len(names)):
        where = tmp_path / f"{fault}-{at}"
        shutil.copytree(root, where)
        sink = DirectorySink(where, keep_revisions=2, disk=FaultyDisk(at, fault))
        sink.recover()
        stop = failure(sink, arguments)
        # With "stays full", what remains to be done after the last write needs no space.
        assert isinstance(stop, Crash if fault in CRASHES else SinkError) or (stop is None and fault == "stays full")
        assert not isinstance(stop, SinkError) or "no space is left" in str(stop)
        sink.close()

        if fault == "stays full":
            sink = DirectorySink(where, keep_revisions=2, disk=FaultyDisk(0, fault))
            with suppress(SinkError):
                sink.recover()
            sink.close()

        sink = DirectorySink(where, keep_revisions=2, disk=FaultyDisk())
        committed = sink.recover()
        story = new if new.is_what(committed) else old
        assert story.is_what(committed), (names[at], fault)
        story.check(where)
        outcomes.add(story is new)
        left = {path.name for path in where.rglob("*.tmp")}
        assert not left

        last = new
        if story is old:
            sink.commit(*arguments)
        else:
            last, more = new.after({"a": members("1", "7")}, [letter("again")], {"documents": 10})
            sink.commit(*more)
        last.check(where)
        sink.close()
        shutil.rmtree(where)
    assert outcomes == {True, False}


@pytest.mark.parametrize("fault", CRASHES)
def test_a_crash_during_recovery_changes_nothing_about_the_outcome(before, tmp_path, fault):
    root, old = before
    start, names = operations(before, tmp_path)
    new, arguments = next_commit(old)
    commit_point = names.index("replace commit.json", start)
    for at in (commit_point - 1, commit_point + 1, len(names) - 2):
        crashed = tmp_path / f"{fault}-{at}"
        shutil.copytree(root, crashed)
        sink = DirectorySink(crashed, keep_revisions=2, disk=FaultyDisk(at, "before"))
        sink.recover()
        with pytest.raises(Crash):
            sink.commit(*arguments)
        sink.close()
        story = new if at > commit_point else old
        step = 0
        while True:
            where = tmp_path / "again"
            shutil.copytree(crashed, where)
            sink = DirectorySink(where, keep_revisions=2, disk=FaultyDisk(step, fault))
            try:
                sink.recover()
            except Crash:
                sink.close()
                sink = DirectorySink(where, keep_revisions=2, disk=FaultyDisk())
                assert story.is_what(sink.recover())
                story.check(where)
                sink.close()
                shutil.rmtree(where)
                step += 1
                continue
            sink.close()
            shutil.rmtree(where)
            break
        assert step > 3


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_very_first_commit_leaves_nothing_or_all(tmp_path, fault):
    new, arguments = Story().after({"a": members("1", "2")}, [letter("decode")], {"documents": 1})
    disk = FaultyDisk()
    sink = DirectorySink(tmp_path / "dry", disk=disk)
    sink.recover()
    start = len(disk.operations)
    sink.commit(*arguments)
    for at in range(start, len(disk.operations)):
        where = tmp_path / str(at)
        sink = DirectorySink(where, disk=FaultyDisk(at, fault))
        sink.recover()
        assert failure(sink, arguments) is not None or fault == "stays full"
        sink.close()
        sink = DirectorySink(where, disk=FaultyDisk())
        committed = sink.recover()
        if not new.is_what(committed):
            assert Story().is_what(committed), disk.operations[at]
            Story().check(where)
            sink.commit(*arguments)
        new.check(where)
        sink.close()


def test_after_an_error_nothing_is_published_before_recovery(before, tmp_path):
    root, old = before
    where = tmp_path / "full"
    shutil.copytree(root, where)
    start, _ = operations(before, tmp_path)
    sink = DirectorySink(where, keep_revisions=2, disk=FaultyDisk(start + 4, "full"))
    sink.recover()
    new, arguments = next_commit(old)
    with pytest.raises(SinkError, match=r"Could not publish a revision: no space is left for .*Free some space"):
        sink.commit(*arguments)
    with pytest.raises(SinkError, match="has to be recovered"):
        sink.commit(*arguments)
    assert old.is_what(sink.recover())
    sink.commit(*arguments)
    new.check(where)
    sink.close()
