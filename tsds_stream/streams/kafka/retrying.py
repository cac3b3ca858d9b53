"""Another try for dead letters: the original records, sent to the documents topic again."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from tsds_stream.records import DeadLetter
from tsds_stream.streams.kafka.client import Admin, Pending, Producer
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.dead_letters import TRUNCATED
from tsds_stream.streams.kafka.errors import Refused, TooLarge

_WINDOW: Final = 10_000  # records on their way at most
_PATIENCE: Final = 60.0  # seconds for them to arrive


@dataclass(slots=True)
class Retried:
    """What became of the letters: how many were sent, how many said the same as another one, and which cannot be."""

    sent: int = 0
    repeated: int = 0
    lost: list[DeadLetter] = field(default_factory=list)


def kept(letter: DeadLetter) -> bool:
    """Whether a letter still has all of its record."""
    return letter.value is not None and not any(name == TRUNCATED for name, _ in letter.headers)


def resend(connection: Connection, topic: str, letters: Iterable[DeadLetter]) -> Retried:
    """Send the original keys, values and headers, equal ones once. Raises `KafkaFailure`."""
    with closing(Admin(connection)) as admin:
        found = admin.topics([topic])[topic]
        if found.problem:
            raise Refused(f"topic {topic!r}: {found.problem}")
        largest = int(admin.topic_config(topic).get("max.message.bytes", 1024 * 1024))
    retried, done = Retried(), set()
    pending: list[Pending] = []
    with closing(Producer(connection, max_request_size=largest)) as producer:
        for letter in letters:
            if not kept(letter):
                retried.lost.append(letter)
                continue
            if (letter.key, letter.value) in done:
                retried.repeated += 1
                continue
            done.add((letter.key, letter.value))
            try:
                pending.append(producer.send(topic, letter.key, letter.value, letter.headers))
                retried.sent += 1
            except TooLarge:
                retried.lost.append(letter)
            if len(pending) >= _WINDOW:
                _arrive(producer, pending)
        _arrive(producer, pending)
    return retried


def _arrive(producer: Producer, pending: list[Pending]) -> None:
    producer.flush(_PATIENCE)
    for one in pending:
        one.place()
    pending.clear()
