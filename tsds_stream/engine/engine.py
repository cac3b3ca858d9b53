"""One run of the engine, from what the sink holds to a clean leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal

from tsds_stream.checkpoint import CheckpointStore
from tsds_stream.config import Settings
from tsds_stream.durable import Disk, make_directories, sentence
from tsds_stream.embedding import create
from tsds_stream.embedding.base import Embedder, EmbedderError, EmbedderUnavailable, FingerprintMismatch
from tsds_stream.engine.assembly import assemble
from tsds_stream.engine.checkpointing import Checkpointer
from tsds_stream.engine.clock import Clock, SystemClock
from tsds_stream.engine.intake import Intake
from tsds_stream.engine.late import LateWork, TargetReader
from tsds_stream.engine.loop import Loop, Parts
from tsds_stream.engine.observer import Observer, Unobserved
from tsds_stream.engine.options import Options
from tsds_stream.engine.preparation import GivenUpError, Preparer
from tsds_stream.engine.publisher import Publisher, parameters_digest
from tsds_stream.engine.recovery import ReadAhead, Restored, restore
from tsds_stream.engine.statistics import Progress, SetStatistics, Statistics
from tsds_stream.engine.stop import Deadline, Stop, leave_on_signals, stop_on_signals
from tsds_stream.engine.target_set import TargetsError, TargetSet, embedded, fingerprint
from tsds_stream.engine.texts import Texts
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.lock import LockedError, WriterLock
from tsds_stream.logs import LineLog, Log
from tsds_stream.payloads import PayloadError, PayloadStore
from tsds_stream.records import Target
from tsds_stream.selection.selector import Selector
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.stored_state import checkpoints_in, payloads_in
from tsds_stream.streams.base import (
    Committed,
    Fenced,
    Sink,
    SinkError,
    SinkUnavailable,
    Source,
    SourceError,
    SourceUnavailable,
)

_STATUS: list[tuple[type[Exception], ExitStatus]] = [
    (FingerprintMismatch, ExitStatus.STATE),
    (Fenced, ExitStatus.FENCED),
    (SinkUnavailable, ExitStatus.UNAVAILABLE),
    (SinkError, ExitStatus.STATE),
    (PayloadError, ExitStatus.STATE),
    (LockedError, ExitStatus.STATE),
    (SourceUnavailable, ExitStatus.UNAVAILABLE),
    (SourceError, ExitStatus.INPUT),
    (TargetsError, ExitStatus.INPUT),
    (EmbedderUnavailable, ExitStatus.UNAVAILABLE),
    (EmbedderError, ExitStatus.INPUT),
]


class Engine:
    """Reads documents from a source and publishes, per target set, revisions of the selection to a sink.

    An engine runs once. It may be killed at any moment: the next one goes on where the sink's last commit stands.

    Args:
        open_source: a new instance of the documents' source; called again for each re-reading of the past.
        sink: where revisions go; it is closed with the engine, as are the embedder and every source.
        embedder: for documents and targets that bring no vector.
        configs: parameters by name of the target set.
        readers: the examples by name of the target set.
        ready: waits until `readers` have examples; False: the engine was asked to leave before.
        checkpoints: of the selectors' state; None: an interrupted run begins anew.
        payloads: of the documents that are held.
        clock, log: of the run.
        stop: lets another thread end the run.
        progress: called a few times per second with `statistics`.
        observer: is told what happens.
        closing: called last of all, when nothing is in use any more.
    """

    def __init__(
        self,
        *,
        open_source: Callable[[], Source],
        sink: Sink,
        embedder: Embedder,
        configs: dict[str, SelectorConfig],
        readers: dict[str, TargetReader],
        ready: Callable[[], bool] = lambda: True,
        checkpoints: CheckpointStore | None,
        payloads: PayloadStore,
        options: Options | None = None,
        clock: Clock | None = None,
        log: Log | None = None,
        stop: Stop | None = None,
        progress: Progress | None = None,
        observer: Observer | None = None,
        closing: Sequence[Callable[[], object]] = (),
    ) -> None:
        self.statistics = Statistics(sets={name: SetStatistics() for name in configs})
        self.selectors: dict[str, Selector] = {}  # by target set, once the run has begun
        self._open_source = open_source
        self._sink = sink
        self._embedder = embedder
        self._configs = configs
        self._readers = readers
        self._ready = ready
        self._checkpoints = checkpoints
        self._payloads = payloads
        self._options = options or Options()
        self._clock = clock or SystemClock()
        self._log = log or LineLog()
        self._stop = stop or Stop()
        self._progress = progress
        self._observer = observer or Unobserved()
        self._closing = closing

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        clock: Clock | None = None,
        log: Log | None = None,
        stop: Stop | None = None,
        progress: Progress | None = None,
        observer: Observer | None = None,
        options: Options | None = None,
        disk: Disk | None = None,
    ) -> Engine:
        """The engine that `settings` describe, with everything opened and locked.

        Args:
            options: sizes and times that are not in the settings; those that are come from there.
            disk: where a test injects faults.

        Raises:
            CommandError: a directory is in use or cannot be written, a model is missing, …
        """
        with _explained(), leave_on_signals():
            root = Path(settings.state.directory)
            disk = disk or Disk()
            make_directories(disk, root)
            lock = WriterLock(root / "lock", f"The state directory {root}")
            log, stop = log or LineLog(), stop or Stop()
            with ThreadPoolExecutor(1) as beside:  # brokers take their time to answer, and models to load
                loading = beside.submit(create, settings.embedder)
                world = assemble(settings, lambda: loading.result().dimension, root, disk, log, stop)
            embedder = loading.result()
            return cls(
                open_source=world.open_source,
                sink=world.sink,
                embedder=embedder,
                configs={one.name: one.selector_config() for one in settings.target_sets},
                readers=world.readers,
                ready=world.ready,
                checkpoints=CheckpointStore(checkpoints_in(root), disk=disk),
                payloads=PayloadStore(payloads_in(root)),
                options=replace(
                    options or Options(),
                    interval=settings.publish.interval,
                    weight_change=settings.publish.weight_change,
                    checkpoint_interval=settings.state.checkpoint_interval,
                ),
                clock=clock,
                log=log,
                stop=stop,
                progress=progress,
                observer=observer,
                closing=[lock.close, *world.closing],
            )

    def run(self) -> ExitStatus:
        """Follow the stream to its end, or until SIGTERM or SIGINT; publish, checkpoint, and leave.

        Raises:
            CommandError: it cannot go on; the sentence says why and what to do. What was committed stays committed.
        """
        with stop_on_signals(self._stop), _explained(), ExitStack() as stack:
            for close in self._closing:
                stack.callback(close)
            self._observer.started(self.statistics)
            stack.push(self._tell_end)
            with suppress(GivenUpError):  # asked to leave before anything had begun
                self._run(stack)
        return ExitStatus.OK

    def _tell_end(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> Literal[False]:
        self.statistics.phase = "stopped"
        self._observer.ended(None if error is None else str(error) or type(error).__name__)
        return False

    def _run(self, stack: ExitStack) -> None:
        stack.callback(self._embedder.close)
        stack.callback(self._sink.close)
        stack.callback(self._payloads.close)
        ahead = ReadAhead(self._checkpoints)
        committed = self._sink.recover()
        if not self._ready():
            return
        targets = {name: _examples(name, reader) for name, reader in self._readers.items()}
        texts = Texts(self._payloads, self.statistics, self._log)
        preparer = Preparer(self._embedder, self._clock, self.statistics, self._log, self._stop)
        _adopt_dimension(self._embedder, targets)
        source = self._open_source()
        stack.callback(source.close)
        restored = restore(ahead, committed, self._configs, self._embedder.fingerprint, source, texts, self._log)
        if not restored.selectors and committed.positions is not None:  # all of it has to be read again
            reason = source.unreachable(None, committed.positions)
            if reason is not None:
                raise SourceError(reason)
        sets = [self._target_set(name, targets[name], restored, committed, preparer) for name in self._configs]
        self.selectors = {one.name: one.selector for one in sets}
        texts.selectors = list(self.selectors.values())
        self._observer.began(sets)
        source.seek(restored.positions)
        intake = Intake(sets, texts, self._clock, self.statistics)
        late = LateWork(
            sets,
            self._readers,
            self._open_source if source.rewindable else None,
            preparer,
            intake,
            self._clock,
            self._options,
            self._log,
            restored.late,
            self._observer,
        )
        stack.callback(late.close)
        checkpointer = Checkpointer(self._checkpoints, texts, self._clock, self.statistics, self._log)
        stack.callback(lambda: checkpointer.finish(Deadline(self._options.shutdown, self._clock)))
        parts = Parts(
            sets=sets,
            source=source,
            sink=self._sink,
            texts=texts,
            late=late,
            intake=intake,
            preparer=preparer,
            checkpointer=checkpointer,
            positions=restored.positions,
            committed=committed.positions,
            embedder=self._embedder.fingerprint,
        )
        self._log.info(
            "started",
            sets=list(self._configs),
            revisions={one.name: one.publisher.number for one in sets},
            resumed=restored.positions is not None,
        )
        Loop(
            parts,
            self._options,
            self._clock,
            self._log,
            self.statistics,
            self._stop,
            self._progress,
            self._observer,
        ).run()

    def _target_set(
        self, name: str, targets: list[Target], restored: Restored, committed: Committed, preparer: Preparer
    ) -> TargetSet:
        record = committed.revisions.get(name)
        publisher = Publisher(
            name,
            self._options.weight_change,
            self._embedder.fingerprint,
            parameters_digest(self._configs[name]),
            record,
            committed.members.get(name, {}),
        )
        if name in restored.selectors:
            selector, declared = restored.selectors[name], restored.declared[name]
            targets_at = restored.targets_at[name]
        else:
            tolerant = self._readers[name].tolerant
            examples, unusable = embedded(name, targets, preparer, self._embedder.dimension, tolerant=tolerant)
            if unusable is not None:
                self._log.warning("targets cannot be used", set=name, error=unusable)
            length = None if record is None else record.get("max_k")
            selector = Selector(examples.vectors, self._configs[name], examples.ids, examples.weights, name, length)
            used = set(examples.ids)
            declared = {target.id: fingerprint(target) for target in targets if target.id in used}
            targets_at = self._readers[name].positions
        selector.renumber(publisher.number)
        numbers = self.statistics.sets[name]
        numbers.revision = publisher.number
        if record is not None:
            numbers.size, numbers.exact, numbers.reasons = record["size"], record["exact"], tuple(record["reasons"])
            numbers.created, numbers.digest = record["created"], record["digest"]
            numbers.documents_seen = record.get("documents_seen", 0)
            numbers.targets_active, numbers.targets_pending = record["targets_active"], record["targets_pending"]
        groups = {target.id: target.group for target in targets}
        return TargetSet(name, self._configs[name], selector, publisher, declared, targets_at, groups)


@contextmanager
def _explained() -> Iterator[None]:
    """Whatever the person at the terminal can do something about becomes a sentence and an exit status."""
    try:
        yield
    except tuple(kind for kind, _ in _STATUS) as error:
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        raise CommandError(str(error), status) from error
    except OSError as error:
        raise CommandError(sentence(error, "go on", Path(error.filename or ".")), ExitStatus.STATE) from error


def _examples(name: str, reader: TargetReader) -> list[Target]:
    targets = reader.read()
    if not targets:
        raise TargetsError(f"target set {name!r} has no examples: add at least one to its targets")
    return targets


def _adopt_dimension(embedder: Embedder, targets: dict[str, list[Target]]) -> None:
    """An embedder that computes nothing learns its dimension from what most examples bring."""
    adopt = getattr(embedder, "adopt", None)
    counts = Counter(len(t.embedding) for listed in targets.values() for t in listed if t.embedding is not None)
    if adopt is not None and counts:
        adopt(counts.most_common(1)[0][0])
