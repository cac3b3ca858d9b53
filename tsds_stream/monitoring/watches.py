"""What watches the stream and the selections of a run: fed in the engine's thread, at work in one of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

import numpy as np

from tsds_stream.engine.clock import Clock
from tsds_stream.engine.preparation import Prepared
from tsds_stream.engine.target_set import TargetSet
from tsds_stream.logs import Log
from tsds_stream.monitoring.sampling import Sampler
from tsds_stream.monitoring.selection_watch import Examples, Journal, Notice, SelectionWatch
from tsds_stream.monitoring.selection_watch import load as load_watch
from tsds_stream.monitoring.selection_watch import save as save_watch
from tsds_stream.monitoring.settings import DriftSettings
from tsds_stream.monitoring.stream_drift import (
    DriftFileError,
    DriftOptions,
    Reference,
    StreamDrift,
    group_targets,
    load,
    load_baseline,
    save,
)
from tsds_stream.records import Json
from tsds_stream.selection.arithmetic import Float32, Int64
from tsds_stream.selection.revision import Revision
from tsds_stream.streams.base import Publication

_OFF: Final[Json] = {"state": "off", "looked_at": 0, "needed": 0, "baseline": None, "signals": [], "groups": {}}
_MOST_WAITING: Final = 64  # pieces of work; documents that come meanwhile are not looked at
_SAVE_INTERVAL: Final = 60.0  # seconds
_LOOK_INTERVAL: Final = 10.0  # seconds after which comparisons with an earlier time are made anew


class _Look(NamedTuple):
    """Documents to look at."""

    vectors: Float32
    lengths: Int64


class Watches:
    """Drift of the stream, and a watch for each selection.

    Args:
        directory: where what was learnt is kept between runs.
    """

    def __init__(self, settings: DriftSettings, directory: Path, clock: Clock, log: Log) -> None:
        self._settings = settings
        self._directory = directory
        self._clock = clock
        self._log = log
        self._sampler = Sampler(settings.rate, clock.monotonic)
        self._journals: dict[str, Journal] = {}
        self._watches: dict[str, SelectionWatch] = {}
        self._drift: StreamDrift | None = None
        self._shown_drift: Json = _OFF  # documents are replaced as a whole, so that any thread may read them
        self._shown: dict[str, Json | None] = {}
        self._saved = clock.monotonic()
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="tsds-watches", daemon=True)

    # -- in the engine's thread --------------------------------------------------------------------------------------

    def began(self, sets: Sequence[TargetSet]) -> None:
        """The selectors are restored or made."""
        if not self._settings.enabled:
            return
        self._journals = {one.name: Journal(one) for one in sets}
        references = {one.name: _reference(one) for one in sets}
        dimension = sets[0].selector.dimension
        self._work.put(lambda: self._begin(references, dimension))
        self._thread.start()

    def applied(self, batch: Prepared, held: Sequence[str]) -> None:
        """Live documents have reached the selectors, which hold some of them."""
        for journal in self._journals.values():
            journal.applied(batch.documents, held)
        if not self._journals or self._work.qsize() > _MOST_WAITING:
            return
        places = self._sampler.take(len(batch.documents)).tolist()
        places = [place for place in places if not batch.documents[place].deleted]
        if places:
            lengths = np.array([len(batch.documents[place].text or "") for place in places], np.int64)
            look = _Look(batch.embeddings[places], lengths)
            self._work.put(lambda: self._look(look))

    def targets_changed(self, one: TargetSet) -> None:
        """Examples take part, or do not any more."""
        if one.name in self._journals:
            examples = self._journals[one.name].targets_changed()
            name, reference = one.name, _reference(one)
            self._work.put(lambda: self._replace(name, reference, examples))

    def published(self, one: TargetSet, revision: Revision, publication: Publication) -> None:
        """A revision is durable."""
        if one.name in self._journals:
            name, notice = one.name, self._journals[one.name].published(revision, publication)
            self._work.put(lambda: self._take(name, notice))

    # -- in any thread -----------------------------------------------------------------------------------------------

    def drift(self) -> Json:
        """The part "drift" of the status document."""
        return self._shown_drift

    def selection(self, name: str) -> Json | None:
        """What the watch of a target set says; None before its first revision."""
        return self._shown.get(name)

    def finish(self, timeout: float = 10.0) -> None:
        """Work off what waits, and keep what was learnt."""
        if self._thread.is_alive():
            self._work.put(None)
            self._thread.join(timeout)

    # -- in the thread of the watches --------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                piece = self._work.get(timeout=_LOOK_INTERVAL)
            except Empty:
                piece = self._show_all
            try:
                if piece is not None:
                    piece()
                if piece is None or self._clock.monotonic() - self._saved >= _SAVE_INTERVAL:
                    self._save()
            except Exception as error:  # noqa: BLE001 - it is told, and watching goes on: the stream must not end by it
                self._log.error("watching failed", error=str(error), kind=type(error).__name__)
            if piece is None:
                return

    def _begin(self, references: Mapping[str, Reference], dimension: int) -> None:
        settings = self._settings
        for name in references:
            watch = SelectionWatch(settings.false_alarm_rate, settings.coverage_distance)
            path = self._file_of(name)
            if not load_watch(watch, path) and path.exists():
                self._log.warning("the watch of a selection begins anew", set=name, reason=f"{path} is not whole")
            self._watches[name] = watch
        self._show_all()
        options = DriftOptions(
            settings.warmup,
            settings.baseline,
            settings.short_window,
            settings.long_window,
            settings.false_alarm_rate,
        )
        loaded = load(self._drift_file, options, dimension, references)
        if loaded.reason is not None:
            self._log.warning("drift begins anew", reason=loaded.reason)
        drift, baseline = loaded.drift, None
        if settings.baseline_file is not None and (drift is None or drift.source != "file"):
            try:
                drift, baseline = None, load_baseline(settings.baseline_file, dimension)
            except DriftFileError as error:
                self._log.error("the baseline cannot be used", error=str(error))
        self._drift = drift or StreamDrift(options, dimension, references, baseline)
        self._shown_drift = self._drift.document()

    def _take(self, name: str, notice: Notice) -> None:
        self._watches[name].taken(notice)
        self._shown[name] = self._watches[name].document(self._clock.now())

    def _show_all(self) -> None:
        """The hour and the day that comparisons go back have moved on."""
        for name, watch in self._watches.items():
            self._shown[name] = watch.document(self._clock.now())

    def _look(self, look: _Look) -> None:
        assert self._drift is not None
        lengths = np.sqrt(np.einsum("ij,ij->i", look.vectors, look.vectors, dtype=np.float64))
        usable = np.isfinite(lengths) & (lengths > 0)
        unit = (look.vectors[usable] / lengths[usable, None]).astype(np.float32)
        watched = self._drift.state == "watching"
        self._drift.add(unit, look.lengths[usable], self._clock.now())
        self._shown_drift = self._drift.document()
        if not watched and self._drift.state == "watching":
            self._save()  # a baseline is frozen once

    def _replace(self, name: str, reference: Reference, examples: Examples) -> None:
        self._watches[name].regrouped(examples)
        self._shown[name] = self._watches[name].document(self._clock.now())
        assert self._drift is not None
        self._drift.replace(name, reference, self._clock.now())
        self._shown_drift = self._drift.document()

    def _save(self) -> None:
        self._saved = self._clock.monotonic()
        saves = [partial(save_watch, watch, self._file_of(name)) for name, watch in self._watches.items()]
        if self._drift is not None:
            saves.append(partial(save, self._drift_file, self._drift))
        errors = []
        for one in saves:  # the small ones first: they may find room where the large one does not
            try:
                self._directory.mkdir(parents=True, exist_ok=True)
                one()
            except OSError as error:
                errors.append(str(error))
        if errors:
            self._log.warning("what the watches have learnt cannot be kept", error=errors[0])

    @property
    def _drift_file(self) -> Path:
        return self._directory / "drift.npz"

    def _file_of(self, name: str) -> Path:
        return self._directory / f"selection-{name}.npz"


def _reference(one: TargetSet) -> Reference:
    """The active examples, with the groups that they name or clusters of them."""
    queries, vectors = one.selector.queries
    return Reference(vectors, group_targets([query.id for query in queries], vectors, one.groups))
