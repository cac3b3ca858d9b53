"""What the writer of a target set remembers of the last revision, and how the next one follows from it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsds_stream.records import Json
from tsds_stream.streams.base import Publication, SinkError
from tsds_stream.streams.manifest import MEMBER, is_derived
from tsds_stream.streams.segments import SegmentInfo

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


@dataclass(frozen=True, slots=True)
class Applied:
    """The members after a publication, before its records have a place.

    Attributes:
        ids: (n,) str, ascending.
        members: (n,) of dtype `MEMBER`, aligned; segment 0 stands for "to be written".
        live: members that stay where they are, by segment.
        order: the upserts in ascending order of their ids, as positions in the publication.
        fresh: where each of them is in `ids`, in that order.
    """

    ids: Ids
    members: NDArray[np.void]
    live: dict[int, int]
    order: list[int]
    fresh: NDArray[np.int64]


def applied(name: str, old: SetState, publication: Publication) -> Applied:
    """The difference of `publication` applied to `old`.

    Raises:
        SinkError: the result is not what the publication says that its members are.
    """
    number = publication.revision["revision"]
    follows = number > old.revision if is_derived(publication.revision) else number == old.revision + 1
    if not follows:
        raise SinkError(f"Revision {number} of {name!r} cannot follow revision {old.revision}: none may be left out.")
    ids = _objects(publication.members[0])
    upserts = [record["id"] for record in publication.upserts]
    order = sorted(range(len(upserts)), key=upserts.__getitem__)
    wanted = _objects([upserts[i] for i in order])
    gone, all_known = _positions(old.ids, _objects(publication.removed))
    fresh, all_there = _positions(ids, wanted)
    before, known = _positions(old.ids, wanted)
    kept = np.ones(len(old.ids), np.bool_)
    kept[gone] = False
    survives = np.ones(len(ids), np.bool_)
    survives[fresh[~known]] = False
    if not (
        all_known.all()
        and all_there.all()
        and len(publication.keys) == len(upserts)
        and np.array_equal(ids[survives], old.ids[kept])
        and _in_order(ids, fresh)
    ):
        raise SinkError(
            f"Revision {number} of {name!r} does not follow from revision {old.revision} by its own difference. "
            "This is a defect of the program: report it, and start again to go on."
        )
    members = np.zeros(len(ids), MEMBER)
    members[survives] = old.members[kept]
    members["segment"][fresh] = 0
    members["probability"], members["weight"] = publication.members[1], publication.members[2]
    live = dict(old.live)
    left = old.members["segment"][np.concatenate([gone, before[known]])]
    for segment, count in zip(*np.unique(left, return_counts=True), strict=True):
        live[int(segment)] -= int(count)
    return Applied(ids, members, {one: count for one, count in live.items() if count}, order, fresh)


def _in_order(ids: Ids, fresh: NDArray[np.int64]) -> bool:
    """Whether ids ascend around the fresh ones; the others are known to."""
    pairs = [(i, i + 1) for place in fresh.tolist() for i in (place - 1, place)]
    return all(ids[i] < ids[j] for i, j in pairs if i >= 0 and j < len(ids))


def _positions(ids: Ids, wanted: Ids) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each of `wanted` is in the ascending `ids`, and whether it is there at all."""
    if not len(ids) or not len(wanted):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1).astype(np.int64)
    return at, np.asarray(ids[at] == wanted, np.bool_)


def _objects(values: Collection[str]) -> Ids:
    out = np.empty(len(values), object)
    out[:] = list(values)
    return out
