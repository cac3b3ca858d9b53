"""Python's search for unreachable cycles, made rare while documents pour in.

It starts after every 700 new objects and looks again and again at all that live long. A stream makes some ten objects
per document, none of them in cycles: with the usual thresholds a third of the time would go there, and with a large
state all threads would stand still for each look at everything.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

_NEW_OBJECTS: Final = 50_000  # that start a search among them
_ROUNDS: Final = 20  # searches until the survivors of them are looked at as well, and as many again until everything is


_lock = Lock()
_inside = 0
_before = gc.get_threshold()  # as the first one in found it


@contextmanager
def rare_collections() -> Iterator[None]:
    """Search seldom while any thread is inside, and not at all in what was held when the first one came in.

    Objects without cycles are freed at once, as ever. The thresholds are those of the process; the last one out
    restores them.
    """
    global _inside, _before
    with _lock:
        _inside += 1
        if _inside == 1:
            _before = gc.get_threshold()
            gc.freeze()
            gc.set_threshold(_NEW_OBJECTS, _ROUNDS, _ROUNDS)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                gc.set_threshold(*_before)
                gc.unfreeze()
