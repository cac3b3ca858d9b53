"""Several sources one after the other, as one stream: what `select --documents A B C` reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tsds_stream.streams.base import Batch, Positions, Source, SourceError
from tsds_stream.streams.listing import Place


class ChainedSource:
    """Reads each source to its end before it begins the next one, so none of them may follow.

    Positions are those of the sources that were begun, in order: {"parts": [...]}.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        if not sources:
            raise ValueError("a chain needs at least one source")
        self._sources = list(sources)
        self.rewindable = all(source.rewindable for source in sources)
        self.seek(None)

    def seek(self, positions: Positions | None) -> None:
        """Continue after `positions`. Raises `SourceError`."""
        if positions is not None and not 0 < len(positions.get("parts", ())) <= len(self._sources):
            raise SourceError(f"These are no positions of {len(self._sources)} sources in a row: {positions!r:.200}.")
        parts = [] if positions is None else positions["parts"]
        for index, source in enumerate(self._sources):
            source.seek(parts[index] if index < len(parts) else None)  # those behind may have been begun, too
        self._parts: list[Positions] = list(parts)
        self._now = max(0, len(parts) - 1)
        self._reached = False

    def poll(self, limit: int, timeout: float, until: Positions | None = None) -> Batch:
        """Records of one of the sources; see `Source.poll`."""
        ends = None if until is None else until["parts"]
        source = self._sources[self._now]
        end = None if ends is None or self._now >= len(ends) else ends[self._now]
        batch = source.poll(limit, timeout, end)
        self._parts[self._now :] = [batch.positions]
        last = len(self._sources) if ends is None else len(ends)
        done = source.exhausted or (end is not None and batch.positions == end)
        self._reached = done and self._now + 1 >= last
        if done and not self._reached:
            self._now += 1
        return Batch(batch.documents, batch.dead_letters, {"parts": list(self._parts)}, batch.size)

    @property
    def exhausted(self) -> bool:
        """The last source is read (up to `until` of the last poll)."""
        return self._reached

    def unreachable(self, state: Positions | None, committed: Positions) -> str | None:
        """The first reason that a source gives of the parts that both have begun."""
        begun = [None] * len(self._sources) if state is None else state["parts"]
        pairs = zip(self._sources, begun, committed["parts"], strict=False)
        reasons = (source.unreachable(before, after) for source, before, after in pairs)
        return next((reason for reason in reasons if reason is not None), None)

    def reaches_back(self, positions: Positions) -> bool:
        """Whether every source that was begun does."""
        pairs = zip(self._sources, positions["parts"], strict=False)
        return all(source.reaches_back(part) for source, part in pairs)

    def rest(self) -> None:
        """Of the source that is being read."""
        self._sources[self._now].rest()

    def lag(self) -> Mapping[str, float]:
        """The sum over all sources."""
        total: Counter[str] = Counter()
        for source in self._sources:
            total.update(source.lag())
        return dict(total)

    def close(self) -> None:
        """Close every source."""
        for source in self._sources:
            source.close()


def total_bytes(paths: Sequence[str]) -> int | None:
    """Bytes of all files that `paths` name, as a progress bar wants them; None: a pipe is among them."""
    if "-" in paths:
        return None
    return sum(status.st_size for path in paths for status in Place(path).files().values())
