"""Files are replaced whole, locks have one holder, and damage has a name."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from tests.faulty_disk import FAULTS, Crash, FaultyDisk
from tsds_stream.durable import Disk, make_directories, sentence, write_atomically
from tsds_stream.lock import LockedError, WriterLock, holder_of
from tsds_stream.sealed import DamagedFileError, check_file, seal, sha256_of, unseal


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_file_is_the_old_one_or_the_new_one_after_any_fault(tmp_path, fault, old):
    outcomes = set()
    at = 0
    while True:
        path = tmp_path / f"{at}" / "file"
        path.parent.mkdir()
        if old is not None:
            path.write_bytes(old)
        try:
            write_atomically(FaultyDisk(at, fault), path, b"something new")
        except (Crash, OSError):
            outcomes.add(path.read_bytes() if path.exists() else None)
            at += 1
            if at < 4:
                continue
        break
    assert outcomes <= {old, b"something new"}
    assert old in outcomes


def test_the_real_disk_does_what_the_faulty_one_pretends(tmp_path):
    disk = Disk()
    make_directories(disk, tmp_path / "a" / "b")
    make_directories(disk, tmp_path / "a" / "b")
    path = tmp_path / "a" / "b" / "file"
    write_atomically(disk, path, b"12345")
    disk.append(path, 5, b"678")
    disk.truncate(path, 7)
    disk.sync(path)
    assert path.read_bytes() == b"1234567"
    disk.append(path.with_name("new"), 0, b"x")
    disk.write(path, [b"parts", memoryview(b" and"), bytearray(b" more")])
    assert path.read_bytes() == b"parts and more"
    disk.remove(path)
    disk.remove(path)
    disk.remove_tree(tmp_path / "a")
    disk.remove_tree(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_what_the_system_says_becomes_a_sentence(tmp_path):
    full = sentence(OSError(errno.ENOSPC, "No space left on device", "/x/file"), "save", tmp_path)
    assert full.startswith("Could not save: no space is left for /x/file. Nothing half-written is in effect.")
    denied = sentence(OSError(errno.EACCES, "Permission denied"), "save", tmp_path)
    assert denied == (
        f"Could not save: {tmp_path} may not be written (Permission denied). "
        f"Give this user the right to write in {tmp_path}."
    )
    assert "Input/output error" in sentence(OSError(errno.EIO, os.strerror(errno.EIO)), "save", tmp_path)


def test_a_sealed_file_comes_back_and_notices_every_change(tmp_path):
    path = tmp_path / "file.json"
    content = {"b": [1, -0.0, 1e300, 5e-324, None], "a": {"é": "\u2028"}, "n": 2**63}
    data = seal(content)
    path.write_bytes(data)
    assert unseal(path, "Do this.") == content
    for at in range(len(data)):
        for spoiled in (data[:at], data[:at] + bytes([data[at] ^ 32]) + data[at + 1 :]):
            path.write_bytes(spoiled)
            with pytest.raises(DamagedFileError, match=r"file\.json .*Do this\."):
                unseal(path, "Do this.")


def test_a_file_is_checked_by_presence_size_and_checksum(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(DamagedFileError, match="is missing"):
        check_file(path, 3, None, "Do this.")
    path.write_bytes(b"abc")
    checksum = sha256_of(path)
    check_file(path, 3, checksum, "Do this.")
    with pytest.raises(DamagedFileError, match="has 3 bytes instead of 4"):
        check_file(path, 4, checksum, "Do this.")
    path.write_bytes(b"abd")
    with pytest.raises(DamagedFileError, match="does not have the sha256"):
        check_file(path, 3, checksum, "Do this.")


def test_a_lock_has_one_holder_and_is_free_after_it(tmp_path):
    path = tmp_path / "lock"
    with WriterLock(path, "The state") as held:
        with pytest.raises(LockedError, match=rf"^The state has a writer already: process {os.getpid()} on .*Stop it"):
            WriterLock(path, "The state")
        held.close()
        WriterLock(path, "The state").close()
    WriterLock(path, "The state").close()


def test_asking_who_holds_a_lock_does_not_keep_anybody_from_taking_it(tmp_path):
    path, asking = tmp_path / "lock", threading.Event()
    WriterLock(path, "The state").close()

    def ask():
        while not asking.wait(0.0):
            holder_of(path)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for _ in range(300):
            WriterLock(path, "The state").close()
    finally:
        asking.set()
        asker.join()
