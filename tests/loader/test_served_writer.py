"""The served log is written before anything is served, survives every end of its writer, and has one writer."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path

import pytest

from tests.faulty_disk import Crash, FaultyDisk
from tests.loader.served_logs import Clock, entries, life, name, segments, sequence
from tsds_stream.loader.served_log import ServedLogError
from tsds_stream.loader.served_reader import ServedReader
from tsds_stream.loader.served_writer import ServedWriter


def test_what_is_written_is_read_back_whole_and_in_order(tmp_path: Path) -> None:
    """Odd ids, several sources per step, and files that are finished on the way."""
    odd = ["", 'ü\n\t"\\', "𝄞\u2028", "x" * 10_240, "no UTF-8: \ud800", '"], ["', "1,2"]
    writer = ServedWriter(tmp_path, segment=30_000)
    writer.begin(0)
    for step in range(40):
        writer.write(step, 1000 + step, "selected", 3, step // 10, [*odd, str(step)])
        writer.write(step, 1000 + step, "base corpus", 0, 0, [f"b{step}"])
    writer.close()
    found, problems = entries(tmp_path)
    assert problems == []
    assert [(one.step, one.source, one.revision, one.epoch, one.ids) for one in found] == [
        expected
        for step in range(40)
        for expected in (
            (step, "selected", 3, step // 10, [*odd, str(step)]),
            (step, "base corpus", 0, 0, [f"b{step}"]),
        )
    ]
    assert len(segments(tmp_path)) > 5
    assert [path.suffix for path in segments(tmp_path)[:-1]] == [".zst"] * (len(segments(tmp_path)) - 1)


def test_all_that_was_written_is_there_without_close(tmp_path: Path) -> None:
    writer = ServedWriter(tmp_path, now=Clock())
    writer.begin(0)
    for step in range(5):
        writer.write(step, 1, "default", 1, 0, [name(step, 0)])
        assert [ids for _, _, ids in sequence(tmp_path)] == [[name(k, 0)] for k in range(step + 1)]


def test_an_epoch_that_goes_on_begins_no_new_life(tmp_path: Path) -> None:
    writer = ServedWriter(tmp_path)
    writer.begin(0)
    writer.write(0, 1, "default", 1, 0, ["a"])
    writer.begin(1)
    writer.write(1, 1, "default", 1, 1, ["b"])
    writer.close()
    writer.begin(2)
    writer.write(2, 1, "default", 1, 1, ["c"])
    assert len(segments(tmp_path)) == 2
    assert [ids for _, _, ids in sequence(tmp_path)] == [["a"], ["b"], ["c"]]


def test_a_rank_has_one_writer(tmp_path: Path) -> None:
    first = ServedWriter(tmp_path, 3, 4)
    with pytest.raises(ServedLogError, match=r"rank-00003 has a writer already: process \d+ on"):
        ServedWriter(tmp_path, 3, 4)
    ServedWriter(tmp_path, 2, 4).close()
    first.close()
    second = ServedWriter(tmp_path, 3, 4)
    with pytest.raises(ServedLogError, match="has a writer already"):
        first.begin(0)
    del second
    gc.collect()
    first.begin(0)  # who is forgotten lets go


def test_a_forked_process_that_outlives_its_parent_does_not_keep_the_lock(tmp_path: Path) -> None:
    writer = ServedWriter(tmp_path)
    writer.begin(0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reading, 1)  # until the parent lets it go
        os._exit(0)
    writer._held.close()  # as the operating system does for a parent that is killed
    ServedWriter(tmp_path).close()
    os.write(writing, b"x")
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)


def test_a_full_disk_is_an_error_before_the_batch_is_served_and_the_log_stays_whole(tmp_path: Path) -> None:
    room = 2000

    def append(file: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = os.write(file, data[:room])
        room -= written
        return written

    writer = ServedWriter(tmp_path, append=append, now=Clock())
    writer.begin(0)
    step = 0

    def fill() -> None:
        nonlocal step
        while True:
            writer.write(step, 1, "default", 1, 0, [name(step, place) for place in range(8)])
            step += 1

    with pytest.raises(ServedLogError, match=r"Could not note what is served, .* no space is left .*Free some space"):
        fill()
    assert 3 < step < 30
    assert [k for k, _, _ in sequence(tmp_path)] == list(range(step))
    room = 100_000
    writer.begin(step)
    writer.write(step, 1, "default", 1, 0, ["again"])
    writer.close()
    assert [k for k, _, _ in sequence(tmp_path)] == list(range(step + 1))


def test_a_log_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServedLogError, match="Could not note what is served"):
        ServedWriter(tmp_path / "file")


@pytest.mark.parametrize("fault", ["before", "after", "torn", "full"])
def test_a_crash_at_any_operation_on_files_loses_nothing_that_was_written(tmp_path: Path, fault: str) -> None:
    """What the writer does besides appending: new files, and the compression of old ones."""

    def run(directory: Path, disk: FaultyDisk) -> int:
        """Steps that were written."""
        written = 0
        writer = None
        try:
            for begin in (0, 20):
                writer = ServedWriter(directory, segment=600, disk=disk, now=Clock())
                writer.begin(begin)
                for step in range(begin, begin + 20):
                    writer.write(step, 1, "default", 1, 0, [name(step, 0), name(step, 1)])
                    written = step + 1
                writer.close()
        except (Crash, ServedLogError):
            if writer is not None:
                writer._held.close()
        return written

    disk = FaultyDisk()
    assert run(tmp_path / "whole", disk) == 40
    count = len(disk.operations)
    assert count > 20
    for at in range(count):
        directory = tmp_path / str(at)
        directory.mkdir()
        written = run(directory, FaultyDisk(at, fault))
        life(directory, written, 45, segment=600)
        assert [(step, ids) for step, _, ids in sequence(directory)] == [
            (step, [name(step, 0), name(step, 1)]) for step in range(45)
        ], f"operation {at}: {disk.operations[at]}"
        assert not list(directory.glob("*/*.tmp"))


def test_a_torn_tail_is_cut_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    life(tmp_path, 0, 4)
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(whole[:-7])
    found, problems = entries(tmp_path)
    assert [one.step for one in found] == [0, 1, 2]
    assert "ends in" in problems[0]
    life(tmp_path, 3, 6)
    assert f"{len(lines[-1]) - 7} bytes were cut off" in caplog.text
    assert [step for step, _, _ in sequence(tmp_path)] == [0, 1, 2, 3, 4, 5]


def test_zeros_at_the_end_after_a_power_cut_are_cut(tmp_path: Path) -> None:
    life(tmp_path, 0, 4)
    (path,) = segments(tmp_path)
    with path.open("ab") as file:
        file.write(b"\0" * 4096 + b"half a record\n")
    life(tmp_path, 4, 6)
    assert [step for step, _, _ in sequence(tmp_path)] == list(range(6))


def test_another_run_in_the_directory_of_one_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    life(tmp_path, 0, 4)
    life(tmp_path, 4, 6)
    assert not caplog.text
    life(tmp_path, 0, 2)
    assert "one begins at step 0, so that all of it counts as given up" in caplog.text


def test_steps_do_not_descend_without_a_beginning(tmp_path: Path) -> None:
    writer = ServedWriter(tmp_path)
    with pytest.raises(ServedLogError, match="before begin"):
        writer.write(0, 1, "default", 1, 0, ["a"])
    writer.begin(5)
    writer.write(5, 1, "default", 1, 0, ["a"])
    with pytest.raises(ValueError, match=r"call begin\(3\) before"):
        writer.write(3, 1, "default", 1, 0, ["a"])
    writer.begin(3)
    writer.write(3, 1, "default", 1, 0, ["b"])
    assert [(one.step, one.counts) for one in ServedReader(tmp_path)] == [(5, False), (3, True)]
