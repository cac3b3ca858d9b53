"""Reads the selection and revisions topics for one or several target sets, and proves each revision before it is given.

A published digest proves that a revision is whole. It may fail for an innocent reason: compaction has removed records
that a later revision replaced, before they were read. Then a later revision is there, and is whole. Where none is, and
reading again from the beginning does not help, the topics do not hold what they say.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tsds_stream.records import Json
from tsds_stream.streams.kafka.assembly import Assembly
from tsds_stream.streams.kafka.encoding import RESERVED, decode_change, decode_revision, split_selection_key
from tsds_stream.streams.kafka.errors import KafkaFailure, OutOfRange, Partition, Unreachable
from tsds_stream.streams.kafka.following import Following, Reader, partitions_of, read_tail
from tsds_stream.streams.kafka.marks import PublisherMark, decode_mark, is_mark

if TYPE_CHECKING:
    from tsds_stream.streams.kafka.client import Record

log = logging.getLogger(__name__)

_READINGS = 3  # from the beginning, in a row, before the topics are blamed


class DamagedSelectionError(KafkaFailure):
    """The topics do not hold what the newest revision says; the message names both digests and the remedy."""


class SelectionFeed:
    """Moves assemblies from revision to revision.

    Args:
        reader: of committed records; closed by `close`.
        selection, revisions: names of the topics.
        assemblies: one per target set.
        verify: compare `published_digest` at every boundary.
    """

    def __init__(
        self, reader: Reader, selection: str, revisions: str, assemblies: Sequence[Assembly], *, verify: bool = True
    ) -> None:
        self._reader = reader
        self._selection = selection
        self._revisions = revisions
        self._assemblies: Mapping[str, Assembly] = {one.name: one for one in assemblies}
        self._verify = verify
        self._following = Following(reader)
        self._started = False
        self._proven: set[str] = set()  # sets with a proven revision since they were read from the beginning
        # Sets at a boundary that is not proven, and up to where revisions must be read to tell whether it is the last.
        self._doubts: dict[str, Mapping[Partition, int] | None] = {}
        self._readings = 0
        self._marks: dict[str, PublisherMark] = {}
        self.skipped = 0  # boundaries that compaction had left incomplete

    def mark(self, name: str) -> PublisherMark | None:
        """The newest sign of life of whoever publishes a target set."""
        marks = [mark for mark in self._marks.values() if name in mark.sets]
        return max(marks, key=lambda mark: mark.time, default=None)

    def poll(self, timeout: float) -> None:
        """Read what comes next, waiting at most `timeout` seconds; the first time, find out where to begin.

        Raises:
            KafkaFailure: no broker answers at the beginning, or a topic is missing.
        """
        try:
            if not self._started:
                self._start()
                return
            records = self._following.poll(timeout)
        except OutOfRange:
            self.restart(f"{self._selection} or {self._revisions} was cut off or made anew")
            return
        for record in records:
            try:
                self._take(record)
            except ValueError as error:
                where = f"{record.topic}/{record.partition} at {record.offset}"
                log.warning("a record in %s is not of this program and is left out: %s", where, error)
        if any(one.restarted for one in self._assemblies.values()):
            self.restart(f"{self._revisions} was made anew")

    def settle(self, name: str) -> Json | None:
        """The next revision that a target set has reached: the assembly holds exactly it until the next call.

        Raises:
            DamagedSelectionError: the topics contradict themselves.
        """
        assembly = self._assemblies[name]
        positions = self._following.of(self._selection)
        if assembly.unknown - positions.keys():
            self._following.look_now()
        while assembly.advance(positions):
            self.skipped += name in self._doubts
            if self._whole(assembly):
                return self._prove(assembly)
            self._doubts[name] = None
        if name in self._doubts and not assembly.goes_on and self._nothing_newer(name):
            if not self._verify:
                return self._prove(assembly)
            self._read_again(assembly)
        return None

    def restart(self, reason: str) -> None:
        """Read everything again from the beginning."""
        log.warning("reading the whole selection again: %s", reason)
        for one in self._assemblies.values():
            one.reset()
        self._proven.clear()
        self._doubts.clear()
        self._started = False

    def close(self) -> None:
        """Let go of the connections."""
        self._reader.close()

    def _start(self) -> None:
        there = partitions_of(self._reader, self._selection)
        beginnings = self._reader.beginnings(there)
        positions = read_tail(self._reader, self._revisions, self._announce, self._informed)
        for one in self._assemblies.values():
            if one.record is not None and one.contradicted:
                log.warning(
                    "revision %d of %r is of another history than the topic; reading anew", one.number, one.name
                )
                one.reset()
                positions = read_tail(self._reader, self._revisions, self._announce, self._informed)
        for partition in there:
            wanted = min(one.start.get(partition.partition, 0) for one in self._assemblies.values())
            positions[partition] = max(wanted, beginnings[partition])
        self._following.start(positions)
        self._proven |= {name for name, one in self._assemblies.items() if one.record is not None}
        self._started = True

    def _informed(self) -> bool:
        return all(one.informed for one in self._assemblies.values())

    def _announce(self, record: Record, *, live: bool = False) -> None:
        try:
            told = decode_revision(record.key, record.value)
            assembly = self._assemblies.get(told["set"])
            if assembly is not None:
                assembly.announce(told, live=live)
        except ValueError as error:
            where = f"{record.topic}/{record.partition} at {record.offset}"
            log.warning("a record in %s is no revision record and is left out: %s", where, error)

    def _take(self, record: Record) -> None:
        if record.topic == self._revisions:
            self._announce(record, live=True)
        elif is_mark(record.key):
            mark = decode_mark(record.key, record.value)
            self._marks[mark.transactional_id] = mark
        elif not (record.key or b"").startswith(RESERVED):
            assembly = self._assemblies.get(split_selection_key(record.key)[0])
            if assembly is not None:  # values of other sets are not even parsed
                change = decode_change(record.key, record.value, record.headers)
                assembly.add(record.partition, record.offset, change)

    def _whole(self, assembly: Assembly) -> bool:
        if self._verify:
            return assembly.record is not None and assembly.digest() == assembly.record["published_digest"]
        # While keeping up nothing is lost; the first reading takes long enough for compaction to come between.
        return assembly.name in self._proven

    def _prove(self, assembly: Assembly) -> Json:
        self._doubts.pop(assembly.name, None)
        self._proven.add(assembly.name)
        self._readings = 0
        assert assembly.record is not None
        return assembly.record

    def _nothing_newer(self, name: str) -> bool:
        """Whether the revision that was reached is the newest there is: nothing of it can have been replaced."""
        try:
            ends = self._doubts[name]
            if ends is None:
                ends = self._doubts[name] = self._following.ends(self._revisions)
        except Unreachable:
            return False
        return self._following.reached(ends)

    def _read_again(self, assembly: Assembly) -> None:
        record = assembly.record
        assert record is not None
        what = (
            f"revision {record['revision']} of {assembly.name!r} has the published_digest {record['published_digest']} "
            f"and {record.get('size')} documents, and the topic {self._selection!r} gives {assembly.digest()} "
            f"and {len(assembly.held)} documents"
        )
        self._readings += 1
        if self._readings > _READINGS:
            raise DamagedSelectionError(
                f"Read {_READINGS} times, {what}. Records of it are gone, or somebody else writes to this topic. "
                "A restart of the publisher finds the difference and publishes what is missing."
            )
        self.restart(what)
