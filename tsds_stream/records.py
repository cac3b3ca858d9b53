"""The records that streams carry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Json = dict[str, Any]


class Raw(NamedTuple):
    """A record of a broker as it was read, so that a dead letter can carry the original."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


@dataclass(slots=True)
class Document:
    """One incoming record: a document, a new version of it, or (`deleted`) its retraction."""

    id: str
    text: str | None = None
    embedding: NDArray[np.float32] | None = None  # (d,)
    tokens: int | None = None
    timestamp: int | None = None  # milliseconds since the epoch, event time
    meta: Json = field(default_factory=dict)
    source: Json = field(default_factory=dict)  # where it was read: {"path", "position"} or {"topic", ...}
    deleted: bool = False
    raw: Raw | None = None  # where the source keeps it


@dataclass(slots=True)
class Target:
    """One example of a task; `deleted` withdraws it."""

    id: str
    text: str | None = None
    embedding: NDArray[np.float32] | None = None  # (d,)
    weight: float = 1.0
    group: str | None = None
    deleted: bool = False


@dataclass(slots=True)
class DeadLetter:
    """A record that could not be used: its bytes, where it came from, and why."""

    reason: str  # a short code: "decode", "no_text", "embedding", "too_large", "timestamp", ...
    detail: str  # a sentence
    source: Json
    key: bytes | None
    value: bytes | None
    created: int  # milliseconds since the epoch
    headers: tuple[tuple[str, bytes], ...] = ()  # of the record, where it came from a broker
