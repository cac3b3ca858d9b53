"""A whole selection as one JSONL file, best document first, for people who want just that."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import orjson

from tsds_stream.durable import Disk, temporary, write_atomically
from tsds_stream.records import Json


def write_selection(path: Path, records: Iterable[Json], disk: Disk | None = None) -> int:
    """Replace `path` by the selection records, by descending probability, then id; returns how many.

    Raises `OSError`; the file is then what it was before.
    """
    rows = [(-record["probability"], record["id"], record) for record in records]
    rows.sort(key=lambda row: row[:2])
    lines = b"".join([orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for _, _, record in rows])
    disk = disk if disk is not None else Disk()
    try:
        write_atomically(disk, path, lines)
    except OSError:
        with suppress(OSError):  # the first error is the one to tell
            disk.remove(temporary(path))
        raise
    return len(rows)
