"""How far the files of a source were read: small positions to publish, and a journal of the files that are finished.

Positions are {"files": {relative path: [identity, offset]}, "finished": [events, digest]}. A file that is read to its
end leaves "files"; a line of the journal says so, and the positions keep only the number of lines and a digest over all
of them. The journal is written and synced before positions that count on it are given out. What stands behind the
positions from which a source goes on was never published and is cut off.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from tsds_stream.durable import Disk, make_directories
from tsds_stream.streams.base import Positions, SourceError

NAME: Final = "finished-files.journal"  # no suffix of documents, should the state lie in their directory
_EMPTY: Final = "0" * 32
_FEW: Final = 16  # events that are also put into the positions

What = Literal["finished", "moved", "renamed", "reopened"]


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal.

    Attributes:
        what: finished: read to its end; moved: the same, and the path now holds something else or nothing; renamed:
            what was read under another name is found here; reopened: a finished file has grown.
        path, identity, end: which file, what its content was, and how far it was read.
        size, modified: of the file at that time (bytes, nanoseconds), to notice changes without opening it.
    """

    what: What
    path: str
    identity: str
    end: int
    size: int
    modified: int


class Journal:
    """The events of one source; `path` None keeps them in memory only (nothing survives, and nothing needs to)."""

    def __init__(self, path: Path | None, disk: Disk | None = None) -> None:
        self.events: list[Event] = []
        self._digests = [_EMPTY]
        self._ends = [0]  # of the lines in the file
        self._synced = 0  # events that are durable
        self._path = path
        self._disk = disk or Disk()

    def load(self) -> None:
        """Read the file; a torn or damaged end is left out (it was never counted on)."""
        self.events, self._digests, self._ends, self._synced = [], [_EMPTY], [0], 0
        if self._path is None or not self._path.exists():
            return
        for line in self._path.read_bytes().splitlines(keepends=True):
            try:
                event = Event(**orjson.loads(line))
            except (orjson.JSONDecodeError, TypeError):
                break
            if _line(event) != line:
                break
            self.add(event)
        self._synced = len(self.events)

    def add(self, event: Event) -> None:
        """Append; durable only after `sync`."""
        line = _line(event)
        self.events.append(event)
        self._digests.append(blake2b(bytes.fromhex(self._digests[-1]) + line, digest_size=16).hexdigest())
        self._ends.append(self._ends[-1] + len(line))

    def sync(self) -> None:
        """Make everything that was added durable. Raises `OSError`."""
        if self._path is not None and self._synced < len(self.events):
            created = not self._path.exists()
            if created:
                make_directories(self._disk, self._path.parent)
            data = b"".join(map(_line, self.events[self._synced :]))
            self._disk.append(self._path, self._ends[self._synced], data)
            self._disk.sync(self._path)
            if created:
                self._disk.sync_directory(self._path.parent)
        self._synced = len(self.events)

    def cut(self, count: int) -> None:
        """Forget all but the first `count` events, durably. Raises `OSError`."""
        del self.events[count:], self._digests[count + 1 :], self._ends[count + 1 :]
        self._synced = min(self._synced, count)
        if self._path is not None and self._path.exists():
            end = self._ends[self._synced]
            if self._path.stat().st_size > end:
                self._disk.truncate(self._path, end)
                self._disk.sync(self._path)

    def digest(self, count: int) -> str | None:
        """Of the first `count` events; None when there are fewer."""
        return self._digests[count] if count < len(self._digests) else None


def _line(event: Event) -> bytes:
    return orjson.dumps(asdict(event)) + b"\n"


@dataclass(slots=True)
class FilePositions:
    """Positions taken apart.

    Attributes:
        files: the files that are being read, with identity and offset, in the order in which they were begun.
        count, digest: how many events of the journal count, and the digest over them.
        events: these events, while they are few: so that losing the journal of a small source loses nothing.
    """

    files: dict[str, tuple[str, int]]
    count: int
    digest: str
    events: list[Event]

    @classmethod
    def parse(cls, positions: Positions | None) -> FilePositions:
        """Raises `SourceError` when they are not positions of files."""
        if positions is None:
            return cls({}, 0, _EMPTY, [])
        try:
            entries: dict[str, Any] = positions["files"]
            count, digest = positions["finished"]
            files = {str(path): (str(identity), int(offset)) for path, (identity, offset) in entries.items()}
            events = [Event(*fields) for fields in positions.get("events", [])]
            return cls(files, int(count), str(digest), events)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise SourceError(
                f"These are no positions of a file source: {positions!r:.200}. Another kind of source wrote this "
                "state; give this one a state directory and a sink of its own."
            ) from None

    def settle(self, journal: Journal) -> None:
        """See to it that the journal holds the events that count here. Raises `SourceError` when it cannot."""
        if journal.digest(self.count) == self.digest:
            return
        if self.events:
            journal.cut(0)
            for event in self.events:
                journal.add(event)
        if journal.digest(self.count) != self.digest:
            raise SourceError(
                f"The positions count on {self.count} lines of {NAME} in the state directory, which holds "
                f"{'others' if len(journal.events) >= self.count else f'only {len(journal.events)}'}. Restore that "
                "file, or start over with an empty state directory and an empty sink."
            )


def ahead(state: FilePositions, committed: FilePositions) -> str | None:
    """Why `committed` does not lie after `state`, in a sentence, as far as the positions alone can tell; or None."""
    if state.count > committed.count:
        return f"It is ahead of what is committed: {state.count} files were finished, against {committed.count}."
    if state.count == committed.count:  # otherwise a file may have been finished meanwhile, and begun anew
        for name, (_, offset) in state.files.items():
            held = committed.files.get(name, ("", 0))[1]
            if offset > held:
                return f"It is ahead of what is committed: {name} at {offset} against {held}."
    return None


def positions_of(files: dict[str, tuple[str, int]], journal: Journal, count: int) -> Positions:
    """Positions after `count` events of the journal, with `files` being read."""
    positions: Positions = {
        "files": {path: [identity, offset] for path, (identity, offset) in files.items()},
        "finished": [count, journal.digest(count)],
    }
    if 0 < count <= _FEW:
        positions["events"] = [list(asdict(event).values()) for event in journal.events[:count]]
    return positions
