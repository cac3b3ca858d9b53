"""How values are found in a status document; what is missing there reads as None."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tsds_stream.monitoring.catalogue.metric import Json, Labels, Read, Reading


def at(document: object, *path: str) -> Any:
    """What lies at the end of this path; None where the path breaks off."""
    for name in path:
        if not isinstance(document, Mapping):
            return None
        document = document.get(name)
    return document


def value(*path: str) -> Read:
    """The number or histogram at this path."""
    return lambda status: {(): at(status, *path)}


def moment(*path: str) -> Read:
    """The time at this path in seconds since the epoch; 0: never."""
    return lambda status: {(): _seconds(at(status, *path))}


def per_set(*path: str) -> Read:
    """The number at this path below each target set."""
    return lambda status: {(name,): at(one, *path) for name, one in sets(status)}


def moment_per_set(*path: str) -> Read:
    """The time at this path below each target set, in seconds since the epoch; 0: never."""
    return lambda status: {(name,): _seconds(at(one, *path)) for name, one in sets(status)}


def parts_per_set(*path: str, parts: Mapping[str, str]) -> Read:
    """Several numbers below the same path of each target set: {label value: name in the document}."""
    return lambda status: {
        (name, label): at(one, *path, part) for name, one in sets(status) for label, part in parts.items()
    }


def counted(known: Iterable[str], *path: str) -> Read:
    """Numbers by name at this path; those that are known are 0 until they are counted."""
    known = tuple(known)

    def read(status: Json) -> Mapping[Labels, Reading]:
        found = at(status, *path) or {}
        return {(name,): found.get(name, 0) for name in {**dict.fromkeys(known), **found}}

    return read


def chosen(known: Iterable[str], *path: str) -> Read:
    """1 for the name at this path, 0 for the other known ones."""
    known = tuple(known)
    return lambda status: {(name,): float(at(status, *path) == name) for name in known}


def sets(status: Json) -> Iterable[tuple[str, Json]]:
    """The target sets, by name."""
    return (at(status, "sets") or {}).items()


def _seconds(milliseconds: Any) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, (int, float)) else None
