"""Publications made from plain dictionaries, and what a sink should hold after them."""

from __future__ import annotations

import hashlib

from tsds_stream.digests import digest_of
from tsds_stream.records import DeadLetter
from tsds_stream.streams.base import Committed, Publication, Sent
from tsds_stream.streams.dead_letters import read_dead_letters
from tsds_stream.streams.revisions import list_revisions, open_revision

Members = dict[str, tuple[float, float, int]]  # id -> probability, weight, multiplicity


def key_of(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


def sent(members: Members) -> dict[str, Sent]:
    return {name: Sent(p, w, key_of(name), m) for name, (p, w, m) in sorted(members.items())}


def publication(name: str, number: int, old: Members, new: Members, **record: object) -> Publication:
    """The revision `number` of set `name`, which turns `old` into `new`; every moved value is sent."""
    ids = sorted(new)
    exact = [new[i][0] for i in ids], [new[i][1] for i in ids]
    digest = digest_of(ids, *exact)
    changed = [i for i in reversed(ids) if old.get(i) != new[i]]
    upserts = [
        {
            "set": name,
            "id": i,
            "revision": number,
            "probability": new[i][0],
            "weight": new[i][1],
            "density": 1.0,
            "multiplicity": new[i][2],
            "nearest": [["t", 0.5]],
            "text": f"text of {i}",
            "meta": {},
            "source": {"path": "documents.jsonl"},
        }
        for i in changed
    ]
    body = {"set": name, "revision": number, "size": len(ids), "digest": digest, "published_digest": digest, **record}
    return Publication(name, body, upserts, [key_of(i) for i in changed], sorted(set(old) - set(new)), (ids, *exact))


def letter(reason: str, value: bytes | None = b"{}") -> DeadLetter:
    return DeadLetter(reason, f"because {reason}", {"path": "a.jsonl", "line": 3}, None, value, 1)


class Story:
    """What was published so far, and what a sink should say about it."""

    def __init__(self) -> None:
        self.positions = None
        self.numbers: dict[str, int] = {}
        self.members: dict[str, Members] = {}
        self.letters: list[DeadLetter] = []

    def copy(self) -> Story:
        twin = Story()
        twin.positions, twin.numbers = self.positions, dict(self.numbers)
        twin.members, twin.letters = dict(self.members), list(self.letters)
        return twin

    def after(self, changes: dict[str, Members], letters: list[DeadLetter], positions: dict) -> tuple[Story, tuple]:
        """The story after one commit, and the arguments of that commit."""
        new = self.copy()
        publications = []
        for name, members in changes.items():
            new.numbers[name] = self.numbers.get(name, 0) + 1
            new.members[name] = members
            publications.append(publication(name, new.numbers[name], self.members.get(name, {}), members))
        new.letters += letters
        new.positions = positions
        return new, (publications, letters, positions)

    def is_what(self, committed: Committed) -> bool:
        """Whether `recover` told exactly this story."""
        numbers = {name: record["revision"] for name, record in committed.revisions.items()}
        return (
            committed.positions == self.positions
            and numbers == self.numbers
            and committed.members == {name: sent(members) for name, members in self.members.items()}
        )

    def check(self, root) -> None:
        """Readers see exactly this story, and every kept revision is whole."""
        assert list(read_dead_letters(root)) == self.letters
        for name, number in self.numbers.items():
            records, damages = list_revisions(root, name)
            assert not damages
            kept = [record["revision"] for record in records]
            assert kept == list(range(kept[0], number + 1))
            for one in kept:
                open_revision(root, name, one).verify()
            newest = open_revision(root, name)
            assert newest.number == number
            got = {d["id"]: (d["probability"], d["weight"], d["multiplicity"]) for d in newest}
            assert got == self.members[name]
            assert newest.ids == sorted(got)
