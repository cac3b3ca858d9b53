"""Retractions are recorded with the commit that they belong to, exactly once, and what is not known is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faulty_disk import CRASHES, FAULTS, Crash, FaultyDisk
from tests.streams.directory_cases import FIRST, SECOND, opened, published
from tests.streams.stories import Story
from tsds_stream.durable import Disk
from tsds_stream.sealed import DamagedFileError, seal, unseal
from tsds_stream.streams.base import SinkError, Withdrawal
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.layout import Layout
from tsds_stream.streams.withdrawals import Since, Withdrawn, read_withdrawals, records_withdrawals

X, Y = Withdrawal("x", 1_790_000_000_000), Withdrawal("ü\n", 1_790_000_000_001)


def test_it_is_told_from_which_revision_on_a_retraction_shows(tmp_path: Path) -> None:
    story, sink = Story(), opened(tmp_path)
    for changes, withdrawn in (
        ({"a": FIRST, "b": FIRST}, []),
        ({"a": SECOND}, [X, Y]),  # b stays as it was: its next revision is the first that knows
        ({}, [X]),
    ):
        story, arguments = story.after(changes, [], {"documents": len(story.positions or ())})
        sink.withdraw(withdrawn)
        sink.commit(*arguments)
    sink.close()
    assert list(read_withdrawals(tmp_path)) == [
        Since({}),
        Withdrawn([X, Y], {"a": 2, "b": 2}),
        Withdrawn([X], {"a": 3, "b": 2}),
    ]
    assert records_withdrawals(tmp_path)


def commits(root: Path, disk: Disk) -> None:
    """Two commits of a new directory, each with a retraction."""
    sink = DirectorySink(root, disk=disk)
    try:
        sink.recover()
        story = Story()
        for members, withdrawal in ((FIRST, X), (SECOND, Y)):
            story, arguments = story.after({"a": members}, [], {"documents": withdrawal.time})
            sink.withdraw([withdrawal])
            sink.commit(*arguments)
    finally:
        sink.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_retraction_is_recorded_exactly_if_its_commit_is(tmp_path: Path, fault: str) -> None:
    disk = FaultyDisk()
    commits(tmp_path / "whole", disk)
    outcomes = set()
    for at in range(len(disk.operations)):
        root = tmp_path / str(at)
        try:
            commits(root, FaultyDisk(at, fault))
        except (Crash, SinkError):
            pass
        else:
            assert fault not in CRASHES
        sink = DirectorySink(root, disk=FaultyDisk())
        committed = sink.recover()
        sink.close()
        revision = committed.revisions.get("a", {"revision": 0})["revision"]
        recorded = [one for one in read_withdrawals(root) if isinstance(one, Withdrawn)] if revision else []
        assert recorded == [Withdrawn([X], {"a": 1}), Withdrawn([Y], {"a": 2})][:revision], disk.operations[at]
        outcomes.add(revision)
    assert outcomes == {0, 1, 2}


def test_a_directory_of_an_older_version_tells_since_when_it_records(tmp_path: Path) -> None:
    story = published(tmp_path, FIRST, SECOND)
    assert not Layout(tmp_path).withdrawn.exists()
    assert not records_withdrawals(tmp_path)
    sink = opened(tmp_path, story)
    _, arguments = story.after({"a": FIRST}, [], {"documents": 9})
    sink.withdraw([])
    sink.commit(*arguments)
    sink.close()
    assert list(read_withdrawals(tmp_path)) == [Since({"a": 2})]
    assert records_withdrawals(tmp_path)


def test_what_an_older_version_did_in_between_is_a_gap_and_nothing_is_lost(tmp_path: Path) -> None:
    """It writes a commit.json that knows nothing of retractions."""
    commits(tmp_path, FaultyDisk())
    layout = Layout(tmp_path)
    commit = unseal(layout.commit, "")
    del commit["withdrawn"]
    layout.commit.write_bytes(seal(commit))
    with layout.withdrawn.open("ab") as file:
        file.write(b"half a li")
    assert not records_withdrawals(tmp_path)
    sink = DirectorySink(tmp_path, disk=FaultyDisk())
    sink.recover()
    sink.withdraw([X])
    sink.commit([], [], {"documents": 9})
    sink.close()
    assert list(read_withdrawals(tmp_path)) == [
        Since({}),
        Withdrawn([X], {"a": 1}),
        Withdrawn([Y], {"a": 2}),
        Since({"a": 2}),
        Withdrawn([X], {"a": 3}),
    ]


def test_a_file_that_was_moved_away_begins_anew_and_one_that_was_cut_is_damage(tmp_path: Path) -> None:
    commits(tmp_path, FaultyDisk())
    path = Layout(tmp_path).withdrawn
    data = path.read_bytes()
    path.write_bytes(data[:-3])
    sink = DirectorySink(tmp_path, disk=FaultyDisk())
    with pytest.raises(SinkError, match=r"withdrawn\.jsonl has .* bytes, and .* were committed"):
        sink.recover()
    path.unlink()
    sink.recover()
    sink.withdraw([])
    sink.commit([], [], {"documents": 9})
    sink.close()
    assert list(read_withdrawals(tmp_path)) == [Since({"a": 2})]
    path.write_bytes(b"{" + path.read_bytes()[1:].replace(b"since", b"sinse"))
    with pytest.raises(DamagedFileError, match="is damaged in line 1"):
        list(read_withdrawals(tmp_path))
