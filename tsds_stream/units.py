"""Durations and sizes as people write them: "500ms", "1h 30m", "1 MiB"."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_SECONDS = {
    "ms": 0.001, "s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400, "w": 604800, "week": 604800,
    "weeks": 604800,
}  # fmt: skip
_BYTES = {"": 1, "b": 1, "byte": 1, "bytes": 1} | {
    prefix + suffix: base ** (power + 1)
    for power, prefix in enumerate("kmgt")
    for suffix, base in (("b", 1000), ("ib", 1024))
}
_PART = re.compile(r"\s*(\d+(?:_\d+)*(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_duration(text: str) -> float:
    """Seconds in "500ms", "1s", "1h 30m", "7 days" or a bare number of seconds. Raises `ValueError`."""
    try:
        return float(text)
    except ValueError:
        return _sum_of_parts(text, _SECONDS, 'a duration such as "500ms", "1s", "5 min", "1h 30m" or "7d"')


def parse_size(text: str) -> int:
    """Bytes in "64 KiB", "1 MB", "2GiB" or a bare number of bytes. Raises `ValueError`."""
    total = _sum_of_parts(text, _BYTES, 'a size such as "65536", "64 KiB", "1 MB" or "2 GiB"')
    if total != int(total):
        raise ValueError("a size is a whole number of bytes")
    return int(total)


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads back: 0.5 -> "500ms", 5400 -> "90m"."""
    milliseconds = round(seconds * 1000, 6)
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % length == 0:
            return f"{_plain(milliseconds / length)}{unit}"
    return f"{_plain(milliseconds)}ms" if milliseconds else "0s"


def format_size(size: int) -> str:
    """The shortest exact text that `parse_size` reads back: 1048576 -> "1 MiB"."""
    for power, prefix in ((4, "T"), (3, "G"), (2, "M"), (1, "K")):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power} {prefix}iB"
    return str(size)


def _plain(number: float) -> str:
    """Without exponent, and without zeros behind the point."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _sum_of_parts(text: str, units: dict[str, float] | dict[str, int], wanted: str) -> float:
    total, end = 0.0, 0
    while end < len(text.rstrip()) or not end:
        part = _PART.match(text, end)
        if part is None or part[2].lower() not in units:
            raise ValueError(f"expected {wanted}")
        total += float(part[1]) * units[part[2].lower()]
        end = part.end()
    return total


def _seconds(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _milliseconds(value: Any) -> Any:
    if not isinstance(value, str) or value.strip().lstrip("-").isdigit():
        return value
    milliseconds = parse_duration(value) * 1000
    if milliseconds != int(milliseconds):
        raise ValueError("a whole number of milliseconds")
    return int(milliseconds)


def _bytes(value: Any) -> Any:
    return parse_size(value) if isinstance(value, str) else value


class Unit:
    """Marks the annotation of a setting with what its text may look like; the reference and the messages read it."""

    def __init__(self, name: str) -> None:
        self.name = name


Seconds = Annotated[float, BeforeValidator(_seconds), Unit("duration")]
Milliseconds = Annotated[int, BeforeValidator(_milliseconds), Unit("milliseconds")]
Size = Annotated[int, BeforeValidator(_bytes), Unit("size")]
