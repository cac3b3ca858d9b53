"""Cutting a batch into runs that a selector can take at once without changing what the stream says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tsds_stream.records import Document

Run = tuple[bool, list[int]]  # whether its documents are retracted, and their positions in the batch


def runs(documents: Sequence[Document], *, in_order: bool) -> Iterator[Run]:
    """Runs of documents of one kind in which no id repeats; applied one after another they equal the stream.

    Records of different ids commute: the live documents are the last record per id. So by default the first records of
    all ids make the first run, their second records the next, and a few mixed retractions do not break a batch into
    pieces.

    Args:
        in_order: keep the exact order of arrival, as is needed while sigma is not calibrated: it is taken after a
            certain number of documents, so it matters which came first.
    """
    if len({document.id for document in documents}) == len(documents) and not any(d.deleted for d in documents):
        if documents:
            yield False, list(range(len(documents)))
        return
    yield from _stretches(documents) if in_order else _rounds(documents)


def _stretches(documents: Sequence[Document]) -> Iterator[Run]:
    positions: list[int] = []
    seen: set[str] = set()
    for position, document in enumerate(documents):
        if positions and (document.deleted != documents[positions[0]].deleted or document.id in seen):
            yield documents[positions[0]].deleted, positions
            positions, seen = [], set()
        positions.append(position)
        seen.add(document.id)
    yield documents[positions[0]].deleted, positions


def _rounds(documents: Sequence[Document]) -> Iterator[Run]:
    rounds: list[tuple[list[int], list[int]]] = []
    turn: defaultdict[str, int] = defaultdict(int)
    for position, document in enumerate(documents):
        number = turn[document.id]
        turn[document.id] = number + 1
        if number == len(rounds):
            rounds.append(([], []))
        rounds[number][document.deleted].append(position)
    for kept, retracted in rounds:
        if kept:
            yield False, kept
        if retracted:
            yield True, retracted
