"""Whether a `tsds-stream run` is alive: a process holds the state directory, and its main thread moves.

    python3 healthcheck.py [STATE_DIRECTORY [SECONDS]]

The main loop wakes ten times a second even when nothing happens. A main thread that in SECONDS (2) neither computed nor
gave up the processor once is stopped or hangs. A broker that is away is not seen here, and should not be: a new process
would wait for it in the same way. Needs the standard library and Linux; no port, no configuration. Exit code 0: alive.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

PROC = Path("/proc")
LOOKS_PER_SECOND = 10


def holder_of(lock: Path) -> int | None:
    """The process that is named in the lock file and has it open; None: there is none.

    The lock is not tried: a daemon that starts at this moment would find it taken.
    """
    try:
        words = lock.read_text(errors="replace").split()
        process = int(words[1])
        descriptors = list((PROC / str(process) / "fd").iterdir())
    except (OSError, IndexError, ValueError):
        return None
    return process if any(_is(descriptor, lock) for descriptor in descriptors) else None


def activity(process: int) -> tuple[str, ...]:
    """Counters of the main thread that change whenever it runs: switches, and ticks of processor time.

    Raises `OSError` when the process is gone."""
    thread = PROC / str(process) / "task" / str(process)
    switches = [line for line in (thread / "status").read_text().splitlines() if "ctxt_switches" in line]
    ticks = (thread / "stat").read_text().rpartition(")")[2].split()[11:13]
    return (*switches, *ticks)


def problem(state: Path, seconds: float) -> str | None:
    """What is wrong, in a sentence; None: alive."""
    process = holder_of(state / "lock")
    if process is None:
        return f"no process holds {state / 'lock'}: nothing runs on this state, or it has only just begun to start"
    try:
        before = activity(process)
        for _ in range(max(1, round(seconds * LOOKS_PER_SECOND))):
            time.sleep(1 / LOOKS_PER_SECOND)
            if activity(process) != before:
                return None
    except OSError:
        return f"process {process} ended just now"
    return f"the main thread of process {process} has not moved for {seconds:g} s"


def _is(descriptor: Path, file: Path) -> bool:
    try:
        return descriptor.samefile(file)
    except OSError:
        return False


def main(arguments: list[str]) -> int:
    """Print the sentence that `docker inspect` shows; 0: alive, 1: not."""
    state = Path(arguments[0]) if arguments else Path("state")
    found = problem(state, float(arguments[1]) if len(arguments) > 1 else 2.0)
    print(found or "alive")
    return 0 if found is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
