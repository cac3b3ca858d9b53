"""Which documents were served after they had been withdrawn.

Withdrawn means: retracted in the stream of documents. One that left the selection because others are better was not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from tsds_stream.fields import RecordError, milliseconds
from tsds_stream.loader.served_log import ServedLogError
from tsds_stream.loader.served_reader import Entry
from tsds_stream.streams.layout import Layout
from tsds_stream.streams.withdrawals import Since, read_withdrawals, records_withdrawals

_LIST = 'a JSONL file of retractions: {"id": …, "deleted": true, "timestamp": when}'


@dataclass(frozen=True, slots=True)
class Retraction:
    """Of one document.

    Attributes:
        time: milliseconds since the epoch; None: not known.
        revisions: the first revision of each target set that knows of it. A document in such a one has come again.
    """

    time: int | None
    revisions: dict[str, int]

    def precedes(self, entry: Entry) -> bool:
        """Whether a document in what was served had been retracted by then."""
        if self.time is not None and entry.time < self.time:
            return False
        first = self.revisions.get(entry.source)
        if first is None and len(self.revisions) == 1:  # a mixture has names of its own
            (first,) = self.revisions.values()
        return first is None or entry.revision < first


@dataclass(slots=True)
class Retractions:
    """Those that are known.

    Attributes:
        notes: sentences about what is not known.
    """

    documents: dict[str, list[Retraction]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, id: str, retraction: Retraction) -> None:
        self.documents.setdefault(id, []).append(retraction)


@dataclass(slots=True)
class Case:
    """A document that was served after its retraction.

    Attributes:
        withdrawn: when; None: not known, so that all is counted.
        times: how often it was served after that, and counts.
        first_time, last_time: of these, in milliseconds since the epoch.
        revisions: under which.
        superseded: how often it was served in lives of the run that ended, which does not count.
    """

    id: str
    withdrawn: int | None
    times: int = 0
    first_time: int | None = None
    last_time: int | None = None
    last_step: int | None = None
    revisions: set[int] = field(default_factory=set)
    superseded: int = 0

    def add(self, entry: Entry) -> None:
        if not entry.counts:
            self.superseded += 1
            return
        self.times += 1
        self.first_time = min(self.first_time or entry.time, entry.time)
        self.last_time = max(self.last_time or entry.time, entry.time)
        self.last_step = max(self.last_step or entry.step, entry.step)
        self.revisions.add(entry.revision)


def retractions_of(place: Path) -> Retractions:
    """What a selection directory, or a JSONL file, says about retractions.

    Raises:
        ServedLogError: it says nothing about them.
        DamagedFileError: a file is not what was written.
    """
    if place.is_dir():
        return _in_directory(place)
    if not place.is_file():
        raise ServedLogError(f"{place} does not exist. Name the selection directory, or {_LIST}.")
    return _in_file(place)


def served_after(entries: Iterable[Entry], retractions: Retractions) -> list[Case]:
    """The cases, in the order of their ids."""
    known, cases = retractions.documents, dict[str, Case]()
    for entry in entries:
        for id in entry.ids:
            if id not in known:
                continue
            retraction = next((one for one in known[id] if one.precedes(entry)), None)
            if retraction is None:
                continue
            if id not in cases:
                cases[id] = Case(id, retraction.time)
            cases[id].add(entry)
    return [cases[id] for id in sorted(cases)]


def _in_directory(root: Path) -> Retractions:
    layout, found = Layout(root), Retractions()
    if not layout.commit.exists():
        raise ServedLogError(f"{root} is no selection directory: it has no {layout.commit.name}.")
    if not layout.withdrawn.exists():
        raise ServedLogError(
            f"{root} does not record retractions: its revisions were published by an older version, or it is a copy "
            f"made from topics. Name {_LIST}."
        )
    begun = False
    for one in read_withdrawals(root):
        if isinstance(one, Since):
            if one.revisions and not begun:
                found.notes.append(f"{layout.withdrawn} begins after {_numbers(one.revisions)}; earlier retractions "
                                   "are not known.")  # fmt: skip
            elif begun:
                found.notes.append(f"{layout.withdrawn} goes on after {_numbers(one.revisions)}; retractions that "
                                   "another version read before are not known.")  # fmt: skip
            begun = True
            continue
        for id, time in one.withdrawals:
            found.add(id, Retraction(time, one.revisions))
    if not records_withdrawals(root):
        found.notes.append(f"{layout.withdrawn} has ended: what publishes to {root} now does not record retractions.")
    return found


def _in_file(path: Path) -> Retractions:
    found = Retractions()
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = orjson.loads(line)
                if not isinstance(record, dict) or record.get("deleted") is not True:
                    continue
                stated = record.get("timestamp")
                found.add(str(record["id"]), Retraction(None if stated is None else milliseconds(stated), {}))
            except (orjson.JSONDecodeError, KeyError, RecordError) as error:
                what = "there is no id" if isinstance(error, KeyError) else error
                raise ServedLogError(f"{path}, line {number}, is no retraction: {what}.") from None
    if not found.documents:
        raise ServedLogError(f'{path} holds no retraction: no line {{"id": …, "deleted": true}}.')
    unknown = sum(one.time is None for own in found.documents.values() for one in own)
    if unknown:
        found.notes.append(f"{path} does not say when: {unknown:,} retractions without timestamp count from the "
                           "beginning.")  # fmt: skip
    return found


def _numbers(revisions: dict[str, int]) -> str:
    return ", ".join(f"revision {number:,} of {name!r}" for name, number in sorted(revisions.items())) or "a beginning"
