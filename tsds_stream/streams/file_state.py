"""What a file source knows of its files: which are being read and how far, and which are finished."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

from tsds_stream.streams.base import Positions, SourceError
from tsds_stream.streams.file_positions import Event, Journal, What, positions_of
from tsds_stream.streams.listing import Place, open_reader
from tsds_stream.streams.readers import HEAD, Reader

OPEN_FILES = 64  # readers kept open; a file that is rotated while it is not among them is found by its content


@dataclass(slots=True)
class Tracked:
    """A file that is being read, under the name that it had when it was begun.

    Attributes:
        identity, offset: how far it was given out.
        reader: None while the file is not open.
        moved: the name now holds another file, or none: this one is read to its end and then left.
        seen: (size, modified) at the last look; idle_since: when something was last read from it, in seconds.
    """

    name: str
    identity: str = ""
    offset: int = 0
    reader: Reader | None = None
    moved: bool = False
    seen: tuple[int, int] = (-1, -1)
    idle_since: float = 0.0

    def advance(self) -> None:
        """Take over how far the reader is."""
        if self.reader is not None and self.reader.offset != self.offset:
            self.offset, self.identity = self.reader.offset, self.reader.identity()

    def close(self) -> None:
        if self.reader is not None:
            self.reader.close()
            self.reader = None


class FileState:
    """The files of one source; all of it follows from the positions, the journal and the disk."""

    def __init__(self, place: Place, journal: Journal, limit_bytes: int) -> None:
        self.place = place
        self.journal = journal
        self.tracked: dict[str, Tracked] = {}
        self.finished: dict[str, Event] = {}  # by path, the last event of it
        self.count = 0  # events that are in effect
        self._limit_bytes = limit_bytes

    def positions(self) -> Positions:
        files = {name: (one.identity, one.offset) for name, one in self.tracked.items() if one.offset}
        return positions_of(files, self.journal, self.count)

    def close(self) -> None:
        for one in self.tracked.values():
            one.close()

    def track(self, name: str, identity: str = "", offset: int = 0) -> Tracked:
        """Begin a file, or go on with it."""
        one = self.tracked[name] = Tracked(name, identity, offset)
        return one

    def leave(self, one: Tracked, what: What) -> None:
        """The file is read to its end: out of the positions, into the journal."""
        one.advance()
        size, modified = one.seen
        if one.reader is not None:
            status = one.reader.status()
            size, modified = status.st_size, status.st_mtime_ns
        one.close()
        del self.tracked[one.name]
        if one.offset or what == "finished":
            self.record(Event(what, one.name, one.identity, one.offset, size, modified))

    def record(self, event: Event) -> None:
        """Put an event into effect and into the journal."""
        self.journal.add(event)
        self.count += 1
        self.note(event)

    def note(self, event: Event) -> None:
        """Remember an event that is in the journal."""
        if event.what == "reopened":
            self.finished.pop(event.path, None)
        else:
            self.finished[event.path] = event

    def reader(self, one: Tracked) -> Reader | None:
        """The reader of a file at its offset, opened if need be; None when its content is nowhere."""
        if one.reader is None:
            self._make_room()
            one.reader = self.open(one.name, one.identity, one.offset)
            if one.reader is None and one.offset:
                other = self.find(one.name, one.identity, one.offset)
                if other is not None:
                    one.reader = self.open(other, one.identity, one.offset)
                    one.moved = one.reader is not None
        return one.reader

    def open(self, name: str, identity: str, offset: int) -> Reader | None:
        """A reader of the file `name` at `offset`, if the file holds what was read before."""
        try:
            reader = open_reader(self.place.file(name), name, self._limit_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SourceError(f"{self.place.file(name)} cannot be read: {error.strerror}") from None
        if not offset or (reader.skip_to(offset) and reader.identity() == identity):
            return reader
        reader.close()
        return None

    def begins_alike(self, name: str, identity: str, offset: int) -> bool:
        """Whether the file `name` may hold, up to `offset`, what has this identity: looks at its first bytes only."""
        with suppress(OSError, SourceError):
            reader = open_reader(self.place.file(name), name, self._limit_bytes)
            try:
                return reader.skip_to(min(HEAD, offset)) and reader.identity()[:16] == identity[:16]
            finally:
                reader.close()
        return False

    def find(self, name: str, identity: str, offset: int) -> str | None:
        """The name of the file that holds what was read as `name` before: it was moved aside."""
        for other in self.place.others(name):
            if self.begins_alike(other, identity, offset):
                reader = self.open(other, identity, offset)
                if reader is not None:
                    reader.close()
                    return other
        return None

    def lost(self, one: Tracked) -> str:
        """A sentence about a file whose content is nowhere."""
        path = self.place.file(one.name)
        now = "holds something else now" if os.path.exists(path) else "is gone"
        return f"{path} was read up to {one.offset} and {now}; no other file here begins like it"

    def _make_room(self) -> None:
        readers = [one for one in self.tracked.values() if one.reader is not None]
        for one in readers[: max(0, len(readers) - OPEN_FILES + 1)]:
            one.advance()
            one.close()
