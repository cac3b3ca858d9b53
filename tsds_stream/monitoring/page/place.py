"""A place in the status document: its value, and where it stands, so that every number shown can name its origin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Place:
    """A value and its JSON Pointer (RFC 6901) in /status.json. What is missing has the value None, at any depth."""

    __slots__ = ("path", "value")

    def __init__(self, value: Any, path: str = "") -> None:
        self.value = value
        self.path = path

    def __getitem__(self, key: str | int) -> Place:
        path = f"{self.path}/{str(key).replace('~', '~0').replace('/', '~1')}"
        if isinstance(self.value, dict) and isinstance(key, str):
            return Place(self.value.get(key), path)
        if isinstance(self.value, list) and isinstance(key, int) and -1 < key < len(self.value):
            return Place(self.value[key], path)
        return Place(None, path)

    def __iter__(self) -> Iterator[Place]:
        """The items of a list; nothing where there is no list."""
        if isinstance(self.value, list):
            for k in range(len(self.value)):
                yield self[k]

    def __bool__(self) -> bool:
        return bool(self.value)

    def items(self) -> Iterator[tuple[str, Place]]:
        """The members of an object; nothing where there is no object."""
        if isinstance(self.value, dict):
            for key in self.value:
                yield str(key), self[key]

    @property
    def known(self) -> bool:
        """Whether there is a value at all."""
        return self.value is not None

    def words(self, otherwise: str = "") -> str:
        """The value where it is a text that is not empty."""
        return self.value if isinstance(self.value, str) and self.value else otherwise
