"""Looking back in the history that a status document carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsds_stream.records import Json


def value_before(status: Json, column: str, moment: int) -> float | None:
    """The last known value of a column at or before a moment; None where the history does not reach back so far."""
    pairs = [(time, value) for time, value in _column(status, column) if time <= moment]
    return pairs[-1][1] if pairs else None


def first_flow_after(status: Json, moment: int) -> int | None:
    """The first time after a moment at which documents were read; None: not known of any."""
    return next((time for time, value in _column(status, "documents_per_second") if time > moment and value > 0), None)


def _column(status: Json, name: str) -> list[tuple[int, Any]]:
    columns, rows = status["history"]["columns"], status["history"]["rows"]
    if name not in columns:
        return []
    at = columns.index(name)
    return [(row[0], row[at]) for row in rows if row[at] is not None]
