"""Noticing what happened to files: new, grown, rotated, truncated, replaced, renamed, gone.

A file is known by its content (`Reader.identity`), not by its name or inode, so this works across restarts and after a
restore to another disk. What was read is never read again, and what was not read is never passed over in silence.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace

from tsds_stream.streams.base import SourceError
from tsds_stream.streams.byte_streams import DamagedFileError, open_bytes
from tsds_stream.streams.file_positions import Event
from tsds_stream.streams.file_state import FileState, Tracked
from tsds_stream.streams.listing import Form, form_of
from tsds_stream.streams.readers import HEAD, digest

log = logging.getLogger(__name__)


class Watcher:
    """Looks at the files of a state and says which may have something to read.

    Args:
        follow: content that was replaced is reported in the log and the new content read from its start; without
            `follow` it is a `SourceError`.
        monotonic: seconds.
    """

    def __init__(self, state: FileState, follow: bool, monotonic: Callable[[], float]) -> None:
        self._state = state
        self._follow = follow
        self._monotonic = monotonic
        self._listing: dict[str, os.stat_result] = {}
        self._gone: list[Event] | None = None  # finished files that are not under their names any more

    def look(self) -> dict[str, int]:
        """Names of files that may have something to read, in order, with the bytes that are left of each."""
        state = self._state
        listing = self._listing = state.place.files()
        self._gone = None
        ready: dict[str, int] = {}
        for name in [name for name in state.tracked if name not in listing]:
            one = state.tracked[name]
            if state.reader(one) is None:
                self._give_up(one)
            else:
                if not one.moved:
                    one.moved, one.idle_since = True, self._monotonic()
                ready[name] = one.reader.left if one.reader is not None else 0
        found: dict[str, int | None] = {}
        for name in sorted(listing, key=lambda name: name not in state.tracked and name not in state.finished):
            # Names that are known first: whether another is new depends on what became of them.
            known = state.tracked.get(name)
            status = listing[name]
            found[name] = self._look_again(known, status) if known else self._look_at_new(name, status)
        for name in listing:
            left = found[name]
            if left is not None:
                ready[name] = left
        return ready

    def _look_again(self, one: Tracked, status: os.stat_result) -> int | None:
        """A file that is being read: what is left of it, None when nothing has changed."""
        seen = (status.st_size, status.st_mtime_ns)
        if one.moved:
            return one.reader.left if one.reader is not None else 0
        if one.reader is not None:
            current = one.reader.status()
            if (current.st_dev, current.st_ino) != (status.st_dev, status.st_ino):
                one.moved = True
                one.idle_since = self._monotonic()
                return one.reader.left
        if seen == one.seen:
            return None
        compressed = bool(_form(one.name).compression)
        if one.offset and (one.reader is None or not compressed or status.st_size < one.seen[0]):
            # The file may have been written anew in place: a comparison of what was read costs little, unless it has
            # to be decompressed, which a growing file is spared.
            one.advance()
            reader = self._state.open(one.name, one.identity, one.offset)
            if reader is None:
                return self._replaced(one, status)
            if one.reader is None:
                one.reader = reader
            else:
                reader.close()
        one.seen = seen
        return status.st_size if one.reader is None else one.reader.left

    def _replaced(self, one: Tracked, status: os.stat_result) -> int:
        """The path holds something else than what was read."""
        in_place = one.reader is not None
        if in_place:
            one.close()
        elif self._state.reader(one) is not None:  # found under another name
            one.idle_since = self._monotonic()
            return one.reader.left if one.reader is not None else 0
        self._give_up(one)
        self._state.track(one.name).seen = (status.st_size, status.st_mtime_ns)
        return status.st_size

    def _give_up(self, one: Tracked) -> None:
        """What was read of a file is the end of it: the rest is not to be had."""
        sentence = self._state.lost(one)
        if not self._follow and os.path.exists(self._state.place.file(one.name)):
            raise SourceError(
                f"{sentence}. Put the old file back, or give the new content a name of its own; "
                "with follow = true a replaced file is read from its start."
            )
        log.warning("%s; what was not read of it is lost to the stream", sentence)
        self._state.leave(one, "moved")

    def _look_at_new(self, name: str, status: os.stat_result) -> int | None:
        """A name that is not being read: new, finished, grown since, replaced, or another name for old content."""
        state = self._state
        seen = (status.st_size, status.st_mtime_ns)
        event = state.finished.get(name)
        if event is not None and event.what != "moved":
            if seen == (event.size, event.modified):
                return None
            reader = state.open(name, event.identity, event.end) if event.end else None
            if reader is not None:
                if status.st_size == event.size:
                    reader.close()
                    state.finished[name] = replace(event, modified=status.st_mtime_ns)
                    return None
                return self._reopen(replace(event, path=name), seen)
            if event.end and _form(name).kind != "text":
                other = state.find(name, event.identity, event.end)
                followed = other in state.finished or other in state.tracked  # under its new name
                if other is not None and not followed:  # it was moved aside, and may have grown before that
                    return self._reopen_moved(event, other)
                if not followed:
                    log.warning(
                        "%s was replaced after it had been read; it is read from its start", state.place.file(name)
                    )
        elif self._is_being_read(name, status):
            return None
        elif (event := self._read_before(name)) is not None:
            log.info("%s holds what was read as %s", name, event.path)
            renamed = Event("renamed", name, event.identity, event.end, *seen)
            state.record(renamed)
            grown = status.st_size != event.size
            return self._reopen(renamed, seen) if grown else None
        state.track(name).seen = seen
        return status.st_size

    def _reopen(self, event: Event, seen: tuple[int, int]) -> int:
        self._state.record(replace(event, what="reopened", size=seen[0], modified=seen[1]))
        self._state.track(event.path, event.identity, event.end).seen = seen
        return max(0, seen[0] - event.size)

    def _reopen_moved(self, event: Event, other: str) -> int:
        """Read the rest of a finished file that is found under another name, before its name is looked at again."""
        self._state.record(replace(event, what="reopened"))
        one = self._state.track(event.path, event.identity, event.end)
        one.reader = self._state.open(other, event.identity, event.end)
        one.moved, one.idle_since = True, self._monotonic()
        return one.reader.left if one.reader is not None else 0

    def _is_being_read(self, name: str, status: os.stat_result) -> bool:
        """Whether a new name is that of a file which is still read under the name that it had before."""
        for one in self._state.tracked.values():
            if one.moved and one.reader is not None:
                current = one.reader.status()
                if (current.st_dev, current.st_ino) == (status.st_dev, status.st_ino):
                    return True
        return False

    def _read_before(self, name: str) -> Event | None:
        """The event of a finished file whose content is found under a new name, its own being gone or taken."""
        state = self._state
        if self._gone is None:
            self._gone = [
                event
                for path, event in state.finished.items()
                if event.end and (event.what == "moved" or path not in self._listing)
            ]
            self._gone.sort(key=lambda event: -event.end)  # several may be the same file: the last one went furthest
        gone = self._gone
        form = form_of(name)
        if not gone or form is None or form.kind == "text":  # the name of a text is its id: another name, another text
            return None
        heads: dict[int, str] = {}
        data = b"" if form.kind == "parquet" else self._head(name, form.compression)
        for event in gone:
            length = min(HEAD, event.end)
            if form.kind != "parquet":
                if length > len(data):
                    continue
                if length not in heads:
                    heads[length] = digest(data[:length])
                if heads[length] != event.identity[:16]:
                    continue
            reader = state.open(name, event.identity, event.end)
            if reader is not None:
                reader.close()
                return event
        return None

    def _head(self, name: str, compression: str) -> bytes:
        stream = open_bytes(self._state.place.file(name), compression)
        data = b""
        try:
            while len(data) < HEAD and (more := stream.read(HEAD - len(data))):
                data += more
        except DamagedFileError:
            return b""
        finally:
            stream.close()
        return data


def _form(name: str) -> Form:
    return form_of(name) or Form("lines", "", False)
