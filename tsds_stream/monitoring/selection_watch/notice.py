"""What is taken note of in the engine's thread: cheap, and in proportion to what has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from tsds_stream.monitoring.selection_watch.causes import Cause
from tsds_stream.records import Document, Json
from tsds_stream.selection.arithmetic import Float32, Float64, UInt64
from tsds_stream.selection.expiry import Expiry
from tsds_stream.selection.revision import Revision
from tsds_stream.streams.base import Publication

if TYPE_CHECKING:
    from tsds_stream.engine.target_set import TargetSet

NAMED: Final = 20  # targets far from the selection that are told with their nearest document
_MOST_ARRIVALS: Final = 1 << 16  # ids that are remembered; then only those that the selector holds


@dataclass(frozen=True, slots=True)
class Examples:
    """The active queries of a target set, ascending by id; all is aligned with it.

    Attributes:
        groups: as the examples name them. Identical examples count for the group of the smallest id.
        weights: (M,) float64; vectors: (M, d) float32 canonical.
    """

    ids: list[str]
    groups: list[str | None]
    weights: Float64
    vectors: Float32


@dataclass(frozen=True, slots=True)
class Notice:
    """One published revision, as copies and as references to what nobody changes any more.

    Attributes:
        time: milliseconds; record: the revision record.
        words, probabilities: every point with mass, by the first word of its key, ascending.
        revision: members, ascending by id, with their weights and keys.
        upserts: selection records that were sent; entered: those of them that are new members.
        left: ids that are no members any more; gone: why, of those that are not held any more, where it is known.
        arrived: ids of `entered` that came since the revision before.
        departures: members that were retracted, expired or came again since then.
        reconfigured, retargeted: parameters or active targets are others than those of the revision before.
        distances: (M,) float64 from each active target to the nearest selected document; nearest: the id of that
            document by the target's row, for the farthest ones.
        examples: when they are new. vectors: (n, d) of the members, when who is nearest to whom has to be found anew.
    """

    time: int
    record: Json
    words: UInt64
    probabilities: Float64
    revision: Revision
    upserts: Sequence[Json]
    entered: Sequence[Json]
    left: Sequence[str]
    gone: Mapping[str, Cause]
    arrived: Set[str]
    departures: int
    reconfigured: bool
    retargeted: bool
    distances: Float64
    nearest: Mapping[int, str | None]
    examples: Examples | None
    vectors: Float32 | None


class Journal:
    """What has happened to one target set since its last publication. Every call is made in the engine's thread.

    Memory is bounded by what is published and by what the selector holds.

    Args:
        one: the set, before anything is read.
    """

    def __init__(self, one: TargetSet) -> None:
        self._one = one
        self._members = set(one.publisher.published)
        self._last = one.publisher.record
        self._arrived: set[str] = set()
        self._tidy_at = _MOST_ARRIVALS
        self._retracted: set[str] = set()
        self._departures = 0
        self._times: dict[str, int] = {}  # event time of members, with a time to live
        self._times_known = False
        self._note_all_times()
        self._new_examples = True
        self._all_vectors = bool(self._members)  # a restart: who is nearest to whom is not known

    def applied(self, documents: Sequence[Document], held: Sequence[str]) -> None:
        """The selectors have taken these records, which were not seen before, and hold some of them."""
        if not self._times_known:  # a replay may have brought other times
            self._note_all_times()
            self._times_known = True
        # Every document of the stream passes here: as little as possible for each.
        hit = self._members.intersection([document.id for document in documents])
        if hit:
            self._note_members({document.id: document for document in documents if document.id in hit})
        self._arrived.update(held)
        if len(self._arrived) > self._tidy_at:
            names = list(self._arrived)
            still = self._one.selector.holds(names).tolist()
            self._arrived = {name for name, is_held in zip(names, still, strict=True) if is_held}
            self._tidy_at = max(_MOST_ARRIVALS, 2 * len(self._arrived))

    def _note_members(self, last: Mapping[str, Document]) -> None:
        """Members have come again or were retracted; their last records."""
        self._departures += len(last)
        for name, document in last.items():
            if document.deleted:
                self._retracted.add(name)
            else:
                self._retracted.discard(name)
        expiry = self._one.selector.expiry
        if expiry is not None:
            self._times.update((name, one.timestamp) for name, one in last.items() if one.timestamp is not None)
            self._note_times(expiry, last.keys())

    def targets_changed(self) -> Examples:
        """Targets or their groups are others; the active ones."""
        self._new_examples = True
        return self._examples()

    def published(self, revision: Revision, publication: Publication) -> Notice:
        """A revision of the selector's present state is durable."""
        selector, record, last = self._one.selector, publication.revision, self._last
        entered = [record for record in publication.upserts if record["id"] not in self._members]
        arrived = {record["id"] for record in entered} & self._arrived
        gone = self._gone(publication.removed)
        retargeted = last is not None and last["targets_digest"] != record["targets_digest"]
        words, probabilities = selector.mass()
        distances, nearest = selector.nearest_selected(NAMED)
        anew = (self._all_vectors or retargeted) and len(publication.upserts) < len(revision.ids)
        notice = Notice(
            time=record["created"],
            record=record,
            words=words,
            probabilities=probabilities,
            revision=revision,
            upserts=publication.upserts,
            entered=entered,
            left=publication.removed,
            gone=gone,
            arrived=arrived,
            departures=self._departures + sum(cause == "expiry" for cause in gone.values()),
            reconfigured=last is not None and last.get("parameters") != record.get("parameters"),
            retargeted=retargeted,
            distances=distances,
            nearest=nearest,
            examples=self._examples() if self._new_examples or retargeted else None,
            vectors=selector.vectors(revision.ids) if anew else None,
        )
        self._members.difference_update(publication.removed)
        self._members.update(record["id"] for record in entered)
        if selector.expiry is not None:
            for name in publication.removed:
                self._times.pop(name, None)
            self._note_times(selector.expiry, [record["id"] for record in entered])
        self._arrived, self._tidy_at = set(), _MOST_ARRIVALS
        self._retracted.clear()
        self._departures = 0
        self._new_examples = self._all_vectors = False
        self._last = record
        return notice

    def _gone(self, left: Sequence[str]) -> dict[str, Cause]:
        """Of those that left and are not held any more, who was retracted and who has expired."""
        gone: dict[str, Cause] = {}
        expiry = self._one.selector.expiry
        for name, held in zip(left, self._one.selector.holds(left).tolist(), strict=True):
            if held:
                continue
            if name in self._retracted:
                gone[name] = "retractions"
            elif expiry is not None and name in self._times and self._times[name] <= expiry.cutoff:
                gone[name] = "expiry"
        return gone

    def _note_all_times(self) -> None:
        if self._one.selector.expiry is not None:
            self._note_times(self._one.selector.expiry, self._members)

    def _note_times(self, expiry: Expiry, names: Sequence[str] | Set[str]) -> None:
        times = expiry.times
        self._times.update((name, times[name]) for name in names if name in times)

    def _examples(self) -> Examples:
        queries, vectors = self._one.selector.queries
        ids = [query.id for query in queries]
        groups = [self._one.groups.get(name) for name in ids]
        return Examples(ids, groups, np.array([query.weight for query in queries]), vectors)
