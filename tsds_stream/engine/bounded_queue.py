"""A queue between two threads that is bounded by documents and by bytes, and ends with a reason."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")

_REST = 1.0  # seconds


class BoundedQueue(Generic[Item]):
    """One thread puts, one gets. A single item larger than the bounds passes when the queue is empty.

    Args:
        documents: the most documents that wait.
        size: the most bytes that wait.
    """

    def __init__(self, documents: int, size: int) -> None:
        self._limit = (documents, size)
        self._items: deque[tuple[Item, int, int]] = deque()
        self._documents = 0
        self._size = 0
        self._finished = False
        self._closed = False
        self._error: Exception | None = None
        self._changed = threading.Condition()

    @property
    def documents(self) -> int:
        """Documents that wait now."""
        return self._documents

    def put(self, item: Item, documents: int, size: int, rest: Callable[[], object] = lambda: None) -> bool:
        """Wait for room, then append; False when the queue was closed meanwhile. `rest` is called while it waits."""
        while True:
            with self._changed:
                ready = self._changed.wait_for(lambda: self._closed or self._fits(documents, size), _REST)
                if self._closed:
                    return False
                if ready:
                    self._items.append((item, documents, size))
                    self._documents += documents
                    self._size += size
                    self._changed.notify_all()
                    return True
            rest()

    def get(self, timeout: float | None = None) -> Item | None:
        """The next item; None when none came in time or none will ever come (`ended`).

        Raises whatever error the putting thread ended with, after the items before it were taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._finished or self._closed, timeout)
            if self._items:
                item, documents, size = self._items.popleft()
                self._documents -= documents
                self._size -= size
                self._changed.notify_all()
                return item
            if self._error is not None:
                raise self._error
            return None

    @property
    def ended(self) -> bool:
        """Everything that was put has been taken, and no more will come."""
        return self._closed or (self._finished and not self._items and self._error is None)

    def finish(self, error: Exception | None = None) -> None:
        """Called by the putting thread: that was all, or it failed with `error`."""
        with self._changed:
            self._finished = True
            self._error = error
            self._changed.notify_all()

    def close(self) -> None:
        """Called by the getting side: nothing more is wanted; who waits to put gives up."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._documents = self._size = 0
            self._changed.notify_all()

    def _fits(self, documents: int, size: int) -> bool:
        if not self._items:
            return True
        return self._documents + documents <= self._limit[0] and self._size + size <= self._limit[1]
