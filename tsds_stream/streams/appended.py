"""Files of the snapshot directory that only grow: what lies beyond their committed length does not count."""

from __future__ import annotations

import logging
from pathlib import Path

from tsds_stream.durable import Data, Disk
from tsds_stream.sealed import DamagedFileError

log = logging.getLogger(__name__)

_RESTORE = "Restore it from a copy, or move it away to begin a new one."


class AppendedFile:
    """One of them; the caller keeps the length in what it commits.

    Attributes:
        length: committed bytes.
    """

    def __init__(self, disk: Disk, path: Path) -> None:
        self.path = path
        self.length = 0
        self._disk = disk

    def append(self, data: Data) -> int:
        """Write behind what is committed, which the caller syncs; the length that is to be committed."""
        if data:
            self._disk.append(self.path, self.length, data)
        return self.length + len(data)

    def settle(self, length: int) -> bool:
        """Cut the file to its committed length. False: it was moved away while nothing ran; it begins anew.

        Raises:
            DamagedFileError: it is shorter.
        """
        found = self.path.stat().st_size if self.path.exists() else None
        self.length = length
        if found is None and length:
            log.warning("%s was moved away; a new one is begun", self.path)
            self.length = 0
            return False
        if found is not None and found < length:
            raise DamagedFileError(self.path, f"has {found} bytes, and {length} were committed", _RESTORE)
        if found is not None and found > length:
            self._disk.truncate(self.path, length)
            self._disk.sync(self.path)
        return True
