"""Who watches the engine. Every method is called in the engine's thread and must return at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tsds_stream.engine.preparation import Prepared
from tsds_stream.engine.statistics import Statistics
from tsds_stream.engine.target_set import TargetSet
from tsds_stream.selection.revision import Revision
from tsds_stream.streams.base import Publication


class Observer(Protocol):
    """What happens in a run, in order. What is given stays the engine's: copy what is to be kept."""

    def started(self, statistics: Statistics) -> None:
        """The process is up; `statistics` may be read from any thread from now on."""

    def began(self, sets: Sequence[TargetSet]) -> None:
        """The selectors are restored or made, and nothing is read yet."""

    def applied(self, batch: Prepared, held: Sequence[str]) -> None:
        """The selectors have taken live documents (not those of a replay), and hold some of them."""

    def targets_changed(self, one: TargetSet) -> None:
        """Examples were taken up, withdrawn, or have waited long enough."""

    def published(self, one: TargetSet, revision: Revision, publication: Publication) -> None:
        """A revision is durable."""

    def ended(self, error: str | None) -> None:
        """The run is over; `error` says why, where something has gone wrong."""


class Unobserved:
    """Nobody watches."""

    def started(self, statistics: Statistics) -> None: ...
    def began(self, sets: Sequence[TargetSet]) -> None: ...
    def applied(self, batch: Prepared, held: Sequence[str]) -> None: ...
    def targets_changed(self, one: TargetSet) -> None: ...
    def published(self, one: TargetSet, revision: Revision, publication: Publication) -> None: ...
    def ended(self, error: str | None) -> None: ...
