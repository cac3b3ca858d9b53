"""What can go wrong with a broker, as far as it matters what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


class KafkaFailure(Exception):  # noqa: N818 - what it is called in sentences
    """Something went wrong between us and the brokers; the message is a sentence."""


class Unreachable(KafkaFailure):
    """No answer, or one that says: later. A new try may succeed."""


class Refused(KafkaFailure):
    """The brokers answered and will not do it: credentials, permissions, or a request that cannot be right."""


class FencedOff(KafkaFailure):
    """Another producer has taken over the transactional id, or the transaction outlived its time-out."""


class TooLarge(KafkaFailure):
    """A record is larger than may be sent. Raised before anything of it was sent: the producer stays usable."""


class OutOfRange(KafkaFailure):
    """The log does not hold the records that were asked for: deleted by retention, or cut off at its end.

    Attributes:
        positions: per partition, the offset that was asked for; -1: the one up to which it was read.
        cut: of some of them, where the log was cut off before it grew again.
    """

    def __init__(self, positions: Mapping[Partition, int], cut: Mapping[Partition, int] | None = None) -> None:
        super().__init__(", ".join(f"{partition} at {offset}" for partition, offset in positions.items()))
        self.positions = dict(positions)
        self.cut = dict(cut or {})
