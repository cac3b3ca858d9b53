"""Numbers and times as the status page, the terminal and the judgement say them."""

from __future__ import annotations

_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60))


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 minutes`, `2 hours`: rounded down to one unit; from ten days on, days."""
    seconds = max(0.0, seconds)
    for unit, length in _UNITS:
        if seconds >= length:
            number = int(seconds // length)
            return f"{number:,} {unit}{'' if number == 1 else 's'}"
    return f"{seconds:.1f} s" if 0 < seconds < 0.95 else f"{seconds:.0f} s"


def age(moment: int, now: int) -> str:
    """`12 s ago` of a moment in milliseconds; `never` of 0."""
    return f"{duration((now - moment) / 1000)} ago" if moment else "never"


def amount(number: float) -> str:
    """`950`, `12,340`, `1.2 million`: whole, and short where it is large."""
    for name, size in (("billion", 1e9), ("million", 1e6)):
        if abs(number) >= size:
            return f"{number / size:,.1f} {name}"
    return f"{number:,.0f}"


def rate(per_second: float) -> str:
    """`1,240`, `3.2`: documents per second."""
    return f"{per_second:,.0f}" if per_second >= 10 or per_second < 0.05 else f"{per_second:.1f}"


def size(number: float) -> str:
    """`1.4 GB` of bytes, in powers of ten."""
    for name, unit in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number:.0f} bytes"


def plural(number: int, noun: str) -> str:
    """`1 document`, `12,000 documents`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def waiting(lag: dict[str, float], follow: bool = True) -> str:
    """`40 records wait`, `1.2 MB wait`, `nothing waits`; empty where the source does not say.

    Args:
        follow: False: the stream has an end, and what is not read yet is the rest of it: `1.2 MB are left`.
    """
    many, one = ("wait", "waits") if follow else ("are left", "is left")
    if lag.get("records"):
        return f"{amount(lag['records'])} record{f' {one}' if lag['records'] == 1 else f's {many}'}"
    if lag.get("bytes"):
        return f"{size(lag['bytes'])} {many}"
    return f"nothing {one}" if "records" in lag or "bytes" in lag else ""


def listed(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
