"""An independent witness: reads what the daemon publishes, with librdkafka and by the documented record format alone.

Nothing of `tsds_stream` is used here. The witness follows the selection and revisions topics as any consumer would
(read_committed), and looks at every revision at its boundary: `selection_end`.
"""

from __future__ import annotations

import hashlib
import json
import struct
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from tests.patience import PATIENCE

Json = dict[str, Any]
STALL = PATIENCE / 2  # seconds after which a revision whose records do not come is a torn one


@dataclass(frozen=True)
class Change:
    """A record of the selection topic; `value` is None where a document left."""

    offset: int
    key: str
    revision: int
    value: Json | None


def published_digest(members: Mapping[str, tuple[float, float]]) -> str:
    """Of id -> (probability, weight), as the record format says."""
    digest = hashlib.blake2b(digest_size=16)
    for name, (probability, weight) in sorted(members.items(), key=lambda item: item[0].encode()):
        data = name.encode()
        digest.update(struct.pack("<I", len(data)) + data + struct.pack("<dd", probability, weight))
    return digest.hexdigest()


class Witness:
    """Follows from the beginning until `stop`; what is wrong ends up in `faults`.

    Attributes:
        members: by target set, what a consumer holds now: id -> (probability, weight).
        records: by target set, every revision record, in order.
        marks: every mark of a publisher, in order.
    """

    def __init__(self, bootstrap: str, selection: str, revisions: str, partitions: tuple[int, int] = (1, 1)) -> None:
        self.members: dict[str, dict[str, tuple[float, float]]] = {}
        self.records: dict[str, list[Json]] = {}
        self.marks: list[Json] = []
        self.faults: list[str] = []
        self.may_go_back = False  # an operator is about to move the offsets
        self._selection = selection
        self._revisions = revisions
        self._changes: dict[int, deque[Change]] = {number: deque() for number in range(partitions[0])}
        self._seen = dict.fromkeys(range(partitions[0]), 0)  # everything below this offset has been read
        self._applied = dict.fromkeys(range(partitions[0]), 0)  # everything below belongs to a revision
        self._waiting: deque[Json] = deque()
        self._owed: dict[str, int] = {}  # by set: the revision whose record must come with this boundary
        self._waits_since: float | None = None
        self._stop = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "witness",  # it never commits
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "reconnect.backoff.max.ms": 500,
                "topic.metadata.refresh.interval.ms": 5000,
                "log_level": 0,
            }
        )
        places = [TopicPartition(selection, number, OFFSET_BEGINNING) for number in range(partitions[0])]
        places += [TopicPartition(revisions, number, OFFSET_BEGINNING) for number in range(partitions[1])]
        self._consumer.assign(places)
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let go. Raises `AssertionError` with everything that was wrong."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join(PATIENCE)
            self._consumer.close()
        self.check()

    def check(self) -> None:
        """Raises `AssertionError` with everything that has been wrong so far."""
        assert not self.faults, "\n".join(self.faults[:10])

    def number(self, name: str) -> int:
        """Of the last whole revision of a set; 0: none."""
        listed = self.records.get(name, [])
        return int(listed[-1]["revision"]) if listed else 0

    def read_to(self, ends: Mapping[int, int], timeout: float = PATIENCE) -> None:
        """Return when every partition of the selection was read up to these offsets."""
        deadline = time.monotonic() + timeout
        while any(self._seen[number] < offset for number, offset in ends.items()):
            self.check()
            assert time.monotonic() < deadline, f"the witness has read to {self._seen}, not to {ends}"
            time.sleep(0.02)

    def settle(self, numbers: Mapping[str, int], timeout: float = PATIENCE) -> None:
        """Return when these revisions, and none beyond, are whole."""
        deadline = time.monotonic() + timeout
        while any(self.number(name) < number for name, number in numbers.items()) or self._waiting:
            self.check()
            assert time.monotonic() < deadline, (
                f"seen: { ({n: self.number(n) for n in numbers}) }, published: {numbers}"
            )
            time.sleep(0.02)
        assert {name: self.number(name) for name in numbers} == dict(numbers)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                for message in self._consumer.consume(500, 0.05):
                    self._take(message)
                self._advance()
        except Exception as error:  # noqa: BLE001 - a witness that dies must not look like one that saw nothing
            self.faults.append(f"the witness died: {error!r}")

    def _take(self, message: Message) -> None:
        error = message.error()
        topic, partition, offset = message.topic(), int(message.partition() or 0), int(message.offset() or 0)
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                if topic == self._selection:
                    self._seen[partition] = max(self._seen[partition], offset)
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                self.faults.append(f"{topic}/{partition}: {error}")
            return  # anything else passes
        key, value = message.key(), message.value()
        if topic == self._revisions:
            assert key is not None
            assert value is not None
            record = json.loads(value)
            assert record["set"] == key.decode()
            self._waiting.append(record)
            return
        assert key is not None
        self._seen[partition] = offset + 1
        if key.startswith(b":"):
            if key.startswith(b":published:"):
                assert value is not None
                self._mark(key.decode(), json.loads(value))
            return
        headers = dict(message.headers() or [])
        content = None if value is None else json.loads(value)
        self._changes[partition].append(Change(offset, key.decode(), int(headers["revision"]), content))

    def _mark(self, key: str, mark: Json) -> None:
        before = self.marks[-1] if self.marks else None
        if before is not None:
            if mark["publication"] != before["publication"] + 1:
                self.faults.append(f"publication {mark['publication']} of {key} follows {before['publication']}")
            for partition, offset in before["positions"].get("documents", {}).items():
                if mark["positions"]["documents"].get(partition, 0) < offset and not self.may_go_back:
                    self.faults.append(f"publication {mark['publication']} goes back: {before} -> {mark}")
        self.marks.append(mark)

    def _advance(self) -> None:
        """Take every revision whose records have all arrived."""
        while self._waiting:
            record = self._waiting[0]
            end = {int(number): offset for number, offset in record["selection_end"].items()}
            if any(self._seen[number] < offset for number, offset in end.items()):
                self._waits_since = self._waits_since or time.monotonic()
                if time.monotonic() - self._waits_since > STALL:
                    what = f"revision {record['revision']} of {record['set']}"
                    self.faults.append(f"{what} is visible, its records are not: {end}, seen {self._seen}")
                    self._waits_since = time.monotonic()
                return
            self._waits_since = None
            self._waiting.popleft()
            self._revision(record, end)

    def _revision(self, record: Json, end: dict[int, int]) -> None:
        name, number = record["set"], record["revision"]
        what = f"revision {number} of {name}"
        if number != self.number(name) + 1:
            self.faults.append(f"{what} follows {self.number(name)}")
        if any(offset > self._applied[partition] for partition, offset in end.items()):
            if self._owed:
                self.faults.append(f"before {what}: records of {self._owed}, but no such revision")
            self._owed = {}
        for partition, offset in end.items():
            if offset < self._applied[partition]:
                self.faults.append(f"{what} ends before the one before it: {end}, {self._applied}")
            changes = self._changes[partition]
            while changes and changes[0].offset < offset:
                self._apply(changes.popleft())
            self._applied[partition] = max(offset, self._applied[partition])
        owed = self._owed.pop(name, number)
        if owed != number:
            self.faults.append(f"{what} has records of revision {owed}")
        members = self.members.setdefault(name, {})
        if len(members) != record["size"]:
            self.faults.append(f"{what} says {record['size']} documents, and a consumer holds {len(members)}")
        if published_digest(members) != record["published_digest"]:
            self.faults.append(f"{what}: a consumer holds something else than its published_digest says")
        self.records.setdefault(name, []).append(record)

    def _apply(self, change: Change) -> None:
        name, _, identifier = change.key.partition("/")
        if self._owed.setdefault(name, change.revision) != change.revision:
            self.faults.append(f"{change.key}: revision {change.revision} among records of {self._owed[name]}")
        members = self.members.setdefault(name, {})
        if change.value is None:
            if members.pop(identifier, None) is None:
                self.faults.append(f"{change.key} leaves at revision {change.revision} and was not there")
            return
        if (change.value["set"], change.value["id"], change.value["revision"]) != (name, identifier, change.revision):
            self.faults.append(f"{change.key}: key, headers and value differ")
        members[identifier] = (change.value["probability"], change.value["weight"])
