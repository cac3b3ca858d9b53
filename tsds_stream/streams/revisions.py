"""Reading a snapshot directory: which revisions there are, what is in one, what differs between two.

Readers need no lock. They see only what `LATEST` says is published, which is certain to stay.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from mmap import PAGESIZE
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from tsds_stream.digests import digest_of
from tsds_stream.records import Json
from tsds_stream.sealed import DamagedFileError, unseal
from tsds_stream.streams.base import Sent
from tsds_stream.streams.layout import Layout, SetLayout, numbered
from tsds_stream.streams.manifest import Manifest, is_derived, read_manifest, read_members
from tsds_stream.streams.open_segments import OpenSegments
from tsds_stream.streams.segments import RESTORE

REPAIR = "Start the writer once: it makes this file anew."


class NoSuchRevisionError(Exception):
    """The directory has no such target set or revision; the message says which it has."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a consumer of one revision has to do to hold the other; ids ascending.

    Attributes:
        added, removed: ids that come and go.
        changed: (id, what was sent before, what was sent after) of those that were sent again.
    """

    added: list[str]
    removed: list[str]
    changed: list[tuple[str, Sent, Sent]]


class StoredRevision:
    """One revision, read-only. Members are in ascending order of their ids; files are memory-mapped.

    Opening reads the manifest and the table of members, 24 bytes each; everything else is read when it is asked for.

    Args:
        layout: of the target set.
        number: of the revision.
        verify: compare the sha256 of the table of members. That of the index of a segment is compared when the segment
            is first used, and lines have checksums of their own, compared when read.

    Raises:
        DamagedFileError: a file of the revision is missing or not what was written.
    """

    def __init__(self, layout: SetLayout, number: int, *, verify: bool = True) -> None:
        self.manifest: Manifest = read_manifest(layout, number)
        self._layout = layout
        self._members = read_members(layout, self.manifest, verify=verify)
        self._segments = OpenSegments(layout, self.manifest.segments)
        self._segment_of, self._row_of = np.asarray(self._members["segment"]), np.asarray(self._members["row"])
        self._exact = self.probabilities, self.weights
        self._may_differ = np.ones(len(self._members), np.bool_)  # the exact values from those in the record

    @property
    def number(self) -> int:
        return self.manifest.revision

    @property
    def record(self) -> Json:
        """The revision record."""
        return self.manifest.record

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(n,), exact; as published where the directory `is_derived`."""
        return np.asarray(self._members["probability"])

    @property
    def weights(self) -> NDArray[np.float64]:
        """(n,), as `probabilities`."""
        return np.asarray(self._members["weight"])

    @cached_property
    def ids(self) -> list[str]:
        """All ids, ascending."""
        out = np.empty(len(self._members), object)
        for number, here, rows in self._by_segment():
            out[here] = self._segments[number].ids[rows]
        names: list[str] = out.tolist()
        return names

    @cached_property
    def sent(self) -> list[Sent]:
        """What consumers hold of each member."""
        out: list[Sent] = [Sent(0.0, 0.0, b"", 0)] * len(self._members)
        for number, here, rows in self._by_segment():
            segment = self._segments[number]
            columns = (segment.probabilities[rows], segment.weights[rows], segment.multiplicities[rows])
            numbers = (column.tolist() for column in columns)
            for place, key, p, weight, multiplicity in zip(here.tolist(), segment.keys[rows], *numbers, strict=True):
                out[place] = Sent(p, weight, key.tobytes(), multiplicity)
        return out

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, i: int) -> Json:
        """The selection record of the i-th member, with the exact probability and weight of this revision.

        Raises:
            IndexError: there are no i + 1 members.
            DamagedFileError: the record is not what was written.
        """
        line = self._segments[self._segment_of.item(i)].line(self._row_of.item(i))
        record: Json = orjson.loads(line)
        record["probability"], record["weight"] = self._exact[0].item(i), self._exact[1].item(i)
        return record

    def read(self, places: NDArray[np.int64]) -> list[Json]:
        """The members at (k,) places, in this order: as one by one, and faster. Raises as for one of them."""
        documents: list[Json] = []
        segments, ready, loads = self._segments, self._segments.ready, orjson.loads
        for number, row in zip(self._segment_of[places].tolist(), self._row_of[places].tolist(), strict=True):
            # Each line is decoded before the next one is read: long ones would leave the processor's cache else.
            segment = ready.get(number) or segments[number]
            if segment.compared[row]:  # as in `line`, without the call, which costs as much as what it does
                line = segment.data[segment.offsets[row] : segment.offsets[row + 1]]
            else:
                line = segment.line(row)
            documents.append(loads(line))
        for k in np.flatnonzero(self._may_differ[places]).tolist():
            document, place = documents[k], places.item(k)
            probability, weight = self._exact[0].item(place), self._exact[1].item(place)
            if document["probability"] == probability and document["weight"] == weight:
                self._may_differ[place] = False
            else:
                document["probability"], document["weight"] = probability, weight
        return documents

    @property
    def stays_open(self) -> bool:
        """Whether what was opened once stays so: there are not more segments than are kept open."""
        return self._segments.all_stay_open

    def touch(self, places: NDArray[np.int64]) -> None:
        """Have the system read the members at (k,) places into its memory, whichever process asks for them later.

        Raises:
            DamagedFileError: a segment is missing, or its index not what was written.
        """
        for number, row in zip(self._segment_of[places].tolist(), self._row_of[places].tolist(), strict=True):
            segment = self._segments[number]
            start, end = segment.offsets[row], segment.offsets[row + 1]
            segment.data[start:end:PAGESIZE], segment.data[end - 1]  # a byte of each page

    def id(self, i: int) -> str:
        """The id of the i-th member, without those of others."""
        return self._segments[int(self._segment_of[i])].id(int(self._row_of[i]))

    def __iter__(self) -> Iterator[Json]:
        return (self[i] for i in range(len(self)))

    def find(self, name: str) -> int | None:
        """The position of an id, or None."""
        i = bisect_left(range(len(self)), name, key=self.id)
        return i if i < len(self) and self.id(i) == name else None

    def verify(self) -> None:
        """Read every file of the revision and compare checksums and digests.

        Raises:
            DamagedFileError: the first damage found.
        """
        read_members(self._layout, self.manifest)
        self._segments.verify()
        sent = self.sent
        held = digest_of(self.ids, [one.probability for one in sent], [one.weight for one in sent])
        exact = digest_of(self.ids, self.probabilities, self.weights)
        # Of a derived revision the values that count are those that were published, in both tables.
        digests = (("published_digest" if is_derived(self.record) else "digest", exact), ("published_digest", held))
        for name, found in digests:
            expected = self.record.get(name)
            if expected is not None and expected != found:
                path = self._layout.manifest(self.number)
                raise DamagedFileError(path, f"says that the {name} is {expected}, and it is {found}", RESTORE)

    def _by_segment(self) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.uint32]]]:
        for number in self._segments:
            here = np.flatnonzero(self._members["segment"] == number)
            yield number, here, self._members["row"][here]


def target_sets(root: Path | str) -> list[str]:
    """Names of the target sets with at least one revision, ascending."""
    layout = Layout(Path(root))
    return [name for name in layout.set_names() if layout.of(name).latest.exists()]


def latest_revision(root: Path | str, name: str) -> int:
    """The number of the newest revision of a target set.

    Raises:
        NoSuchRevisionError: there is none.
        DamagedFileError: `LATEST` is damaged.
    """
    layout = _existing(root, name)
    return int(unseal(layout.latest, REPAIR)["revision"])


def list_revisions(root: Path | str, name: str) -> tuple[list[Json], list[DamagedFileError]]:
    """The records of the revisions that are kept, ascending, and what is wrong with those that cannot be read.

    Raises as `latest_revision`.
    """
    layout, newest = _existing(root, name), latest_revision(root, name)
    records: list[Json] = []
    damages: list[DamagedFileError] = []
    for number in kept_revisions(layout, newest):
        try:
            records.append(read_manifest(layout, number).record)
        except DamagedFileError as damage:
            if damage.path.exists():  # else the writer has let go of it meanwhile
                damages.append(damage)
    return records, damages


def open_revision(root: Path | str, name: str, number: int | None = None, *, verify: bool = True) -> StoredRevision:
    """A revision of a target set; without number the newest.

    Raises:
        NoSuchRevisionError: it is not there, or not any more.
        DamagedFileError: a file of it, or `LATEST`, is missing or not what was written.
    """
    layout = _existing(root, name)
    while True:
        newest = latest_revision(root, name)
        wanted = newest if number is None else number
        if number is not None and not (1 <= number <= newest and layout.manifest(number).exists()):
            kept = kept_revisions(layout, newest)
            raise NoSuchRevisionError(
                f"{layout.root} does not hold revision {number}; "
                + (f"it keeps {len(kept)} of them, from {kept[0]} to {kept[-1]}." if kept else "it keeps none.")
            )
        try:
            return StoredRevision(layout, wanted, verify=verify)
        except (DamagedFileError, FileNotFoundError):
            # The writer may have let go of the revision meanwhile; its manifest goes first.
            if layout.manifest(wanted).exists() or latest_revision(root, name) == newest:
                raise


def difference(before: StoredRevision, after: StoredRevision) -> Difference:
    """From one revision of a target set to another."""
    old = dict(zip(before.ids, before.sent, strict=True))
    new = dict(zip(after.ids, after.sent, strict=True))
    return Difference(
        [name for name in after.ids if name not in old],
        [name for name in before.ids if name not in new],
        [(name, old[name], sent) for name, sent in new.items() if name in old and old[name] != sent],
    )


def kept_revisions(layout: SetLayout, newest: int) -> list[int]:
    """Numbers of the revisions that are kept, ascending, of those up to the newest."""
    return [n for n, path in numbered(layout.manifests) if path.suffix == ".json" and n <= newest]


def _existing(root: Path | str, name: str) -> SetLayout:
    known = target_sets(root)
    if name not in known:
        has = f"it has {', '.join(known)}" if known else "nothing was published there yet"
        raise NoSuchRevisionError(f"{root} has no revision of a target set {name!r}: {has}.")
    return Layout(Path(root)).of(name)
