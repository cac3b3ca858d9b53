"""The writing side of one target set: segments and manifests of the next revision, beside those that are in effect."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tsds_stream.durable import Disk, make_directories, temporary, write_in_one_step
from tsds_stream.sealed import DamagedFileError, seal
from tsds_stream.streams.base import Publication, Sent
from tsds_stream.streams.compaction import Compaction, Occupancy
from tsds_stream.streams.layout import SetLayout, numbered
from tsds_stream.streams.manifest import Manifest, read_manifest, read_members, write_manifest
from tsds_stream.streams.segments import Row, Segment, write_segment
from tsds_stream.streams.set_state import EMPTY, SetState, applied

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A revision that is written, and what has to be synced before it may come into effect."""

    state: SetState
    files: list[Path]
    directories: list[Path]


class SetWriter:
    """Files of one target set. Nothing that it writes counts before the commit of the whole directory says so."""

    def __init__(self, disk: Disk, layout: SetLayout, name: str, compaction: Compaction) -> None:
        self.name = name
        self.layout = layout
        self.state = EMPTY
        self._disk = disk
        self._compaction = compaction
        # Segments of each manifest that is kept; None: the manifest cannot be read, so nobody knows.
        self._manifests: dict[int, frozenset[int] | None] = {}

    def load(self, revision: int) -> dict[str, Sent]:
        """Take up `revision` (0: none), remove what lies beyond it, and tell what was sent of each member.

        Raises:
            DamagedFileError: the revision is not whole.
        """
        sent: dict[str, Sent] = {}
        self.state = EMPTY
        if revision:
            manifest = read_manifest(self.layout, revision)
            self.state, sent = self._read(manifest)
        self._clean(revision)
        return sent

    def _read(self, manifest: Manifest) -> tuple[SetState, dict[str, Sent]]:
        members = np.array(read_members(self.layout, manifest))
        ids = np.empty(len(members), object)
        sent: list[Sent | None] = [None] * len(members)
        live = {}
        for info in manifest.segments:
            segment = Segment(self.layout, info)
            segment.verify(lines=False)
            here = np.flatnonzero(members["segment"] == info.number)
            rows = members["row"][here]
            live[info.number] = len(here)
            ids[here] = segment.ids[rows]
            columns = (segment.probabilities[rows], segment.weights[rows], segment.multiplicities[rows])
            keys = segment.keys[rows].tobytes()
            for at, (place, p, weight, multiplicity) in enumerate(
                zip(here.tolist(), *(column.tolist() for column in columns), strict=True)
            ):
                sent[place] = Sent(p, weight, keys[16 * at : 16 * at + 16], multiplicity)
        segments = {info.number: info for info in manifest.segments}
        state = SetState(manifest.record, ids, members, segments, live, manifest.next_segment)
        return state, {name: one for name, one in zip(ids.tolist(), sent, strict=True) if one is not None}

    def _clean(self, revision: int) -> None:
        """Remove what a crash has left: files beyond `revision`, and files that no kept manifest needs."""
        manifests = numbered(self.layout.manifests)
        kept = {number for number, path in manifests if number <= revision and path.suffix == ".json"}
        self._manifests = {number: self._segments_of(number) for number in sorted(kept)}
        for number, path in manifests:
            if number not in kept or path.suffix == ".tmp":
                self._disk.remove(path)
        self._disk.remove(temporary(self.layout.latest))
        needed = self._needed()
        for number, path in numbered(self.layout.segments):
            if number >= self.state.next_segment or (needed is not None and number not in needed):
                self._disk.remove(path)

    def _segments_of(self, revision: int) -> frozenset[int] | None:
        try:
            return frozenset(info.number for info in read_manifest(self.layout, revision).segments)
        except DamagedFileError as error:
            log.warning("an old revision cannot be read any more: %s", error)
            return None

    def _needed(self) -> set[int] | None:
        sets = list(self._manifests.values())
        return None if None in sets else {number for one in sets if one is not None for number in one}

    def prepare(self, publication: Publication) -> Prepared:
        """Write the files of the next revision, which the caller syncs, and tell what holds once it is in effect.

        Raises:
            SinkError: the publication does not follow from the revision before it.
        """
        old = self.state
        after = applied(self.name, old, publication)
        table, live = after.members, after.live
        rows = [Row.of(publication.upserts[i], publication.keys[i]) for i in after.order]
        occupancies = [Occupancy(number, old.segments[number].rows, live[number]) for number in live]
        folded = self._compaction.segments_to_fold(occupancies, len(rows))
        moved = [np.flatnonzero(table["segment"] == number) for number in folded]
        for number, places in zip(folded, moved, strict=True):
            segment = Segment(self.layout, old.segments[number])
            segment.verify(lines=False)
            rows += [segment.row(row) for row in table["row"][places].tolist()]
            del live[number]
        make_directories(self._disk, self.layout.segments)
        make_directories(self._disk, self.layout.manifests)
        segments = {number: old.segments[number] for number in live}
        target = np.concatenate([after.fresh, *moved])
        files: list[Path] = []
        number, large = old.next_segment, self._compaction.large
        for start in range(0, len(rows), large):
            part, places = rows[start : start + large], target[start : start + large]
            segments[number] = write_segment(self._disk, self.layout, number, part)
            files += [self.layout.lines(number), self.layout.index(number)]
            live[number] = len(part)
            table["segment"][places] = number
            table["row"][places] = np.arange(len(part))
            number += 1
        infos = tuple(segments[one] for one in sorted(segments))
        manifest = write_manifest(self._disk, self.layout, publication.revision, infos, number, table)
        files += [self.layout.members(manifest.revision), self.layout.manifest(manifest.revision)]
        directories = [self.layout.segments, self.layout.manifests]
        return Prepared(SetState(publication.revision, after.ids, table, segments, live, number), files, directories)

    def accept(self, state: SetState) -> None:
        """The commit has put the prepared revision into effect."""
        self.state = state
        self._manifests[state.revision] = frozenset(state.segments)

    def announce(self) -> None:
        """Let readers see the revision: by now it is certain to stay.

        Not synced: should a power cut spoil the file, the next recovery makes it anew.
        """
        if self.state.revision:
            content = seal({"revision": self.state.revision, "set": self.name})
            if not self.layout.latest.exists() or self.layout.latest.read_bytes() != content:
                write_in_one_step(self._disk, self.layout.latest, content)

    def retire(self, keep: int, pinned: Callable[[], Collection[int]]) -> None:
        """Remove revisions other than the newest `keep` and the `pinned` ones, and segments that nothing needs.

        A manifest is hidden before `pinned` is asked for the last time: whoever pins a revision and then finds its
        manifest can be sure that it stays.
        """
        old = sorted(self._manifests)[:-keep]
        pins = pinned() if old else ()
        old = [n for n in old if n not in pins]
        if not old:
            return
        for revision in old:
            if self.layout.manifest(revision).exists():
                self._disk.replace(self.layout.manifest(revision), temporary(self.layout.manifest(revision)))
        pins = pinned()
        for revision in [n for n in old if n in pins]:
            if temporary(self.layout.manifest(revision)).exists():
                self._disk.replace(temporary(self.layout.manifest(revision)), self.layout.manifest(revision))
            old.remove(revision)
        before = self._needed()
        for revision in old:
            self._disk.remove(temporary(self.layout.manifest(revision)))
            self._disk.remove(self.layout.members(revision))
            del self._manifests[revision]
        needed = self._needed()
        if before is not None and needed is not None:
            for number in sorted(before - needed):
                self._disk.remove(self.layout.lines(number))
                self._disk.remove(self.layout.index(number))
