"""Partitions that are read on after a pause or an error, and let go of at the end, in spite of the library.

It parks what it had fetched of a paused partition, fetches no more of it until that is used, and takes it up again only
when its slot for the partition in turn is None. A drained one in that slot is as good as none, but is not None: the
parked partition then waits until some other partition leaves the slot empty, which may be never.

Where the records of a partition cannot be read on (a checksum does not fit), it says so once and leaves what is left of
them in the slot: nothing, but not None either. The next poll then asks that for records, for ever.

A client that is closed keeps what it had fetched and not yet given, a mebibyte per partition and more. It is part of
cycles, so that this stays until the interpreter looks for them, which it does seldom while a stream runs.
"""

from __future__ import annotations

from typing import Any, Final

_SLOT: Final = "_next_partition_records"
_LATER: Final = "_next_in_line_exception_metadata"  # an error that the next poll raises
_PARKED: Final = "_paused_partition_records"
_FETCHED: Final = ("_completed_fetches", "_fetch_futures", "_paused_completed_fetches", _PARKED)


def free_the_slot(client: Any) -> None:
    """Before every poll: let go of a partition that has nothing left."""
    fetcher = getattr(client, "_fetcher", None)
    inline = getattr(fetcher, _SLOT, None)
    if inline is not None and not inline:
        setattr(fetcher, _SLOT, None)


def drop_what_failed(client: Any, *, failed: bool) -> None:
    """After every poll: let go of a partition that cannot be read on; it is fetched again."""
    fetcher = getattr(client, "_fetcher", None)
    if not failed and getattr(fetcher, _LATER, None) is None:
        return
    inline = getattr(fetcher, _SLOT, None)
    if inline is not None:
        inline.drain()
        setattr(fetcher, _SLOT, None)


def let_go_of_the_rest(client: Any) -> None:
    """After the end: what was fetched is not wanted any more."""
    fetcher = getattr(client, "_fetcher", None)
    for begun in (getattr(fetcher, _SLOT, None), *getattr(fetcher, _PARKED, {}).values()):
        if begun is not None:
            begun.drain()
    for name in _FETCHED:
        held = getattr(fetcher, name, None)
        if held is not None:
            held.clear()
