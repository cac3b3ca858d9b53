"""The status document as a file in the state directory, for `tsds-stream status` and for whoever comes too late."""

from __future__ import annotations

from pathlib import Path

from tsds_stream.durable import Disk, write_in_one_step
from tsds_stream.logs import Log

NAME = "status.json"


class StatusFile:
    """Replaces the file as a whole. A failure (a full disk) is told once and stops nothing.

    Args:
        directory: the state directory.
    """

    def __init__(self, directory: Path, log: Log) -> None:
        self._path = directory / NAME
        self._disk = Disk()
        self._log = log
        self._failed = False

    def write(self, document: bytes) -> None:
        """Put this document in the place of the last one."""
        try:
            write_in_one_step(self._disk, self._path, document)
        except OSError as error:
            if not self._failed:
                self._log.warning("the status file cannot be written", file=str(self._path), error=str(error))
            self._failed = True
        else:
            self._failed = False
