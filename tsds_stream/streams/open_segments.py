"""The segments of a revision, opened for reading: most of them at once, and never more than the process can afford."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tsds_stream.sealed import check_file
from tsds_stream.streams.layout import SetLayout
from tsds_stream.streams.segments import RESTORE, Segment, SegmentInfo

AT_ONCE: Final = 200  # each keeps two file descriptors of a thousand, usually; at a change-over there are two revisions


class OpenSegments:
    """Segments by number. The index of each is compared with its sha256 when the segment is first asked for.

    What is open stays readable when its file is deleted. Beyond `at_once` segments, one is closed for each that is
    opened.

    Attributes:
        ready: those that are open, with an index that was compared. For a loop that asks for many rows.

    Args:
        layout: of the target set.
        infos: what the manifest says of the segments.
        at_once: how many are open at most.

    Raises:
        DamagedFileError: a file is missing or has another size than the manifest says.
    """

    def __init__(self, layout: SetLayout, infos: Sequence[SegmentInfo], at_once: int = AT_ONCE) -> None:
        self._layout = layout
        self._infos = {info.number: info for info in infos}
        self._at_once = at_once
        self._sound: set[int] = set()
        self.ready: dict[int, Segment] = {}
        for info in infos[at_once:]:
            check_file(layout.lines(info.number), info.data_bytes, None, RESTORE)
            check_file(layout.index(info.number), info.index_bytes, None, RESTORE)
        self._open = {info.number: Segment(layout, info) for info in infos[:at_once]}

    @property
    def all_stay_open(self) -> bool:
        """Whether none is ever closed for another."""
        return len(self._infos) <= self._at_once

    def __iter__(self) -> Iterator[int]:
        return iter(self._infos)

    def __getitem__(self, number: int) -> Segment:
        """A segment, with an index that is what was written. Raises `DamagedFileError`."""
        segment = self.ready.get(number)
        if segment is not None:
            return segment
        segment = self._open.get(number)
        if segment is None:
            segment = Segment(self._layout, self._infos[number])
            while len(self._open) >= self._at_once:
                oldest = next(iter(self._open))
                self.ready.pop(oldest, None)
                self._open.pop(oldest, None)
            self._open[number] = segment
        if number not in self._sound:
            segment.check_index()
            self._sound.add(number)
        self.ready[number] = segment
        return segment

    def verify(self) -> None:
        """Read every segment and compare the checksums. Raises `DamagedFileError`."""
        for number, info in self._infos.items():
            (self._open.get(number) or Segment(self._layout, info)).verify()
