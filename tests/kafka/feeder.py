"""What flows into a daemon under test: documents, new versions, copies, retractions, targets, and what is no document.

Everything is sent by librdkafka and noted in a ledger, so that a test knows what the daemon must have made of it
without asking the daemon, or any code of ours, what was there.
"""

from __future__ import annotations

import json
import random
import threading
import time
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgpack
import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from tests.patience import PATIENCE

WORDS = ("red", "green", "blue", "cat", "dog", "bird", "sea", "sky", "stone", "sun", "moon", "king", "queen", "pawn")
FAR_FUTURE = 4_102_444_800_000  # milliseconds, 2100-01-01
Place = tuple[int, int]  # partition, offset
Content = str | np.ndarray | None  # text, or embedding, of a document; None: it was retracted


@dataclass(frozen=True)
class Poison:
    """A record that must end as a dead letter."""

    reason: str
    key: bytes | None
    value: bytes | None


class Entry(NamedTuple):
    """A document or an example, and where the brokers put it."""

    partition: int
    offset: int
    name: str
    content: Content


@dataclass
class Ledger:
    """What was acknowledged by the brokers.

    Attributes:
        documents, targets: in the order of acknowledgement, which is that of the log within a partition.
        poison: by where the brokers put it.
        ends: offset after the last record of every partition of the documents.
        lost: what the brokers did not acknowledge; a test fails when there is any.
    """

    documents: list[Entry] = field(default_factory=list)
    targets: list[Entry] = field(default_factory=list)
    poison: dict[Place, Poison] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    sent: int = 0
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)


def as_of(entries: Sequence[Entry], positions: Mapping[str, int] | None = None) -> dict[str, Any]:
    """What is live when everything below `positions` (offset by partition) was read; None: everything."""
    live: dict[str, Any] = {}
    for entry in entries:
        if positions is None or entry.offset < positions.get(str(entry.partition), 0):
            live.pop(entry.name, None)
            if entry.content is not None:
                live[entry.name] = entry.content
    return live


class Feeder:
    """Sends a steady stream from a thread of its own.

    Args:
        bootstrap: of the brokers.
        documents, targets: topics; without a topic of targets none are sent.
        target_set: whose examples change.
        partitions: of the documents; more may be added while it runs (`partitions += 1`).
        dimension: of the embeddings that some documents bring.
        oversized: bytes of a record that is larger than the daemon accepts.
        rate: records per second.
        change_targets_every: records between two changes of the examples; may be set later.
    """

    def __init__(
        self,
        bootstrap: str,
        documents: str,
        targets: str | None = None,
        *,
        target_set: str = "colours",
        partitions: int = 4,
        dimension: int = 64,
        oversized: int = 30_000,
        seed: int = 0,
        rate: float = 100.0,
        change_targets_every: int = 400,
    ) -> None:
        self.ledger = Ledger()
        self.partitions = partitions
        self.rate = rate
        self._documents = documents
        self._targets = targets
        self._set = target_set
        self._dimension = dimension
        self._oversized = oversized
        self.change_targets_every = change_targets_every
        self._chosen = random.Random(seed)
        self._count = 0
        self._homes: dict[str, int] = {}  # partition by id: all records of an id share one
        self._ids: list[str] = []
        self._texts: list[str] = ["red cat king"]
        self._examples: set[str] = set()
        self._wishes: deque[str] = deque()  # ids to retract next
        self._stop = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 2,
                "message.timeout.ms": 600_000,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def start(self) -> None:
        """Send the first targets at once, and then go on until `stop`."""
        self.first_targets()
        self._thread.start()

    def stop(self, timeout: float = PATIENCE) -> Ledger:
        """Send no more; returns when everything is acknowledged."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
            assert not self._thread.is_alive(), "the feeder does not end"
        self.flush(timeout)
        return self.ledger

    def flush(self, timeout: float = PATIENCE) -> None:
        """Returns when everything that was sent is acknowledged."""
        assert self._producer.flush(timeout) == 0, "the brokers do not answer"
        assert not self.ledger.lost, self.ledger.lost
        assert self.ledger.acknowledged == self.ledger.sent

    def send_some(self, count: int) -> None:
        """So many records at once, for tests that need no steady stream."""
        for _ in range(count):
            self._next()
            self._producer.poll(0)

    def first_targets(self) -> None:
        for number, text in enumerate(("red sea", "green leaf", "blue sky")):
            self.set_target(f"t{number}", text)

    def set_target(self, name: str, text: str) -> None:
        """Add or change an example."""
        if self._targets is not None:
            key, value = f"{self._set}/{name}".encode(), json.dumps({"text": text}).encode()
            self._send(self._targets, key, value, None, name, text)
            self._examples.add(name)

    def withdraw_target(self, name: str) -> None:
        if self._targets is not None:
            self._send(self._targets, f"{self._set}/{name}".encode(), None, None, name)
            self._examples.remove(name)

    def document(self, name: str, text: str, timestamp: int | None = None) -> None:
        """Add a document, or give it a new text."""
        fields = {"id": name, "text": text, "meta": {"n": self._count}}
        if timestamp is not None:
            fields["timestamp"] = timestamp
        self._send(self._documents, name.encode(), json.dumps(fields).encode(), self._home(name), name, text)

    def embedded(self, name: str, vector: np.ndarray) -> None:
        """A document that brings its vector."""
        value = msgpack.packb({"id": name, "embedding": vector.astype("<f4").tobytes()})
        self._send(self._documents, name.encode(), value, self._home(name), name, vector)

    def retract(self, name: str) -> None:
        self._send(self._documents, name.encode(), None, self._home(name), name)

    def retract_soon(self, name: str) -> None:
        """Retract this one as the next record of the steady stream; for any thread."""
        self._wishes.append(name)

    def poison(self, kind: int) -> None:
        """One of the records that are no documents; some under the id of a document, which must stay as it was."""
        key = self._chosen.choice(self._ids).encode() if self._ids and self._chosen.random() < 0.5 else b"nobody"
        nan = msgpack.packb({"embedding": [float("nan")] * self._dimension})
        large = json.dumps({"text": "x" * self._oversized}).encode()
        future = json.dumps({"text": "sun", "timestamp": FAR_FUTURE}).encode()
        kinds = [
            Poison("decode", key, b'{"text": "red'),
            Poison("decode", key, b"\x82\xa2id"),
            Poison("decode", key, b""),
            Poison("embedding", key, nan),
            Poison("embedding", key, b'{"embedding": [1, 2]}'),
            Poison("not_an_object", key, b"[]"),
            Poison("no_text", key, b'{"text": "  "}'),
            Poison("timestamp", key, future),
            Poison("too_large", key, large),
            Poison("id", None, None),
        ]
        one = kinds[kind % len(kinds)]
        home = self._homes.get((one.key or b"").decode(), self._chosen.randrange(self.partitions))
        self._send(self._documents, one.key, one.value, home, poison=one)

    def check(self) -> None:
        """Raises `AssertionError` when it has failed."""
        assert not self.ledger.lost, self.ledger.lost

    def _run(self) -> None:
        try:
            self._send_steadily()
        except Exception as error:  # noqa: BLE001 - the test must hear of it
            self.ledger.lost.append(f"the feeder died: {error!r}")

    def _send_steadily(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            self._next()
            self._producer.poll(0)
            due = max(due + 1 / self.rate, time.monotonic() - 1.0)  # what an outage delayed does not come at once
            while (wait := due - time.monotonic()) > 0 and not self._stop.is_set():
                self._producer.poll(min(wait, 0.05))

    def _next(self) -> None:
        self._count += 1
        if self._wishes:
            self.retract(self._wishes.popleft())
        if self._targets is not None and self._count % self.change_targets_every == 0:
            self._change_targets()
        chosen, kind = self._chosen, self._chosen.random()
        if kind < 0.02:
            self.poison(chosen.randrange(100))
        elif kind < 0.07 and self._ids:
            self.retract(chosen.choice(self._ids))
        elif kind < 0.08:
            self.retract(f"unknown{self._count}")
        elif kind < 0.25 and self._ids:
            self.document(chosen.choice(self._ids), self._text())
        elif kind < 0.30:
            self._new(chosen.choice(self._texts))  # a copy
        elif kind < 0.33:
            vector = np.random.default_rng(self._count).normal(size=self._dimension).astype(np.float32)
            self.embedded(f"v{self._count}", vector)
        else:
            self._new(self._text())

    def _new(self, text: str) -> None:
        name = f"d{self._count}"
        self._ids.append(name)
        self.document(name, text)

    def _text(self) -> str:
        text = " ".join(self._chosen.choices(WORDS, k=4))
        if self._chosen.random() < 0.05:
            self._texts.append(text)
        return text

    def _change_targets(self) -> None:
        names, kind = sorted(self._examples), self._chosen.random()
        if kind < 0.4 or len(names) < 3:
            self.set_target(f"late{self._count}", " ".join(self._chosen.choices(WORDS, k=2)))
        elif kind < 0.7:
            self.set_target(self._chosen.choice(names), " ".join(self._chosen.choices(WORDS, k=2)))
        else:
            self.withdraw_target(self._chosen.choice(names))

    def _home(self, name: str) -> int:
        return self._homes.setdefault(name, zlib.crc32(name.encode()) % self.partitions)

    def _send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        name: str = "",
        content: Content = None,
        poison: Poison | None = None,
    ) -> None:
        def acknowledged(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.ledger.lost.append(f"{topic}: {error}")
                return
            self.ledger.acknowledged += 1
            place = (int(message.partition() or 0), int(message.offset() or 0))
            if topic == self._documents:
                self.ledger.ends[place[0]] = max(self.ledger.ends.get(place[0], 0), place[1] + 1)
            if poison is not None:
                self.ledger.poison[place] = poison
            else:
                entries = self.ledger.documents if topic == self._documents else self.ledger.targets
                entries.append(Entry(*place, name, content))

        self.ledger.sent += 1
        where = {} if partition is None else {"partition": partition}
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=acknowledged, **where)
                return
            except KafkaException as error:
                if error.args[0].code() != KafkaError._UNKNOWN_PARTITION:
                    raise
                self._producer.list_topics(topic, timeout=PATIENCE)  # it learns of new ones late
                time.sleep(0.05)
