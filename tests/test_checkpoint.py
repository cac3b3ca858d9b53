"""A checkpoint is whole, or the one before it is used."""

from __future__ import annotations

import errno
import shutil

import pytest

from tests.faulty_disk import CRASHES, FAULTS, Crash, FaultyDisk
from tsds_stream.checkpoint import CheckpointError, CheckpointStore


def writer(content, disk=None):
    disk = disk or FaultyDisk()

    def write(directory):
        disk.write(directory / "lists.bin", [content.encode() * 100])
        disk.make_directory(directory / "index")
        disk.write(directory / "index" / "vectors.bin", [content.encode()])
        disk.write(directory / "empty", [])

    return write


def store(directory, count=0):
    made = CheckpointStore(directory, disk=FaultyDisk())
    for n in range(1, count + 1):
        made.save(writer(f"state {n}"), {"positions": n})
    return made


def content(checkpoint):
    assert (checkpoint.directory / "lists.bin").read_bytes() == (f"state {checkpoint.meta['positions']}" * 100).encode()
    return (checkpoint.directory / "index" / "vectors.bin").read_text()


def test_without_a_checkpoint_there_is_none_and_nothing_is_wrong(tmp_path):
    found = store(tmp_path / "none").newest()
    assert found.checkpoint is None
    assert found.problems == ()


def test_the_newest_is_found_and_two_are_kept(tmp_path):
    made = store(tmp_path / "state" / "checkpoints", 5)
    found = CheckpointStore(tmp_path / "state" / "checkpoints").newest()
    assert found.checkpoint.number == 5
    assert found.checkpoint.meta == {"positions": 5}
    assert content(found.checkpoint) == "state 5"
    assert found.checkpoint.size > 1200
    assert sorted(path.name for path in made.directory.iterdir()) == ["00000004", "00000005"]


def test_real_syncs_work_too(tmp_path):
    made = CheckpointStore(tmp_path)
    assert content(made.save(writer("state 1"), {"positions": 1})) == "state 1"
    assert made.newest().checkpoint.number == 1


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [flip, cut, lambda path: path.unlink()], ids=["flipped", "cut", "missing"])
@pytest.mark.parametrize("name", ["lists.bin", "index/vectors.bin", "checkpoint.json"])
def test_a_damaged_checkpoint_is_reported_and_the_older_one_used(tmp_path, name, damage):
    store(tmp_path, 3)
    damage(tmp_path / "00000003" / name)
    found = CheckpointStore(tmp_path).newest()
    assert found.checkpoint.number == 2
    assert len(found.problems) == 1
    assert "Checkpoint 3 is not used" in found.problems[0]
    assert str(tmp_path / "00000003" / name) in found.problems[0]


def test_every_flipped_byte_of_a_checkpoint_is_noticed(tmp_path):
    store(tmp_path, 2)
    for path in sorted((tmp_path / "00000002").rglob("*.*")):
        if path.name == "lists.bin":
            continue
        whole = path.read_bytes()
        for at in range(len(whole)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
            found = CheckpointStore(tmp_path).newest()
            assert found.checkpoint.number == 1
        path.write_bytes(whole)


def test_two_damaged_ones_leave_none_and_two_reports(tmp_path):
    store(tmp_path, 2)
    flip(tmp_path / "00000001" / "lists.bin")
    cut(tmp_path / "00000002" / "lists.bin")
    found = CheckpointStore(tmp_path).newest()
    assert found.checkpoint is None
    assert len(found.problems) == 2


def test_one_that_is_refused_is_told_by_its_meta_alone(tmp_path):
    store(tmp_path, 2)
    seen = []

    def refuse(meta):
        seen.append(meta)
        return "it is ahead of what was published." if meta["positions"] > 1 else None

    found = CheckpointStore(tmp_path).newest(refuse)
    assert seen == [{"positions": 2}, {"positions": 1}]
    assert found.checkpoint.number == 1
    assert found.problems == ("Checkpoint 2 is not used: it is ahead of what was published.",)


def test_a_damaged_one_does_not_push_out_the_sound_one_that_replaced_it(tmp_path):
    store(tmp_path, 3)
    flip(tmp_path / "00000003" / "lists.bin")
    made = CheckpointStore(tmp_path, disk=FaultyDisk())
    assert made.newest().checkpoint.number == 2
    assert made.save(writer("state 4"), {"positions": 4}).number == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000002", "00000004"]


def test_of_a_newer_format_nothing_is_read(tmp_path):
    from tsds_stream.sealed import seal

    store(tmp_path, 2)
    (tmp_path / "00000002" / "checkpoint.json").write_bytes(seal({"format": 2, "meta": {}, "files": {}}))
    found = CheckpointStore(tmp_path).newest()
    assert found.checkpoint.number == 1
    assert "has format 2, and this version reads 1" in found.problems[0]


def failure(directory, disk):
    """What ended the third save; None: nothing did."""
    try:
        CheckpointStore(directory, disk=disk).save(writer("state 3", disk), {"positions": 3})
    except (Crash, CheckpointError) as stop:
        return stop
    return None


@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_fault_at_any_operation_a_whole_checkpoint_is_found(tmp_path, fault):
    root = tmp_path / "before"
    store(root, 2)
    disk = FaultyDisk()
    shutil.copytree(root, tmp_path / "dry")
    CheckpointStore(tmp_path / "dry", disk=disk).save(writer("state 3", disk), {"positions": 3})
    found_numbers = set()
    assert len(disk.operations) > 20
    for at in range(len(disk.operations)):
        where = tmp_path / str(at)
        shutil.copytree(root, where)
        broken = FaultyDisk(at, fault)
        stop = failure(where, broken)
        assert isinstance(stop, Crash if fault in CRASHES else CheckpointError) or (not stop and fault == "stays full")
        assert not isinstance(stop, CheckpointError) or "no space is left" in str(stop)
        found = CheckpointStore(where).newest()
        assert found.problems == (), disk.operations[at]
        assert content(found.checkpoint) == f"state {found.checkpoint.number}"
        found_numbers.add(found.checkpoint.number)
        after = CheckpointStore(where, disk=FaultyDisk())
        assert after.newest().checkpoint.number == found.checkpoint.number
        new = found.checkpoint.number + 1
        after.save(writer(f"state {new}"), {"positions": new})
        assert sorted(path.name for path in where.iterdir()) == [f"{new - 1:08d}", f"{new:08d}"]
        shutil.rmtree(where)
    assert found_numbers == {2, 3}


def test_an_error_of_the_writer_leaves_no_trace(tmp_path):
    made = store(tmp_path, 1)

    def full(directory):
        raise OSError(errno.ENOSPC, "No space left on device", str(directory / "lists.bin"))

    def broken(directory):
        (directory / "half").write_text("half")
        raise RuntimeError("the index would not be saved")

    with pytest.raises(CheckpointError, match=r"Could not save a checkpoint: no space is left"):
        made.save(full, {})
    with pytest.raises(RuntimeError, match="would not be saved"):
        made.save(broken, {})
    assert [path.name for path in tmp_path.iterdir()] == ["00000001"]
    assert made.newest().checkpoint.number == 1
