"""What the topics of a sink hold at one moment, read while a publisher may go on writing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from tsds_stream.digests import digest_of
from tsds_stream.records import DeadLetter, Json
from tsds_stream.streams.base import Positions, Sent
from tsds_stream.streams.kafka.client import Record
from tsds_stream.streams.kafka.dead_letters import decode_letter
from tsds_stream.streams.kafka.encoding import RESERVED, decode_change, decode_revision
from tsds_stream.streams.kafka.marks import PublisherMark, decode_mark, is_mark
from tsds_stream.verification.evidence import Current, Published
from tsds_stream.verification.reading import TopicReader

_TRIES = 40  # to meet a moment at which the topics agree, while a publisher writes
_DOUBTS = 3  # more looks before a checksum that does not fit is believed
_PAUSE = 0.3  # seconds between them


@dataclass(slots=True)
class _Members:
    """Of one set: what was sent of each id, by which revision, and the highest revision that was met."""

    sent: dict[str, tuple[int, Sent | None]] = field(default_factory=dict)
    highest: int = 0


class SinkReader:
    """Reads the three topics of a sink.

    Args:
        transactional_id: of the publisher, whose mark says how far it is.
    """

    def __init__(
        self, selection: TopicReader, revisions: TopicReader, letters: TopicReader, transactional_id: str
    ) -> None:
        self._selection = selection
        self._revisions = revisions
        self._letters = letters
        self._transactional_id = transactional_id
        self._found = Published(letters_whole=not any(letters.beginnings.values()))
        self._members: dict[str, _Members] = {}
        self._mark: PublisherMark | None = None

    def read(self) -> Published:
        """All that is published at one moment.

        The selection is read first and the other topics after it, so that they hold at least what belongs to it. What
        they hold beyond it is not looked at.
        """
        doubts = 0
        for _ in range(_TRIES):
            self._read_selection()
            self._read_revisions()
            if self._agrees():
                # Compaction may have removed a record that a later revision replaced, which then is about to come.
                if self._is_whole() or doubts == _DOUBTS:
                    break
                doubts += 1
                time.sleep(_PAUSE)
        else:
            self._found.notes.append("the selection changes too often to be read as a whole: it was not compared")
        self._read_letters()
        return self._conclude()

    def _read_selection(self) -> None:
        for runs in self._selection.read(self._selection.ends()):
            for record in _in_order(runs):
                try:
                    if is_mark(record.key):
                        self._note_mark(decode_mark(record.key, record.value))
                    elif not (record.key or b"").startswith(RESERVED):
                        self._note_change(record)
                except ValueError as error:
                    self._unreadable(self._selection, record, error)

    def _note_mark(self, mark: PublisherMark) -> None:
        if mark.transactional_id != self._transactional_id:
            other = f"another publisher has written to topic {self._selection.topic!r}: {mark.transactional_id!r}"
            if other not in self._found.notes:
                self._found.notes.append(other)
        elif self._mark is not None and mark.publication < self._mark.publication:
            sentence = f"publication {mark.publication} follows {self._mark.publication} in {self._selection.topic!r}"
            self._found.faults.append(("mark", sentence, None))
        else:
            self._mark = mark

    def _note_change(self, record: Record) -> None:
        change = decode_change(record.key, record.value, record.headers)
        held = self._members.setdefault(change.name, _Members())
        held.highest = max(held.highest, change.revision)
        sent = None
        if change.record is not None:
            told = change.record
            sent = Sent(told["probability"], told["weight"], change.point, told["multiplicity"])
        before = held.sent.get(change.id)
        # A key may stand in two partitions, after some were added: the revision tells which record is the last.
        if before is None or before[0] <= change.revision:
            held.sent[change.id] = (change.revision, sent)

    def _read_revisions(self) -> None:
        for runs in self._revisions.read(self._revisions.ends()):
            for record in _in_order(runs):
                try:
                    told = decode_revision(record.key, record.value)
                except ValueError as error:
                    self._unreadable(self._revisions, record, error)
                else:
                    self._found.revisions.setdefault(told["set"], []).append(told)

    def _read_letters(self) -> None:
        for runs in self._letters.read(self._letters.ends()):
            for record in _in_order(runs):
                letter = self._letter(record)
                if letter is not None:
                    self._found.letters.append(letter)

    def _letter(self, record: Record) -> DeadLetter | None:
        try:
            letter = decode_letter(record.key, record.value, record.headers)
        except ValueError as error:
            self._unreadable(self._letters, record, error)
            return None
        letter.value = None  # only who it tells of matters here
        letter.headers = ()
        return letter

    def _unreadable(self, topic: TopicReader, record: Record, error: Exception) -> None:
        where = f"partition {record.partition} of {topic.topic!r} at {record.offset}"
        self._found.faults.append(("unreadable", f"{where}: {error}", None))

    def _agrees(self) -> bool:
        """Whether what was read of the selection is a whole revision of every set."""
        for name, held in self._members.items():
            last = self._last(name)
            if last is None or held.highest > last["revision"]:
                # A crash leaves nothing half visible, so that waiting helps, or the records are of nobody we know.
                return False
        return all(self._holds_all_of(records[-1]) for records in self._found.revisions.values())

    def _is_whole(self) -> bool:
        for name, records in self._found.revisions.items():
            held = self._members.get(name, _Members())
            sent = {identifier: one for identifier, (_, one) in held.sent.items() if one is not None}
            columns = [one.probability for one in sent.values()], [one.weight for one in sent.values()]
            if digest_of(list(sent), *columns) != records[-1]["published_digest"]:
                return False
        return True

    def _holds_all_of(self, record: Json) -> bool:
        end: Mapping[str, int] = record.get("selection_end") or {}
        return all(self._selection.positions.get(int(partition), 0) >= offset for partition, offset in end.items())

    def _last(self, name: str) -> Json | None:
        records = self._found.revisions.get(name)
        return records[-1] if records else None

    def _conclude(self) -> Published:
        found, mark = self._found, self._mark
        for name, records in found.revisions.items():
            held = self._members.get(name, _Members())
            members = {identifier: sent for identifier, (_, sent) in held.sent.items() if sent is not None}
            number = max(held.highest, records[-1]["revision"] if self._holds_all_of(records[-1]) else 0)
            found.current[name] = Current(number, members)
        for name in sorted(self._members.keys() - found.revisions.keys()):
            sentence = f"topic {self._selection.topic!r} holds a selection of {name!r}, and no revision tells of it"
            found.faults.append(("selection", sentence, name))
        found.positions = None if mark is None else mark.positions
        if mark is not None:
            self._check_mark(mark)
        elif found.revisions:
            found.positions = _newest(found.revisions)
            found.notes.append(f"the publisher {self._transactional_id!r} has left no mark")
        return found

    def _check_mark(self, mark: PublisherMark) -> None:
        for name, told in sorted(mark.sets.items()):
            same = [one for one in self._found.revisions.get(name, ()) if one["revision"] == told.revision]
            if not any(one["published_digest"] == told.published_digest for one in same):
                sentence = f"the mark speaks of revision {told.revision} of {name!r}, which is not in the revisions"
                self._found.faults.append(("mark", sentence, name))


def _in_order(runs: Mapping[int, list[Record]]) -> list[Record]:
    return [record for _, records in sorted(runs.items()) for record in records]


def _newest(revisions: Mapping[str, list[Json]]) -> Positions:
    positions: Positions = max((records[-1] for records in revisions.values()), key=lambda one: one["created"])[
        "positions"
    ]
    return positions
