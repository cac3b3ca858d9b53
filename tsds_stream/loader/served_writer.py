"""Writes the served log of one rank, so that a kill at any moment loses nothing of what was yielded."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tsds_stream.durable import Disk, make_directories, sentence
from tsds_stream.loader.served_log import ServedLogError
from tsds_stream.loader.served_records import Header, line_of, line_of_header
from tsds_stream.loader.served_segments import cut_tail, finish, folder_of, is_raw, raw_segment, segments_in
from tsds_stream.lock import LockedError, WriterLock
from tsds_stream.streams.clocks import wall_clock

log = logging.getLogger(__name__)

SEGMENT: Final = 1 << 22  # bytes


class ServedWriter:
    """The `ServedLog` of one rank in a directory that all ranks of a run, and all its lives, share.

    What was written is safe from a kill of the process at once, and from a power cut after `sync`. One call of `write`
    is one write to a file.

    Args:
        directory: of the log; it is made if need be.
        rank, world_size: of this process.
        segment: bytes after which a file is finished and compressed.
        disk, append, now: where a test injects faults, and the time.

    Raises:
        ServedLogError: another process writes the log of this rank, or it cannot be written.
    """

    def __init__(
        self,
        directory: Path | str,
        rank: int = 0,
        world_size: int = 1,
        *,
        segment: int = SEGMENT,
        disk: Disk | None = None,
        append: Callable[[int, bytes], int] = os.write,
        now: Callable[[], int] = wall_clock,
    ) -> None:
        self._directory, self._rank, self._world_size = Path(directory), rank, world_size
        self._folder = folder_of(self._directory, rank)
        self._largest, self._append, self._now = segment, append, now
        self._disk = disk if disk is not None else Disk()
        self._held = _Held()
        weakref.finalize(self, self._held.close)
        self._life: Header | None = None
        self._next = 0  # the step that is to be written next
        self._number = 0  # of the segment
        self._length = 0  # of the segment, in bytes
        self._synced = True
        self._open()

    def begin(self, step: int) -> None:
        if self._held.lock is None:
            self._open()
        if self._held.file is not None and step == self._next:
            return
        if step == 0 and self._number:
            log.warning(
                "%s has the log of a run already; one begins at step 0, so that all of it counts as given up. "
                "Give a run that is another one a directory of its own.",
                self._folder,
            )
        with self._explained():
            self._finish()
            self._life = Header(self._rank, self._world_size, step, self._now(), 0)
            self._next = step
            self._start(self._life)

    def write(self, step: int, time_ms: int, source: str, revision: int, epoch: int, ids: Sequence[str]) -> None:
        if self._life is None or self._held.file is None:
            raise ServedLogError(f"Nothing is written to {self._folder} before begin(step) was called.")
        if step < self._next - 1:
            raise ValueError(f"step {step} is written after step {self._next - 1}: call begin({step}) before")
        with self._explained():
            if self._length >= self._largest and step >= self._next:  # a step is in one file
                self._finish()
                self._life = self._life._replace(part=self._life.part + 1)
                self._start(self._life)
            self._put(line_of(step, time_ms, source, revision, epoch, ids))
        self._next = step + 1

    def sync(self) -> None:
        if not self._synced and self._held.file is not None:
            with self._explained():
                os.fsync(self._held.file)
            self._synced = True

    def close(self) -> None:
        """Bring all of it to the disk, and let another writer in."""
        try:
            self.sync()
        finally:
            self._held.close()

    def _open(self) -> None:
        """Take the lock, and finish what the life before has left."""
        with self._explained():
            make_directories(self._disk, self._folder)
            try:
                self._held.lock = WriterLock(self._folder / "writer.lock", f"The served log {self._folder}")
            except LockedError as error:
                raise ServedLogError(str(error)) from error
            try:
                self._recover()
            except BaseException:
                self._held.close()
                raise

    def _recover(self) -> None:
        self._number = 0
        for number, path in segments_in(self._folder).items():
            self._number = number
            raw = raw_segment(self._folder, number)
            if not is_raw(path):
                self._disk.remove(raw)  # the kill came when it had just been compressed
                continue
            torn = cut_tail(raw, self._disk)
            if torn:
                log.warning("%s: %s bytes were cut off: a record that was not written to its end", raw, torn)
            if raw.stat().st_size:
                self._compress(raw)
            else:
                self._disk.remove(raw)
                self._number -= 1

    def _start(self, header: Header) -> None:
        """Begin a segment. Where that fails, nothing is open, and the next `begin` tries again."""
        path = raw_segment(self._folder, self._number + 1)
        self._disk.remove(path)  # of an attempt for which there was no space
        self._held.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._length = 0
        try:
            self._put(line_of_header(header))
            self._disk.sync_directory(self._folder)
        except BaseException:
            self._held.close_file()
            self._disk.remove(path)
            raise
        self._number += 1

    def _finish(self) -> None:
        """Close the segment and compress it."""
        if self._held.file is None:
            return
        os.fsync(self._held.file)
        self._held.close_file()
        self._synced = True
        self._compress(raw_segment(self._folder, self._number))

    def _compress(self, path: Path) -> None:
        try:
            finish(path, self._disk)
        except OSError as error:
            log.warning("%s is kept as it is: it could not be compressed (%s)", path, error.strerror or error)

    def _put(self, line: bytes) -> None:
        """All of it or nothing."""
        file = self._held.file
        assert file is not None
        self._synced = False
        try:
            done = self._append(file, line)
            while done < len(line):
                done += self._append(file, line[done:])
        except BaseException:
            try:
                os.ftruncate(file, self._length)
            except OSError:
                self._held.close_file()  # nothing may be written behind half a record
            raise
        self._length += len(line)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            doing = "note what is served, so that nothing more is served"
            raise ServedLogError(sentence(error, doing, self._folder)) from error


class _Held:
    """What the operating system keeps for a writer; apart from it, so that one that is forgotten lets go."""

    def __init__(self) -> None:
        self.lock: WriterLock | None = None
        self.file: int | None = None
        _EVERY.add(self)

    def close_file(self) -> None:
        if self.file is not None:
            os.close(self.file)
            self.file = None

    def close(self) -> None:
        self.close_file()
        if self.lock is not None:
            self.lock.close()
            self.lock = None


_EVERY: weakref.WeakSet[_Held] = weakref.WeakSet()


def _let_go() -> None:
    """In a forked process, such as a worker of a DataLoader: it may outlive its parent, and must not keep the lock."""
    for held in list(_EVERY):
        held.close()


os.register_at_fork(after_in_child=_let_go)
