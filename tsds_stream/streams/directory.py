"""The snapshot directory: revisions of all target sets, dead letters and positions, published in one step.

Files of a commit are written beside those in effect, and then `commit.json` is replaced by rename: that is the moment
of the commit. `LATEST` of each set follows from it. What a crash leaves beyond the commit is removed by `recover`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from tsds_stream.durable import Disk, make_directories, sentence, temporary, write_atomically, write_in_one_step
from tsds_stream.lock import LockedError, WriterLock
from tsds_stream.records import DeadLetter, Json
from tsds_stream.sealed import DamagedFileError, seal, unseal
from tsds_stream.streams.appended import AppendedFile
from tsds_stream.streams.base import Committed, Positions, Publication, SinkError, Withdrawal
from tsds_stream.streams.compaction import Compaction
from tsds_stream.streams.dead_letters import encode_dead_letter
from tsds_stream.streams.layout import Layout
from tsds_stream.streams.revisions import StoredRevision
from tsds_stream.streams.segments import RESTORE
from tsds_stream.streams.selection_file import write_selection
from tsds_stream.streams.set_writer import SetWriter
from tsds_stream.streams.withdrawals import RECORDED, since_line, withdrawn_line

log = logging.getLogger(__name__)

FORMAT: Final = 1
Pinned = Callable[[str], Collection[int]]  # name of a target set -> revisions that somebody still reads


class DirectorySink:
    """The one writer of a snapshot directory. `recover` comes first, and again after every `SinkError`.

    Args:
        path: the directory; it is made if need be.
        keep_revisions: how many of each target set are kept.
        pinned: revisions that are kept besides.
        selection_file: also write `SET/selection.jsonl` with every revision, at a cost in proportion to its size.
        compaction: when segments are written anew.
        disk: where a test injects faults.

    Raises:
        SinkError: the directory has a writer, or cannot be made.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        keep_revisions: int = 100,
        pinned: Pinned = lambda name: (),
        selection_file: bool = False,
        compaction: Compaction | None = None,
        disk: Disk | None = None,
    ) -> None:
        if keep_revisions < 1:
            raise ValueError(f"keep_revisions must be at least 1, not {keep_revisions}")
        self.layout = Layout(Path(path))
        self._keep = keep_revisions
        self._pinned = pinned
        self._selection_file = selection_file
        self._compaction = compaction if compaction is not None else Compaction()
        self._disk = disk if disk is not None else Disk()
        self._sets: dict[str, SetWriter] = {}
        self._positions: Positions | None = None
        self._dead_letters = AppendedFile(self._disk, self.layout.dead_letters)
        self._withdrawals = AppendedFile(self._disk, self.layout.withdrawn)
        self._withdrawn: list[Withdrawal] | None = None  # for the next commit; None: nobody told of any
        self._recording = False  # what is committed says since when
        self._settled = False
        with self._explained("open the directory"):
            make_directories(self._disk, self.layout.root)
            self._lock = WriterLock(self.layout.lock, f"The directory {self.layout.root}")

    def recover(self) -> Committed:
        """Remove what is not committed, repair what follows from the commit, and tell what is committed.

        Raises:
            SinkError: a file of the commit is damaged, or the disk fails. The message names the file and the remedy.
        """
        self._settled = False
        with self._explained("recover the directory"):
            commit = self._read_commit()
            self._positions = commit["positions"]
            self._disk.remove(temporary(self.layout.commit))
            self._disk.remove(temporary(self.layout.heartbeat))
            committed = Committed(self._positions)
            self._sets = {}
            for name in sorted({*commit["revisions"], *self.layout.set_names()}):
                writer = self._sets[name] = self._writer(name)
                revision = commit["revisions"].get(name, 0)
                if not revision and writer.layout.latest.exists():
                    raise DamagedFileError(self.layout.commit, f"does not know {name!r}, which has revisions", RESTORE)
                members = writer.load(revision)
                if writer.state.record is not None:
                    committed.revisions[name] = writer.state.record
                    committed.members[name] = members
            self._settle(commit)
            for writer in self._sets.values():
                self._derive(writer)
        self._settled = True
        return committed

    def withdraw(self, withdrawals: Sequence[Withdrawal]) -> None:
        self._withdrawn = list(withdrawals)

    def commit(
        self, publications: Sequence[Publication], dead_letters: Sequence[DeadLetter], positions: Positions
    ) -> None:
        """Publish at most one revision of each target set, dead letters and positions, or nothing of it all.

        Raises:
            SinkError: the outcome is unknown until `recover`.
        """
        if not self._settled:
            raise SinkError(f"The directory {self.layout.root} has to be recovered before anything is published.")
        if len({publication.name for publication in publications}) < len(publications):
            raise SinkError("One commit cannot hold two revisions of one target set.")
        self._settled = False
        with self._explained("publish a revision"):
            prepared = [(writer, writer.prepare(one)) for writer, one in [(self._set(p.name), p) for p in publications]]
            revisions = self._revisions() | {writer.name: one.state.revision for writer, one in prepared}
            letters = self._dead_letters.append(b"".join(map(encode_dead_letter, dead_letters)))
            lines = self._withdrawn_lines(revisions, [writer.name for writer, _ in prepared])
            withdrawn = self._withdrawals.append(lines)
            files = [path for _, one in prepared for path in one.files]
            directories = [path for _, one in prepared for path in one.directories]
            files += [self.layout.dead_letters] if dead_letters else []
            files += [self.layout.withdrawn] if lines else []
            self._disk.sync_all(files, directories)
            recording = self._withdrawn is not None
            self._write_commit(revisions, positions, letters, withdrawn if recording else None)
            self._positions, self._recording, self._withdrawn = positions, recording, None
            self._dead_letters.length, self._withdrawals.length = letters, withdrawn
            for writer, one in prepared:
                writer.accept(one.state)
                self._derive(writer)
                writer.retire(self._keep, partial(self._pinned, writer.name))
        self._settled = True

    def heartbeat(self, positions: Positions, now: int) -> None:
        """Say that everything up to `positions` is in effect at `now` (milliseconds since the epoch)."""
        with self._explained("write the heartbeat"):
            # Not synced: after a power cut there is no publisher that could be alive.
            write_in_one_step(self._disk, self.layout.heartbeat, seal({"positions": positions, "time": now}))

    def close(self) -> None:
        """Let another writer in."""
        self._settled = False
        self._lock.close()

    def _set(self, name: str) -> SetWriter:
        if name not in self._sets:
            self._sets[name] = self._writer(name)
        return self._sets[name]

    def _writer(self, name: str) -> SetWriter:
        return SetWriter(self._disk, self.layout.of(name), name, self._compaction)

    def _derive(self, writer: SetWriter) -> None:
        """Make what follows from the commit; by then it is durable."""
        writer.announce()
        if self._selection_file and writer.state.revision:
            revision = StoredRevision(writer.layout, writer.state.revision, verify=False)
            write_selection(writer.layout.selection, revision, self._disk)

    def _read_commit(self) -> Json:
        path = self.layout.commit
        try:
            commit = unseal(path, RESTORE)
        except FileNotFoundError:
            return {"positions": None, "revisions": {}, "dead_letters": 0, RECORDED: 0}
        if commit.get("format") != FORMAT:
            what = f"has format {commit.get('format')}, and this version reads {FORMAT}"
            raise DamagedFileError(path, what, "Use the version of the program that wrote it.")
        return commit

    def _write_commit(
        self, revisions: dict[str, int], positions: Positions | None, dead_letters: int, withdrawn: int | None
    ) -> None:
        content = {"format": FORMAT, "revisions": revisions, "dead_letters": dead_letters, "positions": positions}
        if withdrawn is not None:
            content[RECORDED] = withdrawn
        write_atomically(self._disk, self.layout.commit, seal(content))

    def _withdrawn_lines(self, revisions: dict[str, int], published: Collection[str]) -> bytes:
        """What withdrawn.jsonl grows by, if this commit records withdrawals at all."""
        if self._withdrawn is None:
            return b""
        lines = b"" if self._recording else since_line(self._revisions())
        if self._withdrawn:
            # A set that publishes nothing now has no revision yet that knows of them.
            first = {name: number + (name not in published) for name, number in revisions.items()}
            lines += withdrawn_line(self._withdrawn, first)
        return lines

    def _settle(self, commit: Json) -> None:
        """Cut files that grow to their committed lengths."""
        self._withdrawn, path = None, self._withdrawals.path
        if RECORDED in commit:
            self._recording = self._withdrawals.settle(commit[RECORDED]) and self._withdrawals.length > 0
        else:  # an older version, or a writer that knows of no retractions, was here
            self._withdrawals.settle(path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0)
            self._recording = False
        if not self._dead_letters.settle(commit["dead_letters"]):
            recorded = self._withdrawals.length if self._recording else None
            self._write_commit(self._revisions(), self._positions, 0, recorded)

    def _revisions(self) -> dict[str, int]:
        return {name: writer.state.revision for name, writer in self._sets.items() if writer.state.revision}

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turn what files and values can do to us into a sentence."""
        try:
            yield
        except OSError as error:
            raise SinkError(sentence(error, doing, self.layout.root)) from error
        except (DamagedFileError, LockedError) as error:
            raise SinkError(str(error)) from error
        except (TypeError, ValueError) as error:
            raise SinkError(f"Could not {doing} in {self.layout.root}: {error}") from error
