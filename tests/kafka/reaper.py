"""Nothing that a test starts outlives its process, however that process ends.

A small child holds a pipe to us and a list of process groups. When the pipe closes, by our exit or by our SIGKILL, it
kills what is left on the list. Unlike a signal on the death of the parent this does not depend on the starting thread.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

_lock = threading.Lock()
_pipe = -1
_owner = 0


def watch(group: int) -> None:
    """Kill this process group when the calling process ends."""
    _tell(f"+{group}\n")


def release(group: int) -> None:
    """The group is gone; its number may be given to another one."""
    _tell(f"-{group}\n")


def _tell(line: str) -> None:
    with _lock:
        os.write(_connected(), line.encode())


def _connected() -> int:
    """The pipe to the reaper of this process, which is started when it is first needed (or after a fork)."""
    global _pipe, _owner
    if _owner != os.getpid():
        reading, _pipe = os.pipe()
        nothing = subprocess.DEVNULL
        # Its own session: an interrupt from the terminal must not end it before its work is done.
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=reading,
            stdout=nothing,
            stderr=nothing,
            cwd="/",
            start_new_session=True,
        )
        child.returncode = 0  # it is not waited for: it outlives us
        os.close(reading)
        _owner = os.getpid()
    return _pipe


def main() -> None:
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
