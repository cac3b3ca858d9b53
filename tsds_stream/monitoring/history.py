"""How numbers have moved: the last quarter of an hour closely, the whole run coarsely, in a bounded number of rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from tsds_stream.records import Json

_ROWS = 180
_FIRST_INTERVAL = 5_000  # milliseconds
_RECENT_ROWS = 60
_RECENT_INTERVAL = 15_000  # milliseconds


class _Row(NamedTuple):
    moment: int
    numbers: Mapping[str, float | None]


class History:
    """Rows from the beginning to now. Where `rows` are reached every second one goes and the step doubles.

    Args:
        rows: kept of the whole run; interval: milliseconds between the first of them.
        recent: the last rows that are kept beside them, at least `_RECENT_INTERVAL` apart.
    """

    def __init__(self, rows: int = _ROWS, interval: int = _FIRST_INTERVAL, recent: int = _RECENT_ROWS) -> None:
        self._most = rows
        self._interval = interval
        self._rows: list[_Row] = []
        self._recent: deque[_Row] = deque(maxlen=recent)

    def add(self, now: int, numbers: Mapping[str, float | None]) -> None:
        """Note the numbers of this moment (milliseconds), unless the last row is still young."""
        row = _Row(now, dict(numbers))
        if not self._recent or not 0 <= now - self._recent[-1].moment < _RECENT_INTERVAL:
            self._recent.append(row)
        if self._is_young(now):
            return
        if len(self._rows) >= self._most:
            del self._rows[1::2]
            self._interval *= 2
            if self._is_young(now):
                return
        self._rows.append(row)

    def document(self) -> Json:
        """Columns in the order in which they came, and rows by time; null where a row lacks a number."""
        by_moment = {row.moment: row for row in (*self._rows, *self._recent)}
        rows = [by_moment[moment] for moment in sorted(by_moment)]
        names = list(dict.fromkeys(name for row in rows for name in row.numbers))
        return {
            "columns": ["time", *names],
            "rows": [[row.moment, *(row.numbers.get(name) for name in names)] for row in rows],
        }

    def _is_young(self, now: int) -> bool:
        return bool(self._rows) and 0 <= now - self._rows[-1].moment < self._interval
