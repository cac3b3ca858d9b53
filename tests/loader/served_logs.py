"""Served logs on disk for tests, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tsds_stream.loader.served_reader import Entry, ServedReader
from tsds_stream.loader.served_segments import folder_of, segments_in
from tsds_stream.loader.served_writer import ServedWriter

START = 1_790_000_000_000  # milliseconds


def name(step: int, place: int, rank: int = 0) -> str:
    return f"d{step:05}-{rank}-{place}"


class Clock:
    """Moves by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> int:
        self.time += 1000
        return self.time


def life(
    directory: Path, begin: int, end: int, rank: int = 0, world_size: int = 1, mark: str = "", **settings: Any
) -> None:
    """A life of one rank that serves two documents in each step from `begin` to before `end`."""
    now = settings.pop("now", None) or Clock()
    writer = ServedWriter(directory, rank, world_size, now=now, **settings)
    writer.begin(begin)
    for step in range(begin, end):
        writer.write(step, now(), "default", 1, 0, [name(step, place, rank) + mark for place in (0, 1)])
    writer.close()


def segments(directory: Path, rank: int = 0) -> list[Path]:
    return list(segments_in(folder_of(directory, rank)).values())


def sequence(directory: Path) -> list[tuple[int, int, list[str]]]:
    """(step, rank, ids) of what counts, in order; there must be nothing wrong with the log."""
    reader = ServedReader(directory)
    found = [(entry.step, entry.rank, entry.ids) for entry in reader.in_order()]
    assert reader.problems == []
    return found


def entries(directory: Path) -> tuple[list[Entry], list[str]]:
    """All that can be read, and what is wrong."""
    reader = ServedReader(directory)
    found = list(reader)
    return found, reader.problems
