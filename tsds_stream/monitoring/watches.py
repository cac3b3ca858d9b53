"""What watches the stream and the selections of a run: fed in the engine's thread, at work in the monitor's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsds_stream.engine.clock import Clock
from tsds_stream.engine.preparation import Prepared
from tsds_stream.engine.target_set import TargetSet
from tsds_stream.logs import Log
from tsds_stream.monitoring.sampling import Sampler
from tsds_stream.monitoring.settings import DriftSettings
from tsds_stream.records import Json
from tsds_stream.selection.revision import Revision
from tsds_stream.streams.base import Publication


class Watches:
    """Drift of the stream and the selections' own watches.

    Args:
        directory: where what was learnt is kept between runs.
    """

    def __init__(self, settings: DriftSettings, directory: Path, clock: Clock, log: Log) -> None:
        self._settings = settings
        self._directory = directory
        self._clock = clock
        self._log = log

    def began(self, sets: Sequence[TargetSet]) -> None: ...
    def applied(self, batch: Prepared) -> None: ...
    def targets_changed(self, one: TargetSet) -> None: ...
    def published(self, one: TargetSet, revision: Revision, publication: Publication) -> None: ...
    def work(self, now: int) -> None: ...
    def save(self) -> None: ...

    def drift(self) -> Json:
        return {"state": "off", "signals": [], "groups": {}}

    def selection(self, name: str, now: int) -> Json | None:
        return None
