"""Sequences of one length out of documents of any length: which tokens stand where, and what is left over."""

from __future__ import annotations

import base64
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tsds_stream.records import Json

Packing = Literal["concat", "first_fit"]
PACKINGS: Final = ("concat", "first_fit")
IGNORED: Final = -100  # of labels: torch's cross_entropy leaves it out
Tokens = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens of a document that stand together.

    Attributes:
        start: of the first of them within the document.
        origin: whatever tells which document it is; for JSON.
    """

    tokens: Tokens
    start: int
    origin: Json

    def split(self, at: int) -> tuple[Piece, Piece]:
        return (
            Piece(self.tokens[:at], self.start, self.origin),
            Piece(self.tokens[at:], self.start + at, self.origin),
        )


class LeftOver(NamedTuple):
    """What a packer holds.

    Attributes:
        complete: how many of the sequences only wait to be given out.
    """

    complete: int
    sequences: list[list[Piece]]


class Packer(Protocol):
    """Takes documents, gives sequences of pieces."""

    def add(self, piece: Piece) -> None:
        """A whole document, with at least one token."""

    def next(self) -> list[Piece] | None:
        """A sequence that is complete, or None where more documents are needed."""

    def rest(self) -> list[Piece] | None:
        """A sequence of what is left when no more documents come, or None."""

    def state(self) -> LeftOver:
        """What was taken and not given."""

    def restore(self, state: LeftOver) -> None: ...


class Concat:
    """One document after the other, cut where a sequence is full: every token once, and no padding before the end."""

    def __init__(self, length: int) -> None:
        self._length = length
        self.restore(LeftOver(0, [[]]))

    def add(self, piece: Piece) -> None:
        self._pieces.append(piece)
        self._held += len(piece.tokens)

    def next(self) -> list[Piece] | None:
        return self._taken(self._length) if self._held >= self._length else None

    def rest(self) -> list[Piece] | None:
        return self._taken(min(self._held, self._length)) if self._held else None

    def state(self) -> LeftOver:
        return LeftOver(0, [list(self._pieces)])

    def restore(self, state: LeftOver) -> None:
        (pieces,) = state.sequences
        self._pieces = deque(pieces)
        self._held = sum(len(piece.tokens) for piece in pieces)

    def _taken(self, count: int) -> list[Piece]:
        self._held -= count
        taken = []
        while count:
            piece = self._pieces.popleft()
            if len(piece.tokens) > count:
                piece, after = piece.split(count)
                self._pieces.appendleft(after)
            taken.append(piece)
            count -= len(piece.tokens)
        return taken


class FirstFit:
    """A document goes whole into the first open sequence that has room for it; where none has, one more is opened.

    Beyond `most` open sequences the fullest is given out. Of a document longer than a sequence, parts that fill one
    are sequences of their own, and the rest is placed as a document is.
    """

    def __init__(self, length: int, most: int) -> None:
        self._length, self._most = length, most
        self.restore(LeftOver(0, []))

    def add(self, piece: Piece) -> None:
        while len(piece.tokens) > self._length:
            full, piece = piece.split(self._length)
            self._ready.append([full])
        size = len(piece.tokens)
        for k, room in enumerate(self._room):
            if size <= room:
                self._open[k].append(piece)
                self._room[k] -= size
                break
        else:
            self._open.append([piece])
            self._room.append(self._length - size)
            k = len(self._open) - 1
        if not self._room[k]:
            self._close(k)
        elif len(self._open) > self._most:
            self._close(int(np.argmin(self._room)))

    def next(self) -> list[Piece] | None:
        return self._ready.popleft() if self._ready else None

    def rest(self) -> list[Piece] | None:
        if self._open:
            self._close(0)
        return self.next()

    def state(self) -> LeftOver:
        return LeftOver(len(self._ready), [*self._ready, *map(list, self._open)])

    def restore(self, state: LeftOver) -> None:
        complete, sequences = state
        self._ready = deque(sequences[:complete])
        self._open = [list(pieces) for pieces in sequences[complete:]]
        self._room = [self._length - sum(len(piece.tokens) for piece in pieces) for pieces in self._open]

    def _close(self, k: int) -> None:
        self._ready.append(self._open.pop(k))
        del self._room[k]


def sequence_of(pieces: Sequence[Piece], length: int, padding: int) -> dict[str, NDArray[np.int64]]:
    """(length,) int64 each: input_ids, labels, position_ids (from 0 in every piece), document_ids (-1: padding)."""
    sizes = [len(piece.tokens) for piece in pieces]
    used = sum(sizes)
    input_ids = np.full(length, padding, np.int64)
    input_ids[:used] = np.concatenate([piece.tokens for piece in pieces])
    labels = input_ids.copy()
    labels[used:] = IGNORED
    positions, documents = np.zeros(length, np.int64), np.full(length, -1, np.int64)
    documents[:used] = np.repeat(np.arange(len(pieces)), sizes)
    positions[:used] = np.concatenate([np.arange(size) for size in sizes])
    return {"input_ids": input_ids, "labels": labels, "position_ids": positions, "document_ids": documents}


def left_over_as_json(left: LeftOver) -> Json:
    """Tokens take about two bytes each."""
    sequences = [[[_packed(piece.tokens), piece.start, piece.origin] for piece in pieces] for pieces in left.sequences]
    return {"complete": left.complete, "sequences": sequences}


def left_over_of(state: Json) -> LeftOver:
    """Raises KeyError, TypeError, ValueError or zlib.error where it is not what `left_over_as_json` made."""
    sequences = [
        [Piece(_unpacked(tokens), int(start), dict(origin)) for tokens, start, origin in pieces]
        for pieces in state["sequences"]
    ]
    return LeftOver(int(state["complete"]), sequences)


def _packed(tokens: Tokens) -> str:
    return base64.b85encode(zlib.compress(tokens.astype("<i4").tobytes())).decode()


def _unpacked(text: str) -> Tokens:
    return np.frombuffer(zlib.decompress(base64.b85decode(text)), "<i4").astype(np.int32)
