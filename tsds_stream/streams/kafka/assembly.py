"""From records of the topics to whole revisions of one target set: what belongs to which, and what is held at each.

A revision record says where its own records end in every partition of the selection topic (`selection_end`). What lies
below belongs to it or to a revision before it; what lies above waits. So partitions may be read in any order, and a
later publication may have been read in part: what is held moves from one boundary to another, and never in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tsds_stream.digests import digest_of
from tsds_stream.records import Json
from tsds_stream.streams.base import Sent
from tsds_stream.streams.kafka.encoding import Change


class Member(NamedTuple):
    """One document of the revision that is held."""

    revision: int  # that sent it last
    sent: Sent
    document: Json | None


class Step(NamedTuple):
    """One record of the selection topic, taken apart."""

    id: str
    revision: int
    sent: Sent | None  # None: it left
    document: Json | None  # what is kept of it


class Goal(NamedTuple):
    """The boundary that is made for."""

    record: Json
    end: dict[int, int]


class Assembly:
    """The documents of one target set, at one boundary after another.

    Args:
        name: of the target set.
        every: make for the next boundary, not for the newest that is known; the first one is always the newest.
        keep: what is held of a document; None: nothing, and `changes` has all of it instead, until they are cleared.

    Attributes:
        held: the members at `record`, by id.
        record: revision record of the boundary that was reached last; None: none yet.
        changes: what led there since they were last cleared, by id.
        restarted: the numbers have begun anew, so that what is held is of another history.
    """

    def __init__(self, name: str, *, every: bool = False, keep: Callable[[Json], Json] | None = None) -> None:
        self.name = name
        self.every = every
        self._keep = keep
        self.reset()

    def reset(self) -> None:
        """Begin again, with nothing."""
        self.held: dict[str, Member] = {}
        self.record: Json | None = None
        self.changes: dict[str, Step] = {}
        self.restarted = False
        self._candidates: dict[int, Goal] = {}
        self._least, self._most, self._created = 1 << 62, 0, 0  # of the revision records that are known
        self._told: str | None = None  # what the topic says of the revision that is held
        self._goal: Goal | None = None
        self._floor: dict[int, int] = {}  # what lies below is in `held`
        self._incoming: dict[str, Step] = {}  # below the goal
        self._later: dict[int, deque[tuple[int, Step]]] = {}  # above it, by partition

    def resume(self, record: Json, members: Mapping[str, Sent]) -> None:
        """Go on from a revision that is held somewhere else; `start` says what has to be read."""
        self.reset()
        number = int(record["revision"])
        self.record = record
        self.held = {name: Member(number, sent, None) for name, sent in members.items()}
        self._floor = _end(record)

    @property
    def number(self) -> int:
        """Of the revision that is held; 0: none."""
        return int(self.record["revision"]) if self.record is not None else 0

    @property
    def start(self) -> Mapping[int, int]:
        """The first offset of each partition that is of interest; 0 where none is named."""
        return self._floor

    @property
    def informed(self) -> bool:
        """Enough revision records are known to choose the first goal."""
        if self.record is None or not self.every:
            return self._most > 0
        return self._least <= self.number + 1

    @property
    def contradicted(self) -> bool:
        """After a `resume`: the topic does not know the revision that is held."""
        told = self._told
        return self._most < self.number or (told is not None and told != (self.record or {}).get("published_digest"))

    @property
    def goes_on(self) -> bool:
        """A later boundary is known than the one that is held."""
        return self._goal is not None or bool(self._candidates)

    @property
    def unknown(self) -> set[int]:
        """Partitions that the goal names."""
        return set(self._goal.end) if self._goal is not None else set()

    def announce(self, record: Json, *, live: bool = True) -> None:
        """Take note of a revision record.

        Args:
            live: it was read in the order of the log, and not while looking back for the newest.

        Raises:
            ValueError: it does not say where its records end.
        """
        number, goal = int(record["revision"]), Goal(record, _end(record))
        if number == self.number:
            self._told = record.get("published_digest")
        if live and number <= self._most:
            self.restarted |= int(record.get("created") or 0) > self._created
            return
        if number > self._most:
            self._most, self._created = number, int(record.get("created") or 0)
            if number > self.number and not self._stepwise:
                self._candidates.clear()  # only the newest is of interest
        elif not self._stepwise:
            return
        self._least = min(self._least, number)
        if number > self.number:
            self._candidates[number] = goal

    def add(self, partition: int, offset: int, change: Change) -> None:
        """Take a record of the selection topic.

        Raises:
            ValueError: a member without its numbers.
        """
        if offset < self._floor.get(partition, 0):
            return
        step = _step(change, self._keep)
        if self._goal is not None and offset < self._goal.end.get(partition, 0):
            self._take(step)
        else:
            self._later.setdefault(partition, deque()).append((offset, step))

    def advance(self, positions: Mapping[int, int]) -> bool:
        """Move what is held to the next boundary, if everything below it has been read; whether it was.

        Args:
            positions: by partition of the selection topic, the offset below which everything was added.
        """
        if self._goal is None:
            self._choose()
        goal = self._goal
        if goal is None or any(positions.get(partition, -1) < end for partition, end in goal.end.items()):
            return False
        for name, step in self._incoming.items():
            before = self.held.get(name)
            # A key may lie in two partitions, after some were added: the number tells which record is the last.
            if before is not None and before.revision > step.revision:
                continue
            if step.sent is None:
                self.held.pop(name, None)
            else:
                self.held[name] = Member(step.revision, step.sent, None if self._keep is None else step.document)
            if self._keep is None:
                self.changes[name] = step
        self._incoming, self._goal = {}, None
        self._floor = goal.end
        self.record = goal.record
        return True

    def digest(self) -> str:
        """Of what is held: the `published_digest` of its revision, if it is whole."""
        sent = [member.sent for member in self.held.values()]
        return digest_of(list(self.held), [one.probability for one in sent], [one.weight for one in sent])

    @property
    def _stepwise(self) -> bool:
        """Older boundaries are of interest too: the first one is chosen."""
        return self.every and (self.record is not None or self._goal is not None)

    def _choose(self) -> None:
        if not self._candidates:
            return
        number = min(self._candidates) if self._stepwise else max(self._candidates)
        self._goal = goal = self._candidates.pop(number)
        for partition, waiting in self._later.items():
            end = goal.end.get(partition, 0)
            while waiting and waiting[0][0] < end:
                self._take(waiting.popleft()[1])

    def _take(self, step: Step) -> None:
        known = self._incoming.get(step.id)
        if known is None or known.revision <= step.revision:
            self._incoming[step.id] = step


def _step(change: Change, keep: Callable[[Json], Json] | None) -> Step:
    record = change.record
    if record is None:
        return Step(change.id, change.revision, None, None)
    p, weight, multiplicity = (record.get(field) for field in ("probability", "weight", "multiplicity"))
    if not (isinstance(p, (int, float)) and isinstance(weight, (int, float)) and isinstance(multiplicity, int)):
        raise ValueError("probability, weight or multiplicity is missing or no number")
    sent = Sent(float(p), float(weight), change.point, multiplicity)
    return Step(change.id, change.revision, sent, record if keep is None else keep(record))


def _end(record: Json) -> dict[int, int]:
    end = record.get("selection_end")
    if not isinstance(end, dict):
        raise ValueError("the revision record does not say where its records end (selection_end)")
    return {int(partition): int(offset) for partition, offset in end.items()}
