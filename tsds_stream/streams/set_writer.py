"""The writing side of one target set: segments and manifests of the next revision, beside those that are in effect."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from operator import lt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsds_stream.durable import TEMPORARY, Disk, make_directories, write_atomically
from tsds_stream.records import Json
from tsds_stream.sealed import DamagedFileError, seal
from tsds_stream.streams.base import Publication, Sent, SinkError
from tsds_stream.streams.compaction import Compaction, Occupancy
from tsds_stream.streams.layout import SetLayout, numbered
from tsds_stream.streams.manifest import MEMBER, Manifest, read_manifest, read_members, write_manifest
from tsds_stream.streams.segments import Row, Segment, SegmentInfo, write_segment

log = logging.getLogger(__name__)

Ids = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class SetState:
    """One revision as the writer needs it to write the next.

    Attributes:
        record: its revision record; None before the first.
        ids: (n,) str, ascending.
        members: (n,) of dtype `MEMBER`, aligned.
        segments: those with members, by number.
        live: how many members each of them has.
        next_segment: the first number that was never used.
    """

    record: Json | None
    ids: Ids
    members: NDArray[np.void]
    segments: dict[int, SegmentInfo]
    live: dict[int, int]
    next_segment: int

    @property
    def revision(self) -> int:
        return int(self.record["revision"]) if self.record is not None else 0


EMPTY = SetState(None, np.empty(0, object), np.empty(0, MEMBER), {}, {}, 1)


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
        self._disk.remove(_temporary(self.layout))
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

    def prepare(self, publication: Publication) -> SetState:
        """Write the files of the next revision durably and tell what will hold once they are in effect.

        Raises:
            SinkError: the publication does not follow from the revision before it.
        """
        old = self.state
        ids, table, incoming = _applied(self.name, old, publication)
        live = _live(table)
        upserts = [publication.upserts[i] for i in incoming]
        rows = [Row.of(upsert, publication.keys[i]) for upsert, i in zip(upserts, incoming, strict=True)]
        fresh = np.flatnonzero(table["segment"] == 0)
        live.pop(0, None)
        folded = self._compaction.segments_to_fold(
            [Occupancy(n, old.segments[n].rows, live[n]) for n in live], len(rows)
        )
        moved = [np.flatnonzero(table["segment"] == number) for number in folded]
        for number, places in zip(folded, moved, strict=True):
            segment = Segment(self.layout, old.segments[number])
            segment.verify(lines=False)
            rows += [segment.row(row) for row in table["row"][places].tolist()]
            del live[number]
        make_directories(self._disk, self.layout.segments)
        make_directories(self._disk, self.layout.manifests)
        segments = {number: old.segments[number] for number in live}
        target = np.concatenate([fresh, *moved])
        next_segment = old.next_segment
        large = self._compaction.large
        for start in range(0, len(rows), large):
            part = rows[start : start + large]
            segments[next_segment] = write_segment(self._disk, self.layout, next_segment, part)
            live[next_segment] = len(part)
            places = target[start : start + large]
            table["segment"][places] = next_segment
            table["row"][places] = np.arange(len(part))
            next_segment += 1
        if rows:
            self._disk.sync_directory(self.layout.segments)
        infos = tuple(segments[number] for number in sorted(segments))
        write_manifest(self._disk, self.layout, publication.revision, infos, next_segment, table)
        return SetState(publication.revision, ids, table, segments, live, next_segment)

    def accept(self, state: SetState) -> None:
        """The commit has put the prepared revision into effect."""
        self.state = state
        self._manifests[state.revision] = frozenset(state.segments)

    def announce(self) -> None:
        """Let readers see the revision: by now it is certain to stay."""
        if self.state.revision:
            content = seal({"revision": self.state.revision, "set": self.name})
            if not self.layout.latest.exists() or self.layout.latest.read_bytes() != content:
                write_atomically(self._disk, self.layout.latest, content)

    def retire(self, keep: int, pinned: Collection[int]) -> None:
        """Remove revisions other than the newest `keep` and the `pinned` ones, and segments that nothing needs."""
        old = [n for n in self._manifests if n <= self.state.revision - keep and n not in pinned]
        if not old:
            return
        before = self._needed()
        for revision in old:
            self._disk.remove(self.layout.manifest(revision))
            self._disk.remove(self.layout.members(revision))
            del self._manifests[revision]
        needed = self._needed()
        if before is not None and needed is not None:
            for number in sorted(before - needed):
                self._disk.remove(self.layout.lines(number))
                self._disk.remove(self.layout.index(number))


def _applied(name: str, old: SetState, publication: Publication) -> tuple[Ids, NDArray[np.void], list[int]]:
    """The members after the publication (segment 0: to be written), and its upserts in ascending order of their ids."""
    number = publication.revision["revision"]
    if number != old.revision + 1:
        raise SinkError(f"Revision {number} of {name!r} cannot follow revision {old.revision}: none may be left out.")
    ids = _objects(publication.members[0])
    upserts = [record["id"] for record in publication.upserts]
    incoming = sorted(range(len(upserts)), key=upserts.__getitem__)
    wanted = _objects([upserts[i] for i in incoming])
    gone, all_gone = _positions(old.ids, _objects(publication.removed))
    at, all_there = _positions(ids, wanted)
    kept = np.ones(len(old.ids), np.bool_)
    kept[gone] = False
    _, known = _positions(old.ids, wanted)
    survives = np.ones(len(ids), np.bool_)
    survives[at[~known]] = False
    if (
        not (all_gone.all() and all_there.all() and len(publication.keys) == len(upserts))
        or np.count_nonzero(survives) != np.count_nonzero(kept)
        or ids[survives].tolist() != old.ids[kept].tolist()
        or not all(map(lt, ids[:-1], ids[1:]))
    ):
        raise SinkError(
            f"Revision {number} of {name!r} does not follow from revision {old.revision} by its own difference. "
            "This is a defect of the program: report it, and start again to go on."
        )
    table = np.zeros(len(ids), MEMBER)
    table[survives] = old.members[kept]
    table["segment"][at] = 0
    table["probability"], table["weight"] = publication.members[1], publication.members[2]
    return ids, table, incoming


def _positions(ids: Ids, wanted: Ids) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each of `wanted` is in the ascending `ids`, and whether it is there at all."""
    if not len(ids) or not len(wanted):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1).astype(np.int64)
    return at, np.asarray(ids[at] == wanted, np.bool_)


def _live(table: NDArray[np.void]) -> dict[int, int]:
    numbers, counts = np.unique(table["segment"], return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def _objects(values: Collection[str]) -> Ids:
    out = np.empty(len(values), object)
    out[:] = list(values)
    return out


def _temporary(layout: SetLayout) -> Path:
    return layout.latest.with_name(layout.latest.name + TEMPORARY)
