"""Nothing that a test starts outlives its process, however that process ends.

A small child holds a pipe to us and a list of process groups. When the pipe closes, by our exit or by our SIGKILL, it
kills what is left on the list. Unlike a signal on the death of the parent it does not depend on which thread started it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

_lock = threading.Lock()
_pipe: subprocess.Popen[bytes] | None = None
_owner = 0


def watch(group: int) -> None:
    """Kill this process group when the calling process ends."""
    _tell(f"+{group}\n")


def release(group: int) -> None:
    """The group is gone; its number may be given to another one."""
    _tell(f"-{group}\n")


def _tell(line: str) -> None:
    global _pipe, _owner
    with _lock:
        if _pipe is None or _owner != os.getpid():
            # Its own session: an interrupt from the terminal must not end it before its work is done.
            command = [sys.executable, "-I", "-S", __file__]
            nothing = subprocess.DEVNULL
            _pipe = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing, cwd="/", start_new_session=True
            )
            _owner = os.getpid()
        assert _pipe.stdin is not None
        _pipe.stdin.write(line.encode())
        _pipe.stdin.flush()


def main() -> None:
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
