"""What the operating system says of this process, and how much memory it may use."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def resident_bytes() -> int:
    """Physical memory in use; where the system does not tell (macOS), the most that was ever in use."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def memory_limit_bytes(configured: int | None = None) -> int:
    """What the process may use: as configured, else the limit of its container, else the memory of the machine."""
    if configured is not None:
        return configured
    machine = os.sysconf("SC_PHYS_PAGES") * _PAGE
    for path in _CGROUP_LIMITS:
        try:
            limit = int(path.read_text())
        except (OSError, ValueError):  # no such file, or "max"
            continue
        return min(limit, machine)
    return machine
