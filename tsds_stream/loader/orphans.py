"""Workers end with the process that they read for when that is killed."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.process import BaseProcess
from threading import Thread


def end_with_parent() -> None:
    """End this process when the one that it works for is gone.

    torch looks every few seconds whether its parent is another one, and sees nothing where workers come from a fork
    server, which is what they come from by default since Python 3.14: they would stay for ever. Those that are forked
    would hold the locks of the training for seconds, while it wants to go on.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_end_after, args=(parent,), name="parent", daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
