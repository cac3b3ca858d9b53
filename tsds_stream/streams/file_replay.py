"""Reading exactly up to positions that were reached before, in the order in which files were finished."""

from __future__ import annotations

from tsds_stream.streams.base import SourceError
from tsds_stream.streams.file_positions import FilePositions
from tsds_stream.streams.file_state import FileState, Tracked


class Step:
    """The next stretch to be read: one file up to `end`, where its content must have `identity`."""

    def __init__(self, state: FileState, one: Tracked, identity: str, end: int, finishes: bool) -> None:
        self.one = one
        self.end = end
        self._state = state
        self._identity = identity
        self._finishes = finishes
        if one.offset < end and one.reader is None:
            self._open()

    def _open(self) -> None:
        one, state = self.one, self._state
        if one.offset or state.begins_alike(one.name, self._identity, self.end):
            one.reader = state.open(one.name, one.identity, one.offset)
        if one.reader is None:
            other = state.find(one.name, self._identity, self.end)  # moved aside since
            if other is not None:
                one.reader = state.open(other, one.identity, one.offset)
        if one.reader is None:
            raise SourceError(
                f"{state.lost(one)}. Its bytes {one.offset} to {self.end} are needed again, to restore what was "
                "published. Put the file back, or start over with an empty state directory and an empty sink."
            )

    def settle(self) -> None:
        """After reading: check that it was the same content; a finished file is left."""
        one = self.one
        one.advance()
        if one.offset < self.end:
            return
        if one.identity != self._identity:
            raise SourceError(
                f"{self._state.place.file(one.name)} has changed in what was read before (up to {self.end}). Put the "
                "old content back, or start over with an empty state directory and an empty sink."
            )
        if self._finishes:
            one.close()
            del self._state.tracked[one.name]
            self._state.note(self._state.journal.events[self._state.count])
            self._state.count += 1


def next_step(state: FileState, target: FilePositions) -> Step | None:
    """What has to be read next to reach `target`; None when it is reached. Raises `SourceError`."""
    if state.count > target.count:
        raise SourceError(f"{state.count} files were finished already, and reading was to end at {target.count}")
    while state.count < target.count:
        event = state.journal.events[state.count]
        if event.what in ("finished", "moved"):
            one = state.tracked.get(event.path) or state.track(event.path)
            step = Step(state, one, event.identity, event.end, finishes=True)
            if one.offset < event.end:
                return step
            if event.end:
                step.settle()
            else:
                state.tracked.pop(event.path).close()
                state.note(event)
                state.count += 1
            continue
        if event.what == "reopened":
            state.track(event.path, event.identity, event.end)
        state.note(event)
        state.count += 1
    for name, (identity, offset) in target.files.items():
        one = state.tracked.get(name) or state.track(name)
        if one.offset > offset:
            raise SourceError(f"{name} was read up to {one.offset} already, beyond {offset}, where reading was to end")
        if one.offset < offset:
            return Step(state, one, identity, offset, finishes=False)
    return None
