"""The documents that an export is made of: all of a revision, or those that another revision does not have so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tsds_stream.exporting.documents import Document, document_of
from tsds_stream.loader.revisions import Revision


class Places(NamedTuple):
    """How many documents of the newer and of the older revision are behind us."""

    after: int = 0
    before: int = 0


def changed(after: Revision, before: Revision | None, start: Places) -> Iterator[tuple[Document, Places]]:
    """Documents of `after` by ascending ids, from `start` on, each with the places behind it.

    Where there is a `before`, only those that are not in it, or not so: any field may be another, a probability as
    well, though it has moved by less than consumers are told of. Both are read once and nothing of them is kept.

    Raises:
        RevisionError: a document is not what was written, or its revision was deleted.
    """
    i, j = start
    while i < len(after):
        name = after.id(i) if before is not None else ""
        while before is not None and j < len(before) and before.id(j) < name:
            j += 1
        document = document_of(after[i])
        i += 1
        if before is not None and j < len(before) and before.id(j) == name:
            j += 1
            if document_of(before[j - 1]).line == document.line:
                continue
        yield document, Places(i, j)


def removed(after: Revision, before: Revision) -> Iterator[str]:
    """Ids of `before` that are not in `after`, ascending."""
    i = 0
    for j in range(len(before)):
        name = before.id(j)
        while i < len(after) and after.id(i) < name:
            i += 1
        if i == len(after) or after.id(i) != name:
            yield name
