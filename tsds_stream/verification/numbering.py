"""The series of revisions of one target set: every number once, none skipped, nothing going backwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tsds_stream.records import Json
from tsds_stream.streams.base import Positions
from tsds_stream.verification.report import Report


class Ordered(Protocol):
    """What puts positions in order."""

    def progress(self, positions: Positions) -> Any: ...


def check_series(name: str, records: Sequence[Json], log: Ordered, report: Report, *, whole: bool) -> None:
    """Faults of the series of records, in the order in which they were published.

    Args:
        whole: it begins with 1.
    """
    expected = 1 if whole or not records else int(records[0]["revision"])
    before: Json | None = None
    for record in records:
        number = int(record["revision"])
        if number != expected:
            what = "is there again" if number < expected else f"follows {expected - 1}"
            report.fault("numbers", f"revision {number} of {name!r} {what}", name, number, expected=expected)
        elif before is not None:
            _check_step(name, before, record, log, report)
        before, expected = record, max(expected, number + 1)


def _check_step(name: str, before: Json, record: Json, log: Ordered, report: Report) -> None:
    number = record["revision"]
    if before["size"] + record["added"] - record["removed"] != record["size"]:
        sentence = (
            f"revision {number} of {name!r} has {record['size']} members, and the one before has {before['size']}, "
            f"with {record['added']} added and {record['removed']} removed"
        )
        report.fault("size", sentence, name, number)
    if log.progress(record["positions"]) < log.progress(before["positions"]):
        sentence = f"revision {number} of {name!r} is of positions before those of the revision before it"
        report.fault("positions", sentence, name, number)
