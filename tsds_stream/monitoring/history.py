"""How numbers have moved over the whole run, in a bounded number of rows."""

from __future__ import annotations

from collections.abc import Mapping

from tsds_stream.records import Json

_ROWS = 240
_FIRST_INTERVAL = 5_000  # milliseconds


class History:
    """At most `rows` rows from the beginning to now: when it is full, every second row goes and the step doubles."""

    def __init__(self, rows: int = _ROWS, interval: int = _FIRST_INTERVAL) -> None:
        self._most = rows
        self._interval = interval
        self._rows: list[tuple[int, Mapping[str, float | None]]] = []

    def add(self, now: int, numbers: Mapping[str, float | None]) -> None:
        """Note the numbers of this moment (milliseconds), unless the last row is still young."""
        if self._is_young(now):
            return
        if len(self._rows) >= self._most:
            del self._rows[1::2]
            self._interval *= 2
            if self._is_young(now):
                return
        self._rows.append((now, dict(numbers)))

    def _is_young(self, now: int) -> bool:
        return bool(self._rows) and 0 <= now - self._rows[-1][0] < self._interval

    def document(self) -> Json:
        """Columns in the order in which they came, and rows, oldest first; null where a row lacks a number."""
        names = list(dict.fromkeys(name for _, numbers in self._rows for name in numbers))
        return {
            "columns": ["time", *names],
            "rows": [[moment, *(numbers.get(name) for name in names)] for moment, numbers in self._rows],
        }
