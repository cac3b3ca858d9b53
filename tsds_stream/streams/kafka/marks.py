"""What a publisher leaves behind, so that it finds its place again and others learn of it.

With every transaction: the *mark*, one record per transactional id in the selection topic: positions, and where the
last revision record of every target set lies. Compaction keeps the newest. The committed offsets of the group carry a
short form of it. At its start: the *claim*, by which an instance that was fenced off learns who has taken over. Both
lie in one partition, so that whoever knows where its last one lies finds what came after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from tsds_stream.records import Json
from tsds_stream.streams.base import Positions
from tsds_stream.streams.kafka.encoding import Wire

PARTITION: Final = 0  # of the selection topic, for marks and claims
_MARK: Final = b":published:"
_CLAIM: Final = b":publisher:"


class SetMark(NamedTuple):
    """The last revision of a target set.

    Attributes:
        at: partition and offset of its record in the revisions topic.
    """

    revision: int
    published_digest: str
    at: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PublisherMark:
    """What one publisher had published when it last committed.

    Attributes:
        publication: number of the transaction.
        time: milliseconds since the epoch.
        publisher: who it was: {"host", "pid", "version", "started", "instance"}.
    """

    transactional_id: str
    publication: int
    positions: Positions
    time: int
    publisher: Json
    sets: Mapping[str, SetMark]

    def encoded(self) -> Wire:
        """As a record of the selection topic."""
        value = {
            "publication": self.publication,
            "positions": self.positions,
            "time": self.time,
            "publisher": self.publisher,
            "sets": {
                name: {"revision": one.revision, "published_digest": one.published_digest, "at": list(one.at)}
                for name, one in self.sets.items()
            },
        }
        return Wire(_MARK + self.transactional_id.encode(), orjson.dumps(value))


def is_mark(key: bytes | None) -> bool:
    """Whether a record of the selection topic is a mark."""
    return key is not None and key.startswith(_MARK)


def decode_mark(key: bytes | None, value: bytes | None) -> PublisherMark:
    """A mark. Raises `ValueError` for anything else."""
    if key is None or value is None or not is_mark(key):
        raise ValueError("not a mark")
    try:
        told = orjson.loads(value)
        sets = {
            name: SetMark(int(one["revision"]), one["published_digest"], (int(one["at"][0]), int(one["at"][1])))
            for name, one in told["sets"].items()
        }
        return PublisherMark(
            key[len(_MARK) :].decode(),
            int(told["publication"]),
            told["positions"],
            int(told["time"]),
            told["publisher"],
            sets,
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"not a mark: {error!r}") from error


def encode_claim(transactional_id: str, publisher: Json) -> Wire:
    """Says: from now on it is me."""
    return Wire(_CLAIM + transactional_id.encode(), orjson.dumps(publisher))


def publisher_of(transactional_id: str, key: bytes | None, value: bytes | None) -> Json | None:
    """Who wrote a record, where it is a mark or a claim of this transactional id."""
    if value is None or key not in (_MARK + transactional_id.encode(), _CLAIM + transactional_id.encode()):
        return None
    try:
        told = orjson.loads(value)
        publisher = told["publisher"] if key.startswith(_MARK) else told
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return publisher if isinstance(publisher, dict) else None


class OffsetNote(NamedTuple):
    """What is committed beside the offset of one partition."""

    publication: int
    topic_id: str
    began: int  # the first offset of that partition that this stream has read

    def encoded(self) -> str:
        """Far below the 4,096 bytes that brokers take."""
        return orjson.dumps(self._asdict()).decode()


def decode_note(metadata: str) -> OffsetNote | None:
    """None where somebody else committed the offset."""
    try:
        told = orjson.loads(metadata)
        return OffsetNote(int(told["publication"]), str(told["topic_id"]), int(told["began"]))
    except (KeyError, TypeError, ValueError):
        return None
