"""What the selection and revisions topics hold: read back at a start, and checked against each other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from tsds_stream.digests import digest_of
from tsds_stream.records import Json
from tsds_stream.streams.base import Sent, SinkError
from tsds_stream.streams.kafka.client import Consumer, Record
from tsds_stream.streams.kafka.encoding import RESERVED, decode_change, decode_revision, split_selection_key
from tsds_stream.streams.kafka.errors import Partition
from tsds_stream.streams.kafka.marks import PublisherMark, SetMark, decode_mark, is_mark
from tsds_stream.streams.kafka.readback import nothing, read_one, read_to_end

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Published:
    """What consumers hold.

    Attributes:
        members: by target set, what was sent of each id.
        revisions: by target set, its last revision record.
        at: by target set, partition and offset of that record.
        mark: the newest mark that concerns these sets; None: none of them was ever published with one.
        ends: by partition of the selection topic, where it ended.
    """

    members: dict[str, dict[str, Sent]] = field(default_factory=dict)
    revisions: dict[str, Json] = field(default_factory=dict)
    at: dict[str, tuple[int, int]] = field(default_factory=dict)
    mark: PublisherMark | None = None
    ends: dict[int, int] = field(default_factory=dict)


class Reader:
    """Reads the two topics back.

    Args:
        sets: the target sets that are looked for; None: all of them.
        transactional_id: whose mark goes before others of the same age.
    """

    def __init__(self, selection: str, revisions: str, sets: Collection[str] | None, transactional_id: str) -> None:
        self._selection = selection
        self._revisions = revisions
        self._sets = None if sets is None else frozenset(sets)
        self._transactional_id = transactional_id
        self._marks: dict[str, PublisherMark] = {}
        self._newest: dict[str, int] = {}  # by set: the greatest revision that a selection record names
        self._last: dict[str, dict[str, int]] = {}  # by set and id: the revision that has sent or removed it last
        self._foreign = 0
        self._found = Published()

    def read(self, consumer: Consumer, progress: Callable[[], None] = nothing) -> Published:
        """All of it, verified.

        Raises:
            SinkError: the topics contradict each other.
            KafkaFailure: they cannot be read.
        """
        self._found.ends = read_to_end(consumer, self._selection, self._take, progress=progress)
        self._last.clear()
        if self._foreign:
            log.warning("%d records in the topic %s are not of this program", self._foreign, self._selection)
        self._found.mark = self._newest_mark()
        marked = {} if self._found.mark is None else self._found.mark.sets
        if self._found.mark is None or not self._newest.keys() <= marked.keys():
            read_to_end(consumer, self._revisions, self._take_revision, progress=progress)
        for name, mark in marked.items():
            if self._wanted(name):
                progress()
                self._fetch(consumer, name, mark)
        for name in sorted(self._newest.keys() | self._found.revisions.keys()):
            self._verify(name)
        return self._found

    def _wanted(self, name: str) -> bool:
        return self._sets is None or name in self._sets

    def _take(self, record: Record) -> None:
        key = record.key
        try:
            if is_mark(key):
                if record.value is not None:
                    mark = decode_mark(key, record.value)
                    self._marks[mark.transactional_id] = mark
                return
            if key is not None and key[:1] == RESERVED:
                return
            name, _ = split_selection_key(key)
        except ValueError:
            self._foreign += 1
            return
        if not self._wanted(name):
            return
        try:
            change = decode_change(key, record.value, record.headers)
            # A key may lie in two partitions, after some were added: the number tells which record is the last.
            last = self._last.setdefault(name, {})
            if change.revision < last.get(change.id, 0):
                return
            last[change.id] = change.revision
            members = self._found.members.setdefault(name, {})
            if change.record is None:
                members.pop(change.id, None)
            else:
                told = change.record
                members[change.id] = Sent(
                    float(told["probability"]), float(told["weight"]), change.point, int(told["multiplicity"])
                )
        except (ValueError, KeyError, TypeError) as error:
            where = f"offset {record.offset} of {Partition(self._selection, record.partition)}"
            raise SinkError(
                f"The record {record.key!r} at {where} is not one that this program has written ({error}). "
                f"{self._remedy()}"
            ) from error
        if change.revision > self._newest.get(name, 0):
            self._newest[name] = change.revision

    def _take_revision(self, record: Record) -> None:
        try:
            told = decode_revision(record.key, record.value)
        except ValueError:
            log.warning(
                "the record at offset %d of %s is no revision record",
                record.offset,
                Partition(self._revisions, record.partition),
            )
            return
        name = told["set"]
        if self._wanted(name):
            self._found.revisions[name] = told
            self._found.at[name] = (record.partition, record.offset)

    def _newest_mark(self) -> PublisherMark | None:
        """Of those that concern the same sets: another one counts where the transactional id was changed."""
        own = self._marks.get(self._transactional_id)
        ours = self._sets if self._sets is not None else None if own is None else frozenset(own.sets)
        concerned = [
            mark for mark in self._marks.values() if mark is own or ours is None or not ours.isdisjoint(mark.sets)
        ]
        newest = max(concerned, key=lambda mark: (mark.publication, mark is own), default=None)
        if newest is not None and newest is not own:
            log.warning(
                "the newest publication is of the transactional id %r (process %s on %s), not of %r: if that instance "
                "still runs, stop it, for it is not fenced off",
                newest.transactional_id,
                newest.publisher.get("pid"),
                newest.publisher.get("host"),
                self._transactional_id,
            )
        return newest

    def _fetch(self, consumer: Consumer, name: str, mark: SetMark) -> None:
        """The last revision record of a set, which its mark has the place of."""
        if name in self._found.revisions and self._found.revisions[name]["revision"] >= mark.revision:
            return
        partition, offset = mark.at
        record = read_one(consumer, Partition(self._revisions, partition), offset)
        try:
            told = None if record is None else decode_revision(record.key, record.value)
        except ValueError:
            told = None
        if told is None or told["set"] != name or told["revision"] != mark.revision:
            raise SinkError(
                f"Revision {mark.revision} of {name!r} was published, but the topic {self._revisions!r} does not hold "
                f"its record at offset {offset} of partition {partition}: was the topic made again, or does it delete "
                f"what is old? It must not be cleaned (cleanup.policy=delete, retention.ms=-1, retention.bytes=-1). "
                f"{self._remedy()}"
            )
        self._found.revisions[name] = told
        self._found.at[name] = mark.at

    def _verify(self, name: str) -> None:
        """Only the last value of each key counts, so that it does not matter how far compaction has come."""
        members = self._found.members.get(name, {})
        record = self._found.revisions.get(name)
        newest = self._newest.get(name, 0)
        if record is None:
            if not members:
                return  # what is left of a set whose revisions are gone: nobody holds anything of it
            raise SinkError(
                f"The topic {self._selection!r} holds {len(members)} documents of {name!r}, and the topic "
                f"{self._revisions!r} no revision of it. {self._remedy()}"
            )
        if newest > record["revision"]:
            raise SinkError(
                f"The topic {self._selection!r} holds records of revision {newest} of {name!r}, but the last that this "
                f"publisher made is {record['revision']}: a second instance with another transactional id publishes "
                f"the same set, or the topic {self._revisions!r} was made again. Stop the other one. {self._remedy()}"
            )
        ids = list(members)
        found = digest_of(ids, [members[one].probability for one in ids], [members[one].weight for one in ids])
        if found != record["published_digest"]:
            raise SinkError(
                f"The topic {self._selection!r} does not hold what revision {record['revision']} of {name!r} says "
                f"({len(ids)} documents with digest {found}; it must be {record['size']} with digest "
                f"{record['published_digest']}): was it cleaned up by age or size, or written to by something else? "
                f"{self._remedy()}"
            )

    def _remedy(self) -> str:
        return (
            f"To have everything published anew, stop all instances, delete the topics {self._selection!r} and "
            f"{self._revisions!r}, make them with `tsds-stream topics --create` and start again: revisions then begin "
            f"with 1."
        )
