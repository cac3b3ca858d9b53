"""Records whose headers have names that are not UTF-8, which other producers can write and the library cannot read.

It takes them for damaged, and nothing behind them in their partition could ever be read. Such a name is given with
escapes: b"\\xff" as the four characters \\xff.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from kafka.record.default_records import DefaultRecordBatch

_METHOD: Final = "_read_msg"


def read_any_header_name() -> None:
    """Replace what reads a record of a batch, where the library is built as we know it."""
    original = vars(DefaultRecordBatch).get(_METHOD)
    if original is not None and not hasattr(original, "__wrapped__"):
        setattr(DefaultRecordBatch, _METHOD, _tolerant(original))


class _Bytes(bytearray):
    def decode(self, *_: Any) -> str:
        return super().decode("utf-8", "backslashreplace")


class _Batch(bytearray):
    """The bytes of a batch, of which every part can be decoded."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Bytes(found) if isinstance(place, slice) else found


def _tolerant(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @wraps(original)
    def read(self: Any) -> Any:
        try:
            return original(self)
        except UnicodeDecodeError:  # nothing has moved; from here on this batch is read a little slower
            self._buffer = _Batch(self._buffer)
            return original(self)

    return read
