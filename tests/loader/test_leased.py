"""How long a lease counts for the writer of a directory, whatever the clocks say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loader.test_leases import lease_files
from tsds_stream.loader.leases import Leases
from tsds_stream.streams.leased import EVERYTHING, Leased

HOUR = 3_600_000


class Clocks:
    """Of a writer: one that may jump, in milliseconds, and one that does not, in seconds."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_000_000_000_000, 0.0

    def __call__(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def pass_time(self, seconds: float) -> None:
        self.wall += int(seconds * 1000)
        self.steady += seconds


def leased_by(root: Path, clocks: Clocks) -> Leased:
    return Leased(root, clocks, clocks.monotonic)


def lease(root: Path, clocks: Clocks, *numbers: int) -> Leases:
    (root / "a").mkdir(exist_ok=True)
    leases = Leases(root / "a" / "leases", "reader", seconds=600.0, now=clocks)
    leases.watch(lambda: numbers)
    leases.refresh()
    return leases


def test_a_stale_lease_expires_and_is_removed(tmp_path: Path) -> None:
    clocks = Clocks()
    leased = leased_by(tmp_path, clocks)
    assert leased("a") == ()
    lease(tmp_path, clocks, 3, 7)
    assert leased("a") == {3, 7}
    clocks.pass_time(599)
    assert leased("a") == {3, 7}
    clocks.pass_time(2)
    assert leased("a") == set()
    assert lease_files(tmp_path) == []


@pytest.mark.parametrize("ahead", [-HOUR, HOUR, -10_000 * HOUR, 10_000 * HOUR])
def test_clocks_that_differ_neither_lose_a_lease_nor_keep_it_for_ever(tmp_path: Path, ahead: int) -> None:
    reader, writer = Clocks(), Clocks()
    writer.wall += ahead
    leases = lease(tmp_path, reader, 3)
    leased = leased_by(tmp_path, writer)
    for _ in range(30):
        assert leased("a") == {3}
        for clocks in (reader, writer):
            clocks.pass_time(300)
        leases.refresh()
    writer.pass_time(300)
    assert leased("a") == {3}
    writer.pass_time(601)
    assert leased("a") == set()


@pytest.mark.parametrize("jump", [-HOUR, HOUR, 10_000 * HOUR])
def test_a_clock_that_jumps_loses_no_lease(tmp_path: Path, jump: int) -> None:
    clocks = Clocks()
    leases = lease(tmp_path, clocks, 3)
    leased = leased_by(tmp_path, clocks)
    assert leased("a") == {3}
    clocks.wall += jump
    clocks.pass_time(60)
    assert leased("a") == {3}
    leases.refresh()
    clocks.pass_time(60)
    assert leased("a") == {3}
    clocks.wall -= jump
    assert leased("a") == {3}
    clocks.pass_time(1300)
    assert leased("a") == set()


def test_a_hold_stands_without_being_renewed_and_ends_when_it_expires(tmp_path: Path) -> None:
    clocks = Clocks()
    leases = lease(tmp_path, clocks)
    leases.hold(5, "run", 7 * 86_400.0)
    clocks.pass_time(7 * 86_400.0 - 1)
    assert leased_by(tmp_path, clocks)("a") == {5}
    clocks.pass_time(2)
    assert leased_by(tmp_path, clocks)("a") == set()


@pytest.mark.parametrize(
    "damage", [b"", b'{"content": {"revisi', b"{}", b"\xff\x00", b'{"content": {}, "sha256": ""}\n']
)
def test_a_lease_that_cannot_be_read_keeps_everything_for_a_while(tmp_path: Path, damage: bytes, caplog) -> None:
    clocks = Clocks()
    lease(tmp_path, clocks, 3)
    (path,) = (tmp_path / "a" / "leases").iterdir()
    path.write_bytes(damage)
    leased = leased_by(tmp_path, clocks)
    assert leased("a") is EVERYTHING
    clocks.pass_time(599)
    assert 10**12 in leased("a")
    clocks.pass_time(2)
    lease(tmp_path, clocks, 4)
    assert leased("a") == {4}
    assert caplog.text.count(path.name) == 1
