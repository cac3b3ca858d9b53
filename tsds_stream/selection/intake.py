"""Checks on what a caller hands in: every record is either usable or rejected with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tsds_stream.selection.arithmetic import Float32, Int64, single
from tsds_stream.selection.screen import unusable
from tsds_stream.selection.targets import check_id


@dataclass
class Documents:
    """Usable records of one call, in stream order.

    Attributes:
        positions: (n,) int64 where each stood in the call.
        vectors: (n, d) float32; tokens, timestamps: (n,) int64 or None.
        rejected: (position, reason) of the others.
    """

    ids: list[str]
    positions: Int64
    vectors: Float32
    tokens: Int64 | None
    timestamps: Int64 | None
    rejected: list[tuple[int, str]]

    def part(self, chosen: slice | Int64) -> Documents:
        """Some of the records, without the rejected ones."""
        ids = self.ids[chosen] if isinstance(chosen, slice) else [self.ids[k] for k in chosen.tolist()]
        return Documents(
            ids,
            self.positions[chosen],
            self.vectors[chosen],
            None if self.tokens is None else self.tokens[chosen],
            None if self.timestamps is None else self.timestamps[chosen],
            [],
        )

    def latest(self) -> Documents:
        """The last record of each id."""
        if len(set(self.ids)) == len(self.ids):
            return self
        last = {name: k for k, name in enumerate(self.ids)}
        return self.part(np.array(sorted(last.values()), np.int64))


def usable(
    ids: Sequence[str],
    embeddings: ArrayLike,
    tokens: ArrayLike | None,
    timestamps: ArrayLike | None,
    dimension: int,
) -> Documents:
    """Check the records of one call.

    Raises:
        ValueError: shapes that do not fit together or with `dimension`. One bad record is rejected, never an error.
        TypeError: values that are not numbers.
    """
    vectors = np.ascontiguousarray(single(embeddings))
    if vectors.size == 0 and len(ids) == 0:
        vectors = vectors.reshape(0, dimension)
    if vectors.ndim != 2 or vectors.shape != (len(ids), dimension):
        raise ValueError(f"embeddings must have shape ({len(ids)}, {dimension}), got {vectors.shape}")
    rejected = unusable(vectors)
    names = list(ids)
    for position in _bad_ids(names):
        rejected[position] = "id"
    documents = Documents(
        ids=names,
        positions=np.arange(len(names)),
        vectors=vectors,
        tokens=_column("tokens", tokens, names),
        timestamps=_column("timestamps", timestamps, names),
        rejected=[],
    )
    if documents.tokens is not None and (documents.tokens < 0).any():
        raise ValueError("tokens must not be negative")
    if rejected:
        good = np.ones(len(names), np.bool_)
        good[list(rejected)] = False
        documents = documents.part(np.flatnonzero(good))
        documents.rejected = sorted(rejected.items())
    return documents


def _column(what: str, values: ArrayLike | None, names: list[str]) -> Int64 | None:
    if values is None:
        return None
    column = np.asarray(values)
    if column.shape != (len(names),):
        raise ValueError(f"{what} must have shape ({len(names)},), got {column.shape}")
    if len(column) and column.dtype.kind not in "iu":
        raise TypeError(f"{what} must be integers, not {column.dtype}")
    if column.dtype == np.uint64 and len(column) and int(column.max()) >= 2**63:
        raise ValueError(f"{what} must be below 2^63")
    return column.astype(np.int64)


def _bad_ids(names: list[str]) -> list[int]:
    """Positions of ids that are not non-empty strings with a UTF-8 form; one pass in C when all are good."""
    try:
        "".join(names).encode()
        if all(names):
            return []
    except (TypeError, UnicodeEncodeError):
        pass
    bad = []
    for position, name in enumerate(names):
        try:
            check_id(name)
        except ValueError:
            bad.append(position)
    return bad
