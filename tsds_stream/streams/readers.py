"""What every kind of file looks like to the file source: records from an offset on, and an identity."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Protocol

from tsds_stream.fields import Reason
from tsds_stream.records import Json

KEPT: Final = 1 << 16  # bytes of an oversized or damaged record that its dead letter keeps
HEAD: Final = 4096  # the identity of a file covers its first bytes …
TAIL: Final = 64  # … and the last ones that were read


@dataclass(slots=True)
class Bad:
    """A stretch of a file that holds no record."""

    reason: Reason
    detail: str
    start: int
    value: bytes


@dataclass(slots=True)
class Piece:
    """Consecutive records.

    Attributes:
        values: bytes, or fields that are decoded already; starts: the offset of each.
        bad: what could not be read.
        more: there may be more at once.
        broken: the file cannot be read on.
    """

    values: list[bytes | Json] = field(default_factory=list)
    starts: Sequence[int] = ()
    bad: list[Bad] = field(default_factory=list)
    more: bool = False
    broken: bool = False


class Reader(Protocol):
    """Reads one file; `offset` is where the next record starts, in decompressed bytes or rows."""

    offset: int

    def take(self, limit: int, until: int | None, final: bool) -> Piece:
        """At most `limit` records, none beyond the offset `until`; `final`: nothing will be appended any more."""

    def skip_to(self, offset: int) -> bool:
        """Go on at an offset that was reached before; False when the file does not reach so far."""

    def identity(self) -> str:
        """A digest of the first and the last of what was read up to `offset`; equal on any disk."""

    @property
    def left(self) -> int:
        """Bytes of the file that were not read yet."""

    @property
    def waiting(self) -> bool:
        """Something at the end of the file is half-written."""

    def status(self) -> os.stat_result: ...

    def close(self) -> None: ...


def digest(data: bytes) -> str:
    """Sixteen hexadecimal digits."""
    return blake2b(data, digest_size=8).hexdigest()


def identity_of(head: bytes, tail: bytes) -> str:
    """The identity of a file: `head` are its first `HEAD` bytes, `tail` the last `TAIL` that were read."""
    return f"{digest(head)}.{digest(tail)}"
