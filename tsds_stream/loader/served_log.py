"""What is told of every batch that is yielded, so that it can be said afterwards what was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tsds_stream.loader.reading import LoaderError


class ServedLogError(LoaderError):
    """The served log cannot be written or read; the message names the file and what to do."""


class ServedLog(Protocol):
    """Takes note of what a rank serves, in the order in which it is yielded."""

    def begin(self, step: int) -> None:
        """Batches go on with this step. What was noted of it and of later ones comes from a life that has ended."""

    def write(self, step: int, time_ms: int, source: str, revision: int, epoch: int, ids: Sequence[str]) -> None:
        """Documents of one batch of this rank from one source, before the batch is yielded.

        A step may have several; one in which no document begins has one without ids.

        Args:
            step: of the batch; it does not descend between two calls of `begin`.
            time_ms: milliseconds since the epoch.
            source: the target set, or the name within a mixture.
            revision: 0 for documents that come from no selection.
            epoch: of that source.
            ids: in the order of the batch.

        Raises:
            ServedLogError: it could not be noted, and the batch must not be served.
        """

    def sync(self) -> None:
        """Return when all of it is on stable storage: a checkpoint never knows of more than the log."""

    def close(self) -> None:
        """No more is written, until `begin` is called again."""
