"""Reads a served log: what all ranks were served over all lives of a run, and what of it still counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from tsds_stream.loader.served_lives import Steps, lives_of, without
from tsds_stream.loader.served_log import ServedLogError
from tsds_stream.loader.served_records import Header, UnknownFormatError, header_in, is_whole, served_in, step_in
from tsds_stream.loader.served_segments import Stretch, first_lines, folder_of, ranks_in, read_segment, segments_in
from tsds_stream.lock import holder_of

MOST: Final = 20  # problems that are told one by one
_RESTORE: Final = "Bring it back from a copy if there is one; the rest of the log is read."


class Entry(NamedTuple):
    """Documents of one batch of one rank, all of one source, in the order of the batch.

    Attributes:
        time: when the batch was yielded, in milliseconds since the epoch.
        source: target set, or name within a mixture.
        revision: 0 for documents that come from no selection.
        counts: it was not superseded by a life of the run that went on from an earlier step.
    """

    rank: int
    step: int
    time: int
    source: str
    revision: int
    epoch: int
    ids: list[str]
    counts: bool


class ServedReader:
    """The served log in a directory, also while it is being written. Files are read as entries are asked for.

    Attributes:
        ranks: those that have a log here, ascending.
        size: bytes of all files.
        problems: sentences about what is damaged or missing in what was read so far, at most `MOST` and a count.

    Raises:
        ServedLogError: there is none, or one of another version.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        self._problems: dict[str, None] = {}
        self.ranks = ranks_in(self.directory) if self.directory.is_dir() else []
        if not self.ranks:
            what = "holds no served log: no folder rank-00000" if self.directory.is_dir() else "is not a directory"
            raise ServedLogError(f"{self.directory} {what}. Name the directory that served= of the loader named.")
        self._segments = {rank: segments_in(folder_of(self.directory, rank)) for rank in self.ranks}
        self.size = sum(_size(path) for own in self._segments.values() for path in own.values())
        heads = {rank: self._heads(rank) for rank in self.ranks}
        self._beginnings = {rank: {n: one for n, one in own.items() if one.part == 0} for rank, own in heads.items()}
        largest = max((one.world_size for own in heads.values() for one in own.values()), default=0)
        absent = [rank for rank in range(largest) if rank not in self._segments]
        if absent:
            folders = ", ".join(folder_of(Path(), rank).name for rank in absent[:MOST])
            self._tell(
                f"{len(absent)} of {largest} ranks have no log here ({folders}). Bring the folders of all computers "
                "together in one directory."
            )

    @property
    def problems(self) -> list[str]:
        sentences = list(self._problems)
        more = len(sentences) - MOST
        return sentences if more <= 0 else [*sentences[:MOST], f"{more:,} more of the kind."]

    def __iter__(self) -> Iterator[Entry]:
        return self.entries()

    def entries(
        self,
        ranks: Sequence[int] | None = None,
        *,
        wanted: Callable[[bytes], bool] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> Iterator[Entry]:
        """Rank by rank, each in the order in which it was served.

        Args:
            ranks: those to be read; None: all.
            wanted: whether a line of a segment may hold what is looked for; saves the time of taking it apart.
            progress: told about every file that is behind us, how many bytes it has.
        """
        for rank in self.ranks if ranks is None else ranks:
            yield from self._of_rank(rank, wanted, progress)

    def in_order(
        self, ranks: Sequence[int] | None = None, *, progress: Callable[[int], object] | None = None
    ) -> Iterator[Entry]:
        """What counts, by step, then rank: the sequence that the training has seen."""
        streams = [
            (entry for entry in self._of_rank(rank, None, progress) if entry.counts)
            for rank in (self.ranks if ranks is None else ranks)
        ]
        return merge(*streams, key=attrgetter("step", "rank"))

    def _of_rank(
        self, rank: int, wanted: Callable[[bytes], bool] | None, progress: Callable[[int], object] | None
    ) -> Iterator[Entry]:
        headers = {own: list(one.values()) for own, one in self._beginnings.items()}
        lives = iter(lives_of(rank, headers))
        steps = Steps(rank, without(rank, headers))
        before = 0.0
        for number, path in self._segments[rank].items():
            if number in self._beginnings[rank]:
                life = next(lives)
                before = life.before
                self._tell(steps.begin(life))
            for line in self._sound_lines(rank, path):
                step = step_in(line)
                if step is None:
                    continue
                self._tell(steps.at(step))
                if wanted is None or wanted(line):
                    served = served_in(line)
                    if served.ids:
                        yield Entry(rank, *served, step < before)
            if progress is not None:
                progress(_size(path))

    def _sound_lines(self, rank: int, path: Path) -> Iterator[bytes]:
        damaged, lost, rest = 0, False, 0
        for stretch in self._stretches(path):
            lost |= stretch.damaged
            rest = stretch.rest
            for line in stretch.lines:
                if is_whole(line):
                    yield line
                else:
                    damaged += 1
        if lost:
            self._tell(f"{path}: a part of it cannot be read: its bytes are not those that were written. {_RESTORE}")
        if damaged:
            records = "1 record is" if damaged == 1 else f"{damaged:,} records are"
            self._tell(f"{path}: {records} not what was written. {_RESTORE}")
        if rest and holder_of(folder_of(self.directory, rank) / "writer.lock") is None:
            self._tell(
                f"{path} ends in {rest:,} bytes that are no whole record: one that a kill has cut short before its "
                "batch was served, or damage."
            )

    def _stretches(self, path: Path) -> Iterator[Stretch]:
        try:
            yield from read_segment(path)
        except OSError as error:
            self._tell(f"{path} cannot be read: {error.strerror or error}. {_RESTORE}")

    def _heads(self, rank: int) -> dict[int, Header]:
        """The headers of segments by their number. One that is damaged is put together from what follows it."""
        found: dict[int, Header] = {}
        segments = self._segments[rank]
        for number in range(1, max(segments, default=0) + 1):
            if number not in segments:
                self._tell(f"{folder_of(self.directory, rank)}: segment {number:08d} is missing. {_RESTORE}")
                continue
            try:
                header = self._head(rank, segments[number])
            except OSError:
                header = None  # told when it is read
            if header is not None:
                found[number] = header
        return found

    def _head(self, rank: int, path: Path) -> Header | None:
        try:
            header = next(filter(None, map(header_in, first_lines(path))), None)
        except UnknownFormatError as error:
            raise ServedLogError(f"{path} {error}. Use the version that wrote it.") from None
        if header is not None:
            return header
        for stretch in read_segment(path):
            for line in stretch.lines:
                if is_whole(line) and step_in(line) is not None:
                    first = served_in(line)
                    return Header(rank, 0, first.step, first.time, 0)
        return None

    def _tell(self, sentence: str | None) -> None:
        if sentence is not None:
            self._problems[sentence] = None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # it was compressed meanwhile
        return 0
