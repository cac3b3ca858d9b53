"""withdrawn.jsonl of a snapshot directory: which documents were retracted, when, and from which revision on it shows.

A revision tells which documents it has, not why one has left: it may have been retracted, or been displaced by better
ones. Revisions are deleted, too; this file is kept. Its lines are

    {"since": {"default": 7}}                           retractions are recorded from here on: after revision 7
    {"withdrawn": [["id", 1790000000000]], "revisions": {"default": 8}}

with the time at which each retraction was sent, where the stream tells it, or else was read, and the first revision of
each target set that knows of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from tsds_stream.sealed import DamagedFileError, unseal
from tsds_stream.streams.base import Withdrawal
from tsds_stream.streams.layout import Layout
from tsds_stream.streams.segments import RESTORE

RECORDED: Final = "withdrawn"  # field of commit.json: committed bytes, where retractions are recorded
_WITHDRAWN: Final = "withdrawn"
_SINCE: Final = "since"
_REVISIONS: Final = "revisions"


class Since(NamedTuple):
    """Retractions are recorded from here on; of those before, or since the last line of the file, nothing is known.

    Attributes:
        revisions: the last revision of each target set by then; none: the directory was new.
    """

    revisions: dict[str, int]


class Withdrawn(NamedTuple):
    """Documents that were retracted together.

    Attributes:
        revisions: by target set, the first one that knows of it.
    """

    withdrawals: list[Withdrawal]
    revisions: dict[str, int]


def since_line(revisions: Mapping[str, int]) -> bytes:
    return orjson.dumps({_SINCE: revisions}) + b"\n"


def withdrawn_line(withdrawals: Sequence[Withdrawal], revisions: Mapping[str, int]) -> bytes:
    return orjson.dumps({_WITHDRAWN: list(map(list, withdrawals)), _REVISIONS: revisions}) + b"\n"


def records_withdrawals(root: Path) -> bool:
    """Whether the last commit of a snapshot directory recorded retractions. Raises `DamagedFileError`, `OSError`."""
    return RECORDED in unseal(Layout(root).commit, RESTORE)


def read_withdrawals(root: Path) -> Iterator[Since | Withdrawn]:
    """What is committed, oldest first.

    Raises:
        DamagedFileError: the file is not what was written.
    """
    layout = Layout(root)
    if not layout.withdrawn.exists():
        return
    left = unseal(layout.commit, RESTORE).get(RECORDED) or layout.withdrawn.stat().st_size
    with layout.withdrawn.open("rb") as file:
        for number, line in enumerate(file, 1):
            left -= len(line)
            if left < 0:
                return
            try:
                content = orjson.loads(line)
                if _SINCE in content:
                    yield Since(content[_SINCE])
                else:
                    yield Withdrawn([Withdrawal(*one) for one in content[_WITHDRAWN]], content[_REVISIONS])
            except (ValueError, KeyError, TypeError) as error:
                what = f"is damaged in line {number}"
                raise DamagedFileError(layout.withdrawn, what, "Restore it from a copy.") from error
