"""What SQLite's errors mean, as a sentence for the person who can act."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Final

_BUSY, _LOCKED, _CORRUPT, _FULL, _NOTADB = 5, 6, 11, 13, 26  # primary result codes
_MESSAGES: Final = {"is locked": _BUSY, "is full": _FULL, "malformed": _CORRUPT, "not a database": _NOTADB}
_ROOM: Final = 16 << 20  # bytes; with so much free space, "full" means the limit of the database


def means_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is at fault, and not what is around it."""
    return _code(error) in (_CORRUPT, _NOTADB)


def reason(error: sqlite3.Error, path: Path, max_bytes: int | None) -> str:
    """What went wrong with the database `path`, and what to do; `max_bytes` is the limit that it was given."""
    code = _code(error)
    if code == _FULL and max_bytes is not None and shutil.disk_usage(path.parent).free > _ROOM:
        return f"{path} has reached its limit of {max_bytes} bytes. Raise the limit, or select fewer documents."
    if code == _FULL:
        return f"no space is left for {path}. Free some space on its disk and start again."
    if code in (_BUSY, _LOCKED):
        return f"{path} is in use by another writer. Stop it first."
    if means_damage(error):
        return f"{path} is damaged ({error}). Move it away and start again: the stream is then read again."
    return f"{path}: {error}."


def _code(error: sqlite3.Error) -> int:
    """The primary result code. Python 3.10 does not tell it; there the message has to do."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return int(code) & 0xFF
    return next((number for text, number in _MESSAGES.items() if text in str(error)), 1)
