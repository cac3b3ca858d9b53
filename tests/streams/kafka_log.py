"""Topics in memory that behave as logs of committed transactions do: holes, late markers, compaction.

A transaction becomes visible in each partition on its own, as the markers of a real one do. Nothing is read beyond
what is visible.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from types import SimpleNamespace
from zlib import crc32

import orjson

from tests.streams.stories import key_of
from tsds_stream.digests import digest_of
from tsds_stream.streams.kafka.encoding import encode_removal, encode_revision, encode_upsert
from tsds_stream.streams.kafka.errors import OutOfRange, Partition
from tsds_stream.streams.kafka.marks import PublisherMark, SetMark

SELECTION, REVISIONS = "selection", "revisions"
Members = dict[str, tuple[float, float, int]]


@dataclass
class Log:
    """One partition."""

    records: list[SimpleNamespace] = field(default_factory=list)
    end: int = 0
    visible: int = 0
    commits: list[int] = field(default_factory=list)  # ends of transactions that are not visible yet

    def append(self, partition: Partition, wire) -> int:
        record = SimpleNamespace(
            topic=partition.topic,
            partition=partition.partition,
            offset=self.end,
            timestamp=0,
            key=wire.key,
            value=wire.value,
            headers=wire.headers,
        )
        self.records.append(record)
        self.end += 1
        return record.offset

    def show(self) -> None:
        """The next transaction becomes visible."""
        if self.commits:
            self.visible = self.commits.pop(0)

    def compact(self, *, tombstones: bool = False) -> None:
        last = {record.key: record.offset for record in self.records if record.offset < self.visible}
        self.records = [
            record
            for record in self.records
            if record.offset >= self.visible
            or (last[record.key] == record.offset and not (tombstones and record.value is None))
        ]


class Topics:
    """A selection and a revisions topic with their publisher.

    Attributes:
        truth: (set, revision) -> id -> record.
    """

    def __init__(self, partitions: int = 1, seed: int = 0) -> None:
        self.logs = {Partition(SELECTION, n): Log() for n in range(partitions)} | {Partition(REVISIONS, 0): Log()}
        self.identity = "first"
        self.random = random.Random(seed)
        self.members: dict[str, Members] = {}
        self.numbers: dict[str, int] = {}
        self.truth: dict[tuple[str, int], dict[str, dict]] = {}
        self.ends: dict[str, int] = {}
        self.publications = 0
        self.marks: dict[str, SetMark] = {}

    def of(self, topic: str) -> list[Partition]:
        return sorted(partition for partition in self.logs if partition.topic == topic)

    def publish(self, changes: dict[str, Members]) -> None:
        """One transaction: the new members of some sets; an empty mapping is a heartbeat."""
        self.publications += 1
        places = self.of(SELECTION)
        touched = set()
        records = {}
        for name, new in changes.items():
            old = self.members.get(name, {})
            number = self.numbers[name] = self.numbers.get(name, 0) + 1
            held = dict(self.truth.get((name, number - 1), {}))
            for one in sorted({*old, *new}):
                place = places[crc32(f"{name}/{one}".encode()) % len(places)]
                if one not in new:
                    wire = encode_removal(name, one, number)
                    del held[one]
                elif old.get(one) != new[one]:
                    p, weight, multiplicity = new[one]
                    held[one] = {
                        "set": name,
                        "id": one,
                        "revision": number,
                        "probability": p,
                        "weight": weight,
                        "multiplicity": multiplicity,
                        "text": f"{one} of {number}",
                    }
                    wire = encode_upsert(held[one], key_of(one))
                else:
                    continue
                self.ends[str(place.partition)] = self.logs[place].append(place, wire) + 1
                touched.add(place)
            self.members[name], self.truth[name, number] = new, held
            records[name] = self.record(name, number, new)
        for name, record in records.items():
            record["selection_end"] = dict(self.ends)
            at = self.logs[Partition(REVISIONS, 0)].append(Partition(REVISIONS, 0), encode_revision(record))
            self.marks[name] = SetMark(record["revision"], record["published_digest"], (0, at))
            touched.add(Partition(REVISIONS, 0))
        mark = PublisherMark("tsds-0", self.publications, {"n": self.publications}, self.publications, {}, self.marks)
        self.logs[places[0]].append(places[0], mark.encoded())
        for partition in {*touched, places[0]}:
            log = self.logs[partition]
            log.end += 1  # the commit marker
            log.commits.append(log.end)

    def record(self, name: str, number: int, members: Members) -> dict:
        ids = sorted(members)
        values = [members[one][0] for one in ids], [members[one][1] for one in ids]
        digest = digest_of(ids, *values)
        return {
            "set": name,
            "revision": number,
            "size": len(ids),
            "added": 0,
            "removed": 0,
            "exact": True,
            "reasons": [],
            "documents_seen": number,
            "transport_cost": None,
            "positions": {"n": self.publications},
            "digest": "0" * 32,  # of exact values, which nobody here knows
            "published_digest": digest,
            "created": 1000 + self.publications,
        }

    def abort(self) -> None:
        """Records of a transaction that was given up leave offsets and nothing else."""
        for log in self.logs.values():
            log.end += 2
            log.commits.append(log.end)

    def show_all(self) -> None:
        for log in self.logs.values():
            while log.commits:
                log.show()

    def add_partition(self) -> None:
        self.logs[Partition(SELECTION, len(self.of(SELECTION)))] = Log()

    def forged(self) -> None:
        """The newest revision says something else than what was sent."""
        log = self.logs[Partition(REVISIONS, 0)]
        told = orjson.loads(log.records[-1].value)
        log.records[-1].value = orjson.dumps({**told, "published_digest": "f" * 32})


class LogReader:
    """Reads `Topics` in any interleaving of the partitions."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.at: dict[Partition, int] = {}
        self.assigned = 0

    def assign(self, offsets) -> None:
        self.at = dict(offsets)
        self.assigned += 1

    def poll(self, timeout, limit):
        wrong = {
            one: at for one, at in self.at.items() if one not in self.topics.logs or at > self.topics.logs[one].end
        }
        if wrong:
            raise OutOfRange(wrong)
        chance = self.topics.random
        found = {}
        for partition in chance.sample(sorted(self.at), chance.randint(0, len(self.at))):
            log = self.topics.logs[partition]
            visible = log.visible  # once: a test may write meanwhile
            ahead = [one for one in log.records if self.at[partition] <= one.offset < visible]
            taken = ahead[: chance.randint(1, 4)]
            if taken:
                found[partition] = taken
                self.at[partition] = taken[-1].offset + 1
            if len(taken) == len(ahead):
                self.at[partition] = max(self.at[partition], visible)  # over holes and markers
        return found

    def offset(self, partition):
        return self.at[partition]

    def partitions(self, topic):
        return [partition.partition for partition in self.topics.of(topic)]

    def glimpse(self, topic):
        return self.topics.identity, self.partitions(topic)

    def beginnings(self, partitions):
        return dict.fromkeys(partitions, 0)

    def ends(self, partitions):
        return {partition: self.topics.logs[partition].visible for partition in partitions}

    def close(self) -> None:
        pass
