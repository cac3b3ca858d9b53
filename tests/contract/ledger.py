"""What was published to a store, kept beside it: what every process recovers, and every reader sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import pytest

from tests.contract.stores import Crash, Seen, Store
from tests.streams.stories import Members, publication, sent
from tsds_stream.digests import digest_of
from tsds_stream.records import DeadLetter, Json
from tsds_stream.streams.base import Committed, Positions, Publication, Sink, SinkError


@dataclass
class State:
    """After some commit."""

    positions: Positions | None = None
    records: dict[str, Json] = field(default_factory=dict)
    members: dict[str, Members] = field(default_factory=dict)
    bodies: dict[str, dict[str, Json]] = field(default_factory=dict)  # selection records, by set and id
    letters: list[DeadLetter] = field(default_factory=list)


class Ledger:
    """A store, the process that has it, and what that process and those before it have published.

    Attributes:
        sink: of the process; `restart` puts another in its place.
        state: what is committed.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.state = State()
        self._number = 0
        self.sink: Sink = store.open()
        self.check_committed(self.sink.recover())

    def next_positions(self) -> Positions:
        self._number += 1
        return self.store.positions(self._number)

    def planned(
        self,
        changes: Mapping[str, Members],
        letters: Sequence[DeadLetter] = (),
        text: str = "a text",
    ) -> tuple[State, tuple[list[Publication], list[DeadLetter], Positions]]:
        """What will be, and the arguments of the commit that leads there. `changes`: the new members of some sets."""
        then, publications, positions = deepcopy(self.state), [], self.next_positions()
        for name, new in changes.items():
            old = then.members.get(name, {})
            number = then.records[name]["revision"] + 1 if name in then.records else 1
            one = publication(name, number, old, new, positions=positions, added=len(new.keys() - old.keys()),
                              removed=len(old.keys() - new.keys()))  # fmt: skip
            for record in one.upserts:
                record["text"] = f"{text} {record['id']} as of {number}"
            bodies = {i: body for i, body in then.bodies.get(name, {}).items() if i in new}
            then.bodies[name] = bodies | {record["id"]: record for record in one.upserts}
            then.members[name], then.records[name] = new, one.revision
            publications.append(one)
        then.letters += letters
        then.positions = positions
        return then, (publications, list(letters), positions)

    def commit(self, changes: Mapping[str, Members], letters: Sequence[DeadLetter] = (), text: str = "a text") -> None:
        """Publish."""
        then, arguments = self.planned(changes, letters, text)
        self.sink.commit(*arguments)
        self.state = then

    def interrupted(self, point: str, changes: Mapping[str, Members], letters: Sequence[DeadLetter] = ()) -> bool:
        """Let the process die in a commit, and another one recover; whether the commit has come about."""
        then, arguments = self.planned(changes, letters)
        self.store.arm(self.sink, point)
        try:
            self.sink.commit(*arguments)
        except (Crash, SinkError):
            self.refused()
            if self.store.open_to_readers(point):
                check_numbers(self.store.seen())  # not even now is half of anything to be seen
            self.store.drop(self.sink)
            self.sink = self.store.open()
            found = self.sink.recover()
            done = found.positions == then.positions
        else:
            self.store.drop(self.sink)
            self.sink = self.store.open()
            found, done = self.sink.recover(), True
        if done:
            self.state = then
        self.check_committed(found)
        return done

    def refused(self) -> None:
        """The sink does not go on after what has happened to it."""
        with pytest.raises(SinkError):
            self.sink.commit([], [], self.next_positions())

    def restart(self) -> Committed:
        """Another process in an orderly way; what it recovers, which is what is committed."""
        self.sink.close()
        self.sink = self.store.open()
        found = self.sink.recover()
        self.check_committed(found)
        return found

    def check_committed(self, found: Committed) -> None:
        """`recover` has told exactly what is committed."""
        state = self.state
        assert found.positions == state.positions
        assert found.revisions == state.records
        assert found.members == {name: sent(members) for name, members in state.members.items()}

    def check_seen(self) -> None:
        """A reader sees exactly what is committed."""
        seen, state = self.store.seen(), self.state
        check_numbers(seen)
        assert {name: records[-1] for name, records in seen.revisions.items()} == state.records
        assert seen.members == state.bodies
        assert in_order(seen.letters) == in_order(state.letters)

    def close(self) -> None:
        self.sink.close()
        self.store.close()


def check_numbers(seen: Seen) -> None:
    """Revisions of each set are numbered one after the other, and the newest is what it says."""
    for name, records in seen.revisions.items():
        assert [record["revision"] for record in records] == list(range(1, len(records) + 1)), name
        held = sorted(seen.members[name].items())
        ids, p, weights = [i for i, _ in held], [m["probability"] for _, m in held], [m["weight"] for _, m in held]
        assert digest_of(ids, p, weights) == records[-1]["published_digest"], name


def in_order(letters: Sequence[DeadLetter]) -> list[str]:
    return sorted(map(repr, letters))
