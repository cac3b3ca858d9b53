"""Many readers or one writer."""

from __future__ import annotations

import threading

from tests.patience import PATIENCE
from tsds_stream.selection.locks import ReadersWriterLock


def test_readers_share() -> None:
    lock = ReadersWriterLock()
    inside = threading.Barrier(2)

    def read() -> None:
        with lock.read():
            inside.wait(PATIENCE)  # passes only when both are inside

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not inside.broken


def test_a_writer_waits_for_readers_and_goes_before_later_ones() -> None:
    lock = ReadersWriterLock()
    order: list[str] = []
    threads = []

    def write() -> None:
        with lock.write():
            order.append("writer")

    def read() -> None:
        with lock.read():
            order.append("late reader")

    with lock.read():
        for work in (write, read):
            threads.append(threading.Thread(target=work))
            threads[-1].start()
            while work is write and not lock._writers_waiting:
                pass
        order.append("first reader")
    for thread in threads:
        thread.join(PATIENCE)
    assert order == ["first reader", "writer", "late reader"]


def test_writers_exclude_each_other() -> None:
    lock = ReadersWriterLock()
    inside = 0
    most = 0

    def write() -> None:
        nonlocal inside, most
        for _ in range(200):
            with lock.write():
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert most == 1


def test_an_error_inside_releases_the_lock() -> None:
    lock = ReadersWriterLock()
    for hold in (lock.read, lock.write):
        try:
            with hold():
                raise KeyError
        except KeyError:
            pass
    with lock.write():
        pass
