"""What is declared of a metric, and how its samples are read from a status document."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Literal

Json = dict[str, Any]
Kind = Literal["counter", "gauge", "histogram", "info"]
Labels = tuple[str, ...]  # the values of a metric's labels, in the order of its declaration
Reading = float | Json | None  # a number or a histogram of the status document; None: there is nothing to show
Read = Callable[[Json], Mapping[Labels, Reading]]

PREFIX: Final = "tsds_stream_"
LONGEST_LABEL: Final = 100  # characters; longer values end in a digest, so that they stay apart
_DIGEST_BYTES: Final = 4


@dataclass(frozen=True)
class Label:
    """A label; `values` are all that it can have, where that is known."""

    name: str
    meaning: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: without the prefix; counters end in `_total`, infos in `_info`, and all in their unit before that.
        unit: "seconds", "bytes" or "ratio", which the name ends in; otherwise words for the reference, or nothing.
        read: the values in a status document, by the values of the labels; None is nothing to show.
        buckets: upper bounds of a histogram, those by which the engine counts.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    read: Read
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """As it is exported and asked for; those of a histogram have `_bucket`, `_sum` and `_count` behind it."""
        return PREFIX + self.name

    @property
    def series(self) -> tuple[str, ...]:
        """The full names of everything that can be asked for."""
        if self.kind == "histogram":
            return tuple(f"{self.full_name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.full_name,)

    def samples(self, status: Json) -> dict[Labels, float | Json]:
        """What a status document has of it, by label values, in the order of these; label values are bounded."""
        found = {tuple(map(_bounded, labels)): _usable(value) for labels, value in self.read(status).items()}
        return {labels: value for labels in sorted(found) if (value := found[labels]) is not None}


@dataclass(frozen=True)
class Group:
    """Metrics that answer one question, in the order of the reference."""

    title: str
    description: str
    metrics: tuple[Metric, ...]


def _usable(value: Reading) -> float | Json | None:
    if isinstance(value, (int, float)):
        return float(value) if math.isfinite(value) else None
    return value if isinstance(value, dict) else None


def _bounded(label: object) -> str:
    text = str(label).encode("utf-8", "replace").decode()
    if len(text) <= LONGEST_LABEL:
        return text
    digest = blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{text[: LONGEST_LABEL - len(digest) - 1]}~{digest}"
