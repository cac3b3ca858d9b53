"""Numbers, durations and times as the page shows them. A value that is not known is a dash."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timezone

from tsds_stream.monitoring import wording

Formatter = Callable[[object], str]

UNKNOWN = "–"
_LAST = 253_402_300_799_000  # milliseconds; the last moment that a calendar with years of four digits has


def number(value: object) -> float | None:
    """The value when it is a finite number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return value
    return None


def count(value: object) -> str:
    """1,234,567"""
    found = number(value)
    return UNKNOWN if found is None else f"{round(found):,}"


def figure(value: object) -> str:
    """Three digits that matter, and never fewer than the whole number has: 0.812, 0.4, 12.5, 1,241."""
    found = number(value)
    if found is None:
        return UNKNOWN
    size = abs(found)
    if size == 0:
        return "0"
    if size >= 1e9 or size < 1e-4:
        return f"{found:.2e}"
    return _trimmed(f"{found:,.{max(0, 2 - math.floor(math.log10(size)))}f}")


def share(value: object) -> str:
    """47%, 4.7%, 0.47%, 0%"""
    found = number(value)
    if found is None:
        return UNKNOWN
    percent = 100 * found
    size = abs(percent)
    if size == 0:
        return "0%"
    if size < 0.005:
        return "<0.01%" if percent > 0 else ">-0.01%"
    return f"{percent:,.{0 if size >= 9.95 else 1 if size >= 0.995 else 2}f}%"


def change(value: object) -> str:
    """+4.7%, −1.2%"""
    sign = "+" if (number(value) or 0) > 0 else ""
    return sign + share(value).replace("-", "\N{MINUS SIGN}")


def size(value: object) -> str:
    """1.7 GB of bytes."""
    found = number(value)
    return UNKNOWN if found is None else wording.size(found)


def seconds(value: object) -> str:
    """410 ms, 1.22 s, 14 minutes: something that was measured, or is set, in seconds."""
    found = number(value)
    if found is None:
        return UNKNOWN
    if found >= 119.5:
        return wording.duration(found)
    if found == 0 or abs(found) >= 0.9995:
        return f"{figure(found)} s"
    return f"{figure(1000 * found)} ms"


def moment(value: object) -> datetime | None:
    """Milliseconds since the epoch as a time in UTC; None where nothing has happened yet."""
    found = number(value)
    if found is None or not 0 < found <= _LAST:
        return None
    return datetime.fromtimestamp(found / 1000, timezone.utc)


def absolute(value: object) -> str:
    """2026-09-21 14:13:20 UTC"""
    at = moment(value)
    return "never" if at is None else at.strftime("%Y-%m-%d %H:%M:%S UTC")


def machine_time(value: object) -> str | None:
    """2026-09-21T14:13:20.250Z, for `<time datetime>`."""
    at = moment(value)
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def age(value: object, now: int) -> str:
    """12 s ago, 3 minutes ago, just now, never; both times in milliseconds since the epoch."""
    found = number(value)
    if found is None or moment(found) is None:
        return "never"
    return "just now" if 0 <= now - found < 1000 else wording.age(int(found), now)


def _trimmed(figure: str) -> str:
    return figure.rstrip("0").rstrip(".") if "." in figure else figure
