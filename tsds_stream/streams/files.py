"""Files as a stream of documents: one file, a directory of them, read once or followed.

Order: without `follow`, files in ascending order of relative path, each from start to end; with it, new and grown files
as they are noticed. A document's place in the stream is (file, decompressed byte or row). Two versions of one document
belong into one file: between files, what is read last wins. A removed file or line retracts nothing
(`{"id": …, "deleted": true}` does).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tsds_stream.codecs import Decoder
from tsds_stream.durable import Disk
from tsds_stream.records import DeadLetter, Json
from tsds_stream.streams.base import Batch, Positions, SourceError
from tsds_stream.streams.clocks import wall_clock
from tsds_stream.streams.file_changes import Watcher
from tsds_stream.streams.file_positions import NAME, FilePositions, Journal, ahead
from tsds_stream.streams.file_replay import next_step
from tsds_stream.streams.file_state import FileState, Tracked
from tsds_stream.streams.line_numbers import LineNumbers
from tsds_stream.streams.lines import TURN
from tsds_stream.streams.listing import SUFFIXES, Form, Place, form_of
from tsds_stream.streams.readers import KEPT, Bad, Piece, Reader
from tsds_stream.streams.settings import FileSourceSettings

_LONG_TURN = 256 << 20  # followed: bytes after which a file that grows without end lets others have a turn


class FileSource:
    """The `Source` of files.

    Args:
        settings: where the files are and how they are read.
        decoder: makes documents of values.
        state: directory of the journal of finished files; None: positions do not survive the process.
        now: milliseconds since 1970; monotonic, sleep: seconds.
    """

    rewindable = True

    def __init__(
        self,
        settings: FileSourceSettings,
        decoder: Decoder,
        state: Path | None = None,
        *,
        now: Callable[[], int] = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        disk: Disk | None = None,
    ) -> None:
        self._settings = settings
        self._decoder = decoder
        self._now, self._monotonic, self._sleep = now, monotonic, sleep
        self._place = Place(settings.path)
        path = self._place.path
        if not (path.is_file() or path.is_dir() or (settings.follow and not path.exists())):
            fault = "is neither a file nor a directory" if path.exists() else "does not exist"
            raise SourceError(f"{path} {fault}. Give source.path a file, or a directory of files ({SUFFIXES}).")
        self._journal = Journal(None if state is None else state / NAME, disk)
        self._numbers = LineNumbers()
        self._state = FileState(self._place, self._journal, settings.max_document_bytes)
        self.seek(None)

    def seek(self, positions: Positions | None) -> None:
        """Continue after `positions`; what a file lost meanwhile is noticed by `poll`. Raises `SourceError`."""
        target = FilePositions.parse(positions)
        self._journal.load()
        target.settle(self._journal)
        self._state.close()
        self._state = FileState(self._place, self._journal, self._settings.max_document_bytes)
        for event in self._journal.events[: target.count]:
            self._state.note(event)
        self._state.count = target.count
        for name, (identity, offset) in target.files.items():
            self._state.track(name, identity, offset)
        self._watcher = Watcher(self._state, self._settings.follow, self._monotonic)
        self._live = False
        self._ready: dict[str, int] = {}  # names that may have something to read, with the bytes that are left
        self._next_look = -1.0
        self._read_in_turn = 0
        self._exhausted = False

    def poll(self, limit: int, timeout: float, until: Positions | None = None) -> Batch:
        """At most `limit` records and some 16 MiB; see `Source.poll`. Raises `SourceError`, `OSError` (journal)."""
        if until is not None:
            return self._replay(limit, until)
        if not self._live:
            self._journal.cut(self._state.count)  # what stands behind was read and never published
            self._live = True
        deadline = self._monotonic() + timeout
        while True:
            batch = self._read(limit)
            left = deadline - self._monotonic()
            if batch.documents or batch.dead_letters or batch.size or self._exhausted or left <= 0:
                return batch
            self._sleep(min(left, self._settings.poll_interval))

    @property
    def exhausted(self) -> bool:
        """Everything is read (up to `until` of the last poll) and the source does not follow, or `until` is reached."""
        return self._exhausted

    def unreachable(self, state: Positions | None, committed: Positions) -> str | None:
        """Whether `state` is ahead; what a file lost is noticed on the way, by `poll`."""
        return None if state is None else ahead(FilePositions.parse(state), FilePositions.parse(committed))

    def reaches_back(self, positions: Positions) -> bool:
        """Whether the files are there is noticed by reading them."""
        return True

    def rest(self) -> None:
        """Files wait."""

    def lag(self) -> Mapping[str, float]:
        """Bytes of files (as they are on disk) that were there at the last look and are not read yet."""
        return {"bytes": float(sum(self._ready.copy().values()))}

    def close(self) -> None:
        self._state.close()
        self._numbers.close()

    def _read(self, limit: int) -> Batch:
        follow = self._settings.follow
        first = self._next_look < 0
        if first or (follow and self._monotonic() >= self._next_look):
            self._look()
        collected = _Collected(limit)
        while self._ready and collected.room:
            name = next(iter(self._ready))
            one = self._state.tracked[name]
            reader = self._state.reader(one)
            if reader is None:
                if one.offset:
                    del self._ready[name]
                    one.seen = (-1, -1)
                    self._look()  # says what became of it
                else:
                    del self._state.tracked[name], self._ready[name]
                continue
            before = one.offset
            piece = self._take(one, reader, collected.room, None, not follow or self._is_left(one))
            collected.add(one, piece)
            one.advance()
            if one.offset != before:
                one.idle_since = self._monotonic()
            self._read_in_turn += one.offset - before
            self._ready[name] = reader.left
            if piece.more and not piece.broken:
                if follow and self._read_in_turn > _LONG_TURN and len(self._ready) > 1:
                    self._ready[name] = self._ready.pop(name)
                    self._read_in_turn = 0
                continue
            del self._ready[name]
            self._read_in_turn = 0
            if piece.broken or self._is_finished(one):
                self._leave(one, broken=piece.broken)
        self._journal.sync()
        self._exhausted = not follow and not self._ready
        return self._batch(collected)

    def _take(self, one: Tracked, reader: Reader, limit: int, until: int | None, final: bool) -> Piece:
        try:
            return reader.take(limit, until, final)
        except OSError as error:
            raise SourceError(f"{self._place.file(one.name)} cannot be read: {error.strerror}") from None

    def _look(self) -> None:
        started = self._monotonic()
        ready = {**self._watcher.look(), **self._ready}
        self._ready = {name: left for name, left in ready.items() if name in self._state.tracked}
        for one in list(self._state.tracked.values()):
            if one.name not in self._ready and one.reader is not None and self._is_finished(one):
                self._leave(one)
        # A look at very many files takes time itself: at most a tenth of all time is spent on it.
        now = self._monotonic()
        self._next_look = now + max(self._settings.poll_interval, 10 * (now - started))

    def _leave(self, one: Tracked, broken: bool = False) -> None:
        moved = one.moved
        self._state.leave(one, "moved" if moved else "finished")
        if moved:
            self._next_look = min(self._next_look, self._monotonic())  # its name may hold another file already

    def _is_left(self, one: Tracked) -> bool:
        """Whether nobody writes to a file any more that was moved aside: nothing came for some looks."""
        return one.moved and self._monotonic() - one.idle_since > 5 * self._settings.poll_interval

    def _is_finished(self, one: Tracked) -> bool:
        """Whether a file that is read to its present end can leave the positions."""
        if not self._settings.follow:
            return True
        if one.moved:
            return self._is_left(one)
        if one.reader is None or one.reader.waiting:
            return False
        if (form_of(one.name) or _LINES).kind in ("parquet", "text"):
            return True
        return self._now() - one.reader.status().st_mtime_ns // 1_000_000 > self._settings.settle * 1000

    def _replay(self, limit: int, until: Positions) -> Batch:
        target = FilePositions.parse(until)
        if self._journal.digest(target.count) != target.digest:
            self._journal.load()  # another source of this state, the live one, has written to it
            target.settle(self._journal)
        collected = _Collected(limit)
        self._exhausted = False
        while collected.room:
            step = next_step(self._state, target)
            if step is None:
                self._exhausted = True
                break
            reader = step.one.reader
            assert reader is not None
            before = reader.offset
            piece = self._take(step.one, reader, collected.room, step.end, False)
            if reader.offset == before and not piece.more:
                raise SourceError(self._state.lost(step.one) + f". It was read up to {step.end} before.")
            collected.add(step.one, piece)
            step.settle()
        return self._batch(collected)

    def _batch(self, collected: _Collected) -> Batch:
        documents, errors = self._decoder.documents(collected.values, sources=collected.sources)
        letters = [self._letter(bad, name) for name, bad in collected.bad]
        for position, error in errors:
            source = collected.sources[position]
            value = collected.values[position]
            kept = value if isinstance(value, bytes) else b""
            letters.append(self._letter(Bad(error.reason, error.detail, source["position"], kept), source["path"]))
        if letters:
            order = {source["path"]: i for i, source in enumerate(collected.sources)}
            letters.sort(key=lambda letter: (order.get(letter.source["path"], -1), letter.source["position"]))
        return Batch(documents, letters, self._state.positions(), collected.size)

    def _letter(self, bad: Bad, name: str) -> DeadLetter:
        source: Json = {"path": name, "position": bad.start}
        form = form_of(name) or _LINES
        one = self._state.tracked.get(name)
        if form.kind == "lines" and (one is None or not one.moved):
            source["line"] = self._numbers.at(self._place.file(name), form.compression, bad.start)
        elif form.kind == "parquet":
            source["row"] = bad.start
        return DeadLetter(bad.reason, bad.detail, source, None, bad.value[:KEPT], self._now())


class _Collected:
    """What one poll has read so far."""

    def __init__(self, limit: int) -> None:
        self.values: list[bytes | Json | None] = []
        self.sources: list[Json] = []
        self.bad: list[tuple[str, Bad]] = []
        self.size = 0
        self._limit = limit

    @property
    def room(self) -> int:
        return 0 if self.size >= TURN else max(0, self._limit - len(self.values) - len(self.bad))

    def add(self, one: Tracked, piece: Piece) -> None:
        name, reader = one.name, one.reader
        self.values += piece.values
        self.sources += [{"path": name, "position": start} for start in piece.starts]
        self.bad += [(name, bad) for bad in piece.bad]
        if reader is not None:
            self.size += reader.offset - one.offset


_LINES = Form("lines", "", False)
