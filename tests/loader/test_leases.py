"""A writer keeps what a reader has open or a checkpoint needs, however many revisions follow, and nothing for ever."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.faulty_disk import FaultyDisk
from tests.patience import PATIENCE
from tests.streams.directory_cases import TIGHT, opened, published
from tests.streams.stories import publication
from tsds_stream.durable import Disk
from tsds_stream.loader.errors import NoRevisionError
from tsds_stream.loader.leases import Leases
from tsds_stream.loader.revisions import Revisions
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.leased import Leased, read_lease

READER = """
import sys
from tsds_stream.loader.revisions import Revisions
revisions = Revisions.open(sys.argv[1], "a", holder="trainer")
revision = revisions.latest()
print(revision.number, flush=True)
for line in sys.stdin:
    revision.verify()
    again = Revisions.open(sys.argv[1], "a").at(revision.number)
    print(" ".join(one["id"] for one in again), flush=True)
"""


def members(n: int) -> dict[str, tuple[float, float, int]]:
    return {f"d{i}": (0.25, 1.0, 1) for i in range(n, n + 4)}


class Writer:
    """A directory of which the writer keeps one revision, and what is leased."""

    def __init__(self, root: Path, **options) -> None:
        self.root = root
        self.sink = DirectorySink(root, **{"keep_revisions": 1, "pinned": Leased(root), "compaction": TIGHT, **options})
        self.sink.recover()
        self.number = 0

    def publish(self, times: int = 1) -> None:
        for _ in range(times):
            self.number += 1
            old = members(self.number - 1) if self.number > 1 else {}
            self.sink.commit([publication("a", self.number, old, members(self.number))], [], {"documents": self.number})

    def kept(self) -> list[int]:
        names = [path.name for path in (self.root / "a" / "manifests").iterdir()]
        numbers = {int(name[:8]) for name in names}
        assert sorted(names) == sorted(f"{n:08d}.{end}" for n in numbers for end in ("json", "members"))
        return sorted(numbers)


@pytest.fixture
def writer(tmp_path: Path):
    writer = Writer(tmp_path, disk=FaultyDisk())
    yield writer
    writer.sink.close()


def lease_files(root: Path) -> list[str]:
    folder = root / "a" / "leases"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_what_another_process_reads_is_kept_until_it_ends(writer: Writer) -> None:
    writer.publish(3)
    command = [sys.executable, "-c", READER, str(writer.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "3\n"
        writer.publish(20)
        assert writer.kept() == [3, 23]
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "d3 d4 d5 d6\n"
        process.stdin.close()
        assert process.wait(60) == 0
    assert lease_files(writer.root) == []
    writer.publish()
    assert writer.kept() == [24]


def test_a_writer_that_starts_anew_keeps_what_is_leased(writer: Writer) -> None:
    writer.publish(2)
    with Revisions.open(writer.root, "a") as revisions:
        revision = revisions.latest()
        writer.publish()
        for _ in range(3):
            writer.sink.recover()
            writer.publish()
        assert writer.kept() == [2, 6]
        revision.verify()


def test_a_revision_is_let_go_with_its_last_user(writer: Writer) -> None:
    writer.publish(2)
    revisions = Revisions.open(writer.root, "a")
    kept = revisions.at(2)
    writer.publish()
    revisions.at(3)
    gc.collect()
    writer.publish()
    assert writer.kept() == [2, 3, 4]  # until the lease is written again
    revisions.latest()
    writer.publish()
    assert writer.kept() == [2, 4, 5]
    kept.verify()
    revisions.close()
    revisions.close()
    writer.publish()
    assert writer.kept() == [6]
    assert len(kept[:]) == 4


def test_revisions_that_are_dropped_without_being_closed_let_go(writer: Writer) -> None:
    writer.publish(2)
    threads = threading.active_count()
    revision = Revisions.open(writer.root, "a").latest()
    gc.collect()
    assert len(lease_files(writer.root)) == 1
    assert revision.number == 2
    del revision
    gc.collect()
    assert lease_files(writer.root) == []
    assert threading.active_count() == threads


@pytest.mark.parametrize("thread", ["its own", "another"])
def test_the_last_user_may_go_while_the_lease_is_written(tmp_path: Path, thread: str) -> None:
    (tmp_path / "a").mkdir()
    leases = Leases(tmp_path / "a" / "leases", "reader", seconds=0.1)
    gone = threading.Event()

    def in_use() -> set[int]:
        if threading.current_thread() is not threading.main_thread() or thread == "another":
            leases.close()
            gone.set()
        return {3}

    leases.watch(in_use)
    leases.begin(3)
    assert gone.wait(PATIENCE)
    leases.close()
    assert lease_files(tmp_path) == []


def test_a_checkpoint_holds_its_revision_after_its_process_has_ended(writer: Writer) -> None:
    writer.publish(2)
    with Revisions.open(writer.root, "a") as revisions:
        revisions.hold(2, "run 7/a", 100.0)
        writer.publish()
        revisions.hold(3, "run 7/a", 100.0)
    writer.publish(3)
    assert writer.kept() == [2, 3, 6]
    with Revisions.open(writer.root, "a") as revisions:
        revisions.hold(2, "run 7/a", 0)
    writer.publish()
    assert writer.kept() == [3, 7]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_copies_in_other_processes_and_forked_ones_leave_the_lease_alone(writer: Writer) -> None:
    writer.publish(1)
    revisions = Revisions.open(writer.root, "a")
    kept = revisions.latest()
    writer.publish(1)
    revision = revisions.latest()
    files = lease_files(writer.root)
    copy = pickle.loads(pickle.dumps(revision))  # noqa: S301
    threads = threading.active_count()
    assert copy[0] == revision[0]
    copy._revisions.close()
    child = os.fork()
    if not child:
        revisions._in_use.clear()  # so that it is opened here
        found = len(revisions.at(1))
        revisions.close()
        os._exit(found - 4)
    assert os.waitpid(child, 0)[1] == 0
    assert threading.active_count() == threads
    assert lease_files(writer.root) == files
    writer.publish(3)
    assert writer.kept() == [kept.number, revision.number, 5]
    revisions.close()
    assert threading.active_count() == threads - 1


def test_a_lease_is_whole_or_not_there(tmp_path: Path) -> None:
    class Watching(Disk):
        def replace(self, source: Path, target: Path) -> None:
            read_lease(source)
            super().replace(source, target)

        def write(self, path: Path, parts) -> None:
            assert path.suffix == ".tmp"
            super().write(path, parts)

    (tmp_path / "a").mkdir()
    leases = Leases(tmp_path / "a" / "leases", "reader", disk=Watching())
    leases.refresh()
    leases.hold(3, "run", 10.0)
    assert Leased(tmp_path)("a") == {3}
    leases.close()


def test_in_a_read_only_directory_reading_goes_on_and_it_is_said_once(writer: Writer, caplog, monkeypatch) -> None:
    class ReadOnly(Disk):
        def make_directory(self, path: Path) -> None:
            raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr("tsds_stream.loader.leases.Disk", ReadOnly)
    writer.publish(2)
    threads = threading.active_count()
    with Revisions.open(writer.root, "a") as revisions:
        for number in (2, 2):
            assert len(revisions.at(number)[:]) == 4
        revisions.hold(2, "run", 10.0)
    assert threading.active_count() == threads
    assert caplog.text.count("could not be leased") == 1
    assert "keep_revisions" in caplog.text
    assert lease_files(writer.root) == []


def test_a_full_disk_costs_the_lease_only_until_there_is_space(tmp_path: Path, caplog) -> None:
    class Full(Disk):
        full = True

        def write(self, path: Path, parts) -> None:
            if self.full:
                raise OSError(28, "No space left on device", str(path))
            super().write(path, parts)

    (tmp_path / "a").mkdir()
    disk = Full()
    leases = Leases(tmp_path / "a" / "leases", "reader", disk=disk)
    leases.watch(lambda: {3})
    leases.refresh()
    leases.refresh()
    assert caplog.text.count("could not be leased") == 1
    disk.full = False
    leases.refresh()
    assert Leased(tmp_path)("a") == {3}
    leases.close()


def test_no_revision_is_lost_between_a_lease_and_its_look_at_the_manifest(tmp_path: Path) -> None:
    """A reader comes at each operation with which the writer takes a revision away."""

    class Visited(FaultyDisk):
        def __init__(self, at: int) -> None:
            super().__init__()
            self.visit = at

        def _run(self, *arguments, **options):
            if len(self.operations) == self.visit and before is not None:
                visitors.append(visit(self))
            return super()._run(*arguments, **options)

    def visit(disk: Visited):
        leases = Leases(tmp / "a" / "leases", "visitor")
        leases.begin(1)  # as `at` does; a thread of the writer could not go on while it waits for the manifest
        there = (tmp / "a" / "manifests" / "00000001.json").exists()
        return leases, there

    outcomes = set()
    at, before = 0, None
    while True:
        tmp, visitors = tmp_path / str(at), []
        before = None
        published(tmp, members(1))
        disk = Visited(at)
        sink = DirectorySink(tmp, keep_revisions=1, pinned=Leased(tmp), disk=disk)
        sink.recover()
        before = True
        disk.visit = len(disk.operations) + at
        sink.commit([publication("a", 2, members(1), members(2))], [], {"documents": 2})
        sink.close()
        if not visitors:
            break
        ((leases, there),) = visitors
        kept = (tmp / "a" / "manifests" / "00000001.json").exists()
        outcomes.add((there, kept))
        assert kept or not there
        if there:
            Revisions.open(tmp, "a").at(1).verify()
        leases.close()
        at += 1
    assert (True, True) in outcomes
    assert (False, False) in outcomes


def test_readers_beside_a_writer_that_keeps_one_revision_read_all_of_what_they_opened(tmp_path: Path) -> None:
    writer = Writer(tmp_path, disk=FaultyDisk())
    writer.publish(1)
    stop, failures, read = threading.Event(), [], []

    def reader() -> None:
        try:
            with Revisions.open(tmp_path, "a") as revisions:
                while not stop.is_set():
                    revision = revisions.latest()
                    again = pickle.loads(pickle.dumps(revision))  # noqa: S301 - opens it anew, as a worker does
                    again.verify()
                    read.append(revision.number)
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        while len(set(read)) < 30 and not failures:
            writer.publish()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        writer.sink.close()
    assert not failures
    with pytest.raises(NoRevisionError):
        Revisions.open(tmp_path, "a").at(1)


def test_a_sink_without_readers_opens_no_lease_folder(tmp_path: Path) -> None:
    opened(tmp_path, pinned=Leased(tmp_path)).close()
    assert lease_files(tmp_path) == []
