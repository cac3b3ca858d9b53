"""What must hold when everything is quiet: asked of librdkafka, of the ledger of the feeder, and of `verify`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import OffsetSpec

from tests.kafka.feeder import Ledger, as_of
from tests.kafka.topics import Topics
from tests.patience import PATIENCE
from tsds_stream.batch import select
from tsds_stream.embedding.hashing import HashingEmbedder
from tsds_stream.embedding.settings import HashingSettings

Json = dict[str, Any]


@dataclass(frozen=True)
class Letter:
    """A dead letter, as any consumer sees it."""

    reason: str
    place: tuple[int, int]
    key: bytes | None
    value: bytes | None
    truncated: bool


def read_all(servers: Topics, topic: str, *, committed: bool = True, timeout: float = PATIENCE) -> list[Message]:
    """Every record of a topic up to where it ends now."""
    level = "read_committed" if committed else "read_uncommitted"
    consumer = Consumer(
        {
            "bootstrap.servers": servers.bootstrap,
            "group.id": "auditor",
            "enable.auto.commit": False,
            "isolation.level": level,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    try:
        left = set(servers.leaders(topic))
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in left])
        found, deadline = [], time.monotonic() + timeout
        while left:
            assert time.monotonic() < deadline, f"{topic} cannot be read to its end: {left} of its partitions are left"
            for message in consumer.consume(1000, 0.1):
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard(message.partition())
        return found
    finally:
        consumer.close()


def ends(servers: Topics, topic: str, *, committed: bool) -> dict[int, int]:
    """The end of every partition; `committed`: the last stable offset."""
    level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
    asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in servers.leaders(topic)}
    admin = servers.admin()  # its futures are never done when it is gone
    found = admin.list_offsets(asked, isolation_level=level, request_timeout=PATIENCE)
    return {place.partition: future.result(PATIENCE).offset for place, future in found.items()}


def committed_offsets(servers: Topics, group: str, topic: str) -> dict[int, int]:
    """What a lag tool would see; partitions without are left out."""
    places = [TopicPartition(topic, number) for number in servers.leaders(topic)]
    request = ConsumerGroupTopicPartitions(group, places)
    admin = servers.admin()
    future = admin.list_consumer_group_offsets([request], require_stable=True)[group]
    found = future.result(timeout=PATIENCE).topic_partitions
    return {place.partition: place.offset for place in found if place.offset >= 0}


def letters(servers: Topics, topic: str) -> list[Letter]:
    """All dead letters."""
    found = []
    for message in read_all(servers, topic):
        headers = dict(message.headers() or [])
        source = json.loads(headers["tsds-source"])
        null = (headers.get("tsds-null") or b"").decode().split(",")
        found.append(
            Letter(
                headers["tsds-reason"].decode(),
                (source["partition"], source["offset"]),
                None if "key" in null else message.key(),
                None if "value" in null else message.value(),
                headers.get("tsds-truncated") == b"1",
            )
        )
    return found


def check_letters(servers: Topics, topic: str, ledger: Ledger) -> None:
    """The dead letters are the poison records: each once, with its key, its value and its reason."""
    found = letters(servers, topic)
    assert sorted(letter.place for letter in found) == sorted(ledger.poison)
    for letter in found:
        sent = ledger.poison[letter.place]
        assert (letter.reason, letter.key) == (sent.reason, sent.key), letter
        assert letter.value == sent.value, letter
        assert not letter.truncated, letter


def check_no_transaction_is_open(servers: Topics, topics: Iterable[str], within: float) -> None:
    """Readers of committed records see as far as anybody.

    Args:
        within: seconds; less than the time-out of a transaction, after which the brokers abort one that was left open.
            They write the marks of a commit after they have answered it.
    """
    deadline = time.monotonic() + within
    for topic in topics:
        while (stable := ends(servers, topic, committed=True)) != (last := ends(servers, topic, committed=False)):
            assert time.monotonic() < deadline, f"{topic}: readers are held up at {stable}, the log ends at {last}"
            time.sleep(0.02)


def check_revision(ledger: Ledger, record: Json, settings: Json, dimension: int, file_targets: Json | None) -> None:
    """The revision is that of a batch over what the feeder sent up to its positions.

    This oracle never looks at the topics. While examples wait for the past, they take no part, newer ones are not taken
    up, and withdrawals count at once: `positions["targets"]` is of what was taken up.

    Args:
        file_targets: examples of a set that does not take them from the topic.
    """
    what = f"revision {record['revision']} of {record['set']}"
    assert record["exact"], f"{what} is not exact: {record['reasons']}"
    live = as_of(ledger.documents, record["positions"]["documents"])
    embedder = HashingEmbedder(HashingSettings(dimension=dimension))
    texts = {name: value for name, value in live.items() if isinstance(value, str)}
    vectors = dict(zip(texts, _embedded(embedder, list(texts.values())), strict=True))
    vectors |= {name: value for name, value in live.items() if not isinstance(value, str)}
    names = sorted(vectors)
    matrix = np.array([vectors[name] for name in names], np.float32)
    parameters = {name: value for name, value in settings.items() if name != "targets"}
    for targets in _possible_targets(ledger, record) if file_targets is None else [file_targets]:
        examples = sorted(targets)
        if len(examples) == record["targets_active"]:
            vectors_of_targets = embedder.embed([targets[name] for name in examples])
            revision = select(matrix, vectors_of_targets, ids=names, target_ids=examples, **parameters)
            if record["digest"] == revision.digest:
                return
    raise AssertionError(f"{what} is not the batch result at its positions: {record}")


def _possible_targets(ledger: Ledger, record: Json) -> Iterator[dict[str, str]]:
    taken = as_of(ledger.targets, record["positions"]["targets"])
    active = {name: text for name, text in taken.items() if name not in record["pending"]}
    yield active
    for number in range(len(ledger.targets)):
        later = as_of(ledger.targets[: number + 1])
        yield {name: text for name, text in active.items() if name in later}


_known: dict[str, Any] = {}


def _embedded(embedder: HashingEmbedder, texts: list[str]) -> list[Any]:
    """Every revision has most texts in common with the others."""
    new = [text for text in dict.fromkeys(texts) if text not in _known]
    if new:
        _known.update(zip(new, embedder.embed(new), strict=True))
    return [_known[text] for text in texts]
