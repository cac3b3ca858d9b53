"""The status document as a file in the state directory, for `tsds-stream status` and for whoever comes too late."""

from __future__ import annotations

import os
from pathlib import Path

from tsds_stream.logs import Log

NAME = "status.json"


class StatusFile:
    """Replaces the file as a whole. A failure (a full disk) is told once and stops nothing.

    Args:
        directory: the state directory.
    """

    def __init__(self, directory: Path, log: Log) -> None:
        self._path = directory / NAME
        self._fresh = directory / f".{NAME}.new"
        self._log = log
        self._failed = False

    def write(self, document: bytes) -> None:
        """Put this document in the place of the last one."""
        try:
            self._fresh.write_bytes(document)
            os.replace(self._fresh, self._path)
        except OSError as error:
            if not self._failed:
                self._log.warning("the status file cannot be written", file=str(self._path), error=str(error))
            self._failed = True
        else:
            self._failed = False
