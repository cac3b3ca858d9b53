"""One BLAS thread at a time, from any number of our own threads.

Two BLAS threads on small blocks spin at their barrier whenever another process holds a core, and run several times
slower than one. `threadpool_limits` alone restores the wrong number when two threads overlap, so entries are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

_lock = Lock()
_inside = 0
_limiter: Any = None  # of threadpoolctl, which has no types
_threads = 0  # as BLAS was found, before anybody here limited it


@cache
def _controller() -> Any:
    return ThreadpoolController()  # looks through all loaded libraries: once


def _found_threads() -> int:
    global _threads
    if not _threads:
        found = [library["num_threads"] for library in _controller().info() if library["user_api"] == "blas"]
        _threads = min(found, default=1)  # other packages bring a BLAS of their own
    return _threads


def blas_threads() -> int:
    """How many threads BLAS takes for a product, and so how many of our own may replace them."""
    with _lock:
        return _found_threads()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread while any thread is inside; the last one out restores the former number."""
    global _inside, _limiter
    with _lock:
        _inside += 1
        if _inside == 1:
            _found_threads()
            _limiter = _controller().limit(limits=1, user_api="blas")
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _limiter.restore_original_limits()
