"""Partitions that are read on after a pause, in spite of the library.

It parks what it had fetched of a paused partition, fetches no more of it until that is used, and takes it up again only
when its slot for the partition in turn is None. A drained one in that slot is as good as none, but is not None: the
parked partition then waits until some other partition leaves the slot empty, which may be never.
"""

from __future__ import annotations

from typing import Any, Final

_SLOT: Final = "_next_partition_records"


def free_the_slot(client: Any) -> None:
    """Before every poll: let go of a partition that has nothing left."""
    fetcher = getattr(client, "_fetcher", None)
    inline = getattr(fetcher, _SLOT, None)
    if inline is not None and not inline:
        setattr(fetcher, _SLOT, None)
