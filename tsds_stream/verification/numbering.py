"""The series of revisions of one target set: every number once, none skipped, nothing going backwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tsds_stream.records import Json
from tsds_stream.streams.base import Positions
from tsds_stream.verification.report import Report

_FEW = 5  # changes of one series that are told


class Ordered(Protocol):
    """What knows the order of positions."""

    def told_between(self, before: Positions, after: Positions) -> str | None: ...

    def gone_back(self, before: Positions, after: Positions) -> str | None: ...


def check_series(name: str, records: Sequence[Json], log: Ordered, report: Report, *, whole: bool) -> None:
    """Faults of the series of records, in the order in which they were published.

    Args:
        whole: it begins with 1.
    """
    expected = 1 if whole or not records else int(records[0]["revision"])
    before: Json | None = None
    changes: list[str] = []
    for record in records:
        number = int(record["revision"])
        if number != expected:
            what = "is there again" if number < expected else f"follows {expected - 1}"
            report.fault("numbers", f"revision {number} of {name!r} {what}", name, number, expected=expected)
        elif before is not None:
            _check_size(name, before, record, report)
            told = log.told_between(before["positions"], record["positions"])
            if told is None:
                _check_positions(name, before, record, log, report)
            else:
                changes.append(
                    f"the positions of revision {number} of {name!r} were not held against earlier ones: {told}"
                )
        before, expected = record, max(expected, number + 1)
    report.notes += changes[-_FEW:]
    if len(changes) > _FEW:
        report.notes.append(f"nor were those of {len(changes) - _FEW:,} earlier revisions of {name!r}")


def _check_size(name: str, before: Json, record: Json, report: Report) -> None:
    number = record["revision"]
    if before["size"] + record["added"] - record["removed"] != record["size"]:
        sentence = (
            f"revision {number} of {name!r} has {record['size']} members, and the one before has {before['size']}, "
            f"with {record['added']} added and {record['removed']} removed"
        )
        report.fault("size", sentence, name, number)


def _check_positions(name: str, before: Json, record: Json, log: Ordered, report: Report) -> None:
    back = log.gone_back(before["positions"], record["positions"])
    if back is not None:
        number = record["revision"]
        sentence = f"revision {number} of {name!r} is of positions before those of the revision before it: {back}"
        report.fault("positions", sentence, name, number)
