"""Time to live, by event time: a document is live while its timestamp lies above watermark - ttl."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

_IMPOSSIBLE = -(2**63)


class Expiry:
    """Timestamps of held ids, and the largest timestamp of the stream.

    Args:
        ttl: milliseconds.
    """

    def __init__(self, ttl: int) -> None:
        self.ttl = ttl
        self.watermark = _IMPOSSIBLE
        self.times: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []

    @property
    def cutoff(self) -> int:
        """Documents at or below this timestamp have expired."""
        return self.watermark - self.ttl

    def advance(self, timestamp: int) -> None:
        """A record with this timestamp was read."""
        self.watermark = max(self.watermark, timestamp)

    @property
    def due(self) -> bool:
        """Whether a held id has expired that `expired` has not told yet."""
        return bool(self._queue) and self._queue[0][0] <= self.cutoff

    def hold(self, name: str, timestamp: int) -> None:
        """An id is held, with the timestamp of its last record."""
        if self.times.get(name) != timestamp:
            self.times[name] = timestamp
            heappush(self._queue, (timestamp, name))

    def expired(self) -> list[str]:
        """Ids that have expired since the last call; they are released."""
        names = []
        while self.due:
            timestamp, name = heappop(self._queue)
            if self.times.get(name) == timestamp:
                del self.times[name]
                names.append(name)
        return names

    def tidy(self, count: int, names: Callable[[], set[str]]) -> None:
        """Keep only what is held, so that memory follows it. `names` is asked only when `count` ids are far fewer."""
        if len(self._queue) > 2 * count + 1024 or len(self.times) > 2 * count + 1024:
            held = names()
            self.times = {name: time for name, time in self.times.items() if name in held}
            self._queue = [(time, name) for name, time in self.times.items()]
            heapify(self._queue)

    def restore(self, watermark: int, times: dict[str, int]) -> None:
        """Fill from a saved state."""
        self.watermark, self.times = watermark, times
        self._queue = [(time, name) for name, time in times.items()]
        heapify(self._queue)
