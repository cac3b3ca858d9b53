"""How many documents are live: only `tv` asks, and shortlists cannot tell."""

from __future__ import annotations

from collections.abc import Iterable


class Census:
    """Live ids, by name, as long as they fit.

    Args:
        limit: ids remembered; beyond, the number is only an estimate (`known` is false).
        known: whether the documents so far, if any, were all counted.
    """

    def __init__(self, limit: int, known: bool = True) -> None:
        self.known = known
        self._limit = limit
        self._ids: set[str] = set()
        self._beyond = 0

    @property
    def count(self) -> int:
        return len(self._ids) + self._beyond

    def add(self, names: Iterable[str]) -> None:
        """Ids that are live now."""
        if self.known:
            self._ids.update(names)
            self.known = len(self._ids) <= self._limit
        else:
            self._beyond += sum(name not in self._ids for name in names)

    def remove(self, names: Iterable[str]) -> None:
        """Ids that are not live any more."""
        self._ids.difference_update(names)

    @property
    def ids(self) -> set[str]:
        return self._ids

    def restore(self, ids: set[str], beyond: int, known: bool) -> None:
        self._ids, self._beyond, self.known = ids, beyond, known

    @property
    def beyond(self) -> int:
        return self._beyond
