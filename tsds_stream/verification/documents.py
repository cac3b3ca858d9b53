"""The documents of a stream as they are at some positions: the last record of every id, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tsds_stream.records import Document
from tsds_stream.selection.arithmetic import Bool, Float32, Int64
from tsds_stream.selection.intake import usable

_BLOCK = 65_536
_FIRST = 1024  # rows
_NO_TIME = -(2**63)
_FEW = 5


@dataclass(frozen=True, slots=True)
class Block:
    """Live documents, aligned.

    Attributes:
        vectors: (n, d) float32 as they came; tokens: (n,) int64; timestamps: (n,) int64.
    """

    ids: list[str]
    vectors: Float32
    tokens: Int64
    timestamps: Int64


class LiveDocuments:
    """Takes in the records of a stream in its order; about 4 d + 200 bytes per live document.

    Attributes:
        seen: usable documents so far, each counted once per record.
        watermark: the largest timestamp of a document so far.
        untimed: documents without a timestamp.
        strays: a few ids whose records came from several partitions, so that nobody knows which one was the last.
    """

    def __init__(self, dimension: int) -> None:
        self.seen = 0
        self.watermark = _NO_TIME
        self.untimed = 0
        self.strays: list[str] = []
        self._dimension = dimension
        self._rows: dict[str, int] = {}
        self._names: list[str] = []
        self._free: list[int] = []
        self._vectors = np.zeros((_FIRST, dimension), np.float32)
        self._tokens = np.zeros(_FIRST, np.int64)
        self._timestamps = np.zeros(_FIRST, np.int64)
        self._partition: dict[str, int] = {}  # of every id that was ever seen

    def __len__(self) -> int:
        return len(self._rows)

    def apply(self, documents: Sequence[Document], vectors: Float32) -> list[tuple[Document, str]]:
        """Apply records in stream order; those that no selector takes, with the reason ("zero", "id", …).

        Args:
            vectors: (n, d), one row per record; rows of retractions are not looked at.
        """
        present = [i for i, document in enumerate(documents) if not document.deleted]
        checked = usable([documents[i].id for i in present], vectors[present], None, None, self._dimension)
        rejected = {present[position]: reason for position, reason in checked.rejected}
        for i, document in enumerate(documents):
            if i in rejected:
                continue
            self._note_partition(document)
            if document.deleted:
                row = self._rows.pop(document.id, None)
                if row is not None:
                    self._free.append(row)
            else:
                self._put(document, vectors[i])
        return [(documents[i], reason) for i, reason in sorted(rejected.items())]

    def blocks(self, ttl: int | None) -> Iterator[Block]:
        """The live documents, some at a time; with a time to live (milliseconds) those that have not expired."""
        rows = np.fromiter(self._rows.values(), np.int64, len(self._rows))
        if ttl is not None:
            alive: Bool = self._timestamps[rows] > self.watermark - ttl
            rows = rows[alive]
        for start in range(0, len(rows), _BLOCK):
            part = rows[start : start + _BLOCK]
            names = [self._names[row] for row in part.tolist()]
            yield Block(names, self._vectors[part], self._tokens[part], self._timestamps[part])

    def _put(self, document: Document, vector: Float32) -> None:
        self.seen += 1
        if document.timestamp is None:
            self.untimed += 1
        else:
            self.watermark = max(self.watermark, document.timestamp)
        row = self._rows.get(document.id)
        if row is None:
            row = self._rows[document.id] = self._free.pop() if self._free else self._grown()
            self._names[row] = document.id
        self._vectors[row] = vector
        self._tokens[row] = 1 if document.tokens is None else document.tokens
        self._timestamps[row] = _NO_TIME if document.timestamp is None else document.timestamp

    def _grown(self) -> int:
        row = len(self._names)
        self._names.append("")
        if row == len(self._vectors):
            more = row // 2
            self._vectors = np.concatenate([self._vectors, np.zeros((more, self._dimension), np.float32)])
            self._tokens = np.concatenate([self._tokens, np.zeros(more, np.int64)])
            self._timestamps = np.concatenate([self._timestamps, np.zeros(more, np.int64)])
        return row

    def _note_partition(self, document: Document) -> None:
        partition = document.source.get("partition")
        if partition is None:
            return
        known = self._partition.setdefault(document.id, partition)
        if known != partition and len(self.strays) < _FEW and document.id not in self.strays:
            self.strays.append(document.id)
