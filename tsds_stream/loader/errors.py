"""What can be wrong with a revision that is read, in sentences that name the file and the remedy."""

from __future__ import annotations

from pathlib import Path

from tsds_stream.loader.reading import LoaderError


class RevisionError(LoaderError):
    """A revision cannot be read. Survives the way from one process to another.

    Attributes:
        path: the file that is damaged or missing, where it is one.
    """

    def __init__(self, message: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


class NoRevisionError(RevisionError):
    """There is no such revision or target set; the message says which there are."""


class GoneRevisionError(RevisionError):
    """The revision was deleted while it was being read."""


class DamagedRevisionError(RevisionError):
    """A file of the revision is missing, or not what was written."""
