"""What clients give and take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Record(Protocol):
    """A record as it was read. `timestamp` is in milliseconds; -1: none."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Mark(NamedTuple):
    """A committed offset and what was committed with it."""

    offset: int
    metadata: str


@dataclass(frozen=True, slots=True)
class Topic:
    """What the brokers say of a topic.

    Attributes:
        problem: why they say nothing; empty: the rest is known.
        allowed: operations that these credentials may do ("READ", "WRITE", …); None: they do not say.
    """

    name: str
    id: str = ""
    partitions: tuple[int, ...] = ()
    replicas: int = 0
    problem: str = ""
    missing: bool = False
    allowed: frozenset[str] | None = None
