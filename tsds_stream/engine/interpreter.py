"""The interpreter, set for a stream that three threads work on, for as long as a run lasts.

The search for unreachable cycles starts after every 700 new objects, and looks again and again at all that live long. A
stream makes some ten objects per document, none of them in cycles: with the usual thresholds a third of the time goes
there, and with a large state all threads stand still for each look at everything.

A thread that computes keeps the interpreter lock for 5 ms while others wait. A client of brokers, which gives it up at
each read from a socket, then gets little done beside one.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

_NEW_OBJECTS: Final = 50_000  # that start a search among them
_ROUNDS: Final = 20  # searches until the survivors of them are looked at as well, and as many again until everything is
_SWITCH: Final = 0.001  # seconds

_lock = Lock()
_inside = 0
_before = (gc.get_threshold(), sys.getswitchinterval())  # as the first one in found them


@contextmanager
def set_for_streaming() -> Iterator[None]:
    """Search seldom, and not at all in what was held when the first one came in; hand the lock over soon.

    Objects without cycles are freed at once, as ever. All of it concerns the whole process; entries are counted, and
    the last one out restores what was there.
    """
    global _inside, _before
    with _lock:
        _inside += 1
        if _inside == 1:
            _before = gc.get_threshold(), sys.getswitchinterval()
            gc.freeze()
            gc.set_threshold(_NEW_OBJECTS, _ROUNDS, _ROUNDS)
            sys.setswitchinterval(min(_SWITCH, _before[1]))
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                gc.set_threshold(*_before[0])
                sys.setswitchinterval(_before[1])
                gc.unfreeze()
