"""The loop: poll, screen, select, publish, checkpoint; and the order in which it starts and leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tsds_stream.engine.checkpointing import Checkpointer
from tsds_stream.engine.clock import Clock, Every
from tsds_stream.engine.intake import Intake
from tsds_stream.engine.interpreter import set_for_streaming
from tsds_stream.engine.late import LateWork
from tsds_stream.engine.measuring import Measuring
from tsds_stream.engine.observer import Observer
from tsds_stream.engine.options import Options
from tsds_stream.engine.pipeline import Pipeline
from tsds_stream.engine.preparation import Preparer
from tsds_stream.engine.publisher import Prospect
from tsds_stream.engine.recovery import STATE_FORMAT
from tsds_stream.engine.statistics import Progress, Statistics
from tsds_stream.engine.stop import Deadline, Stop
from tsds_stream.engine.summary import Summary
from tsds_stream.engine.target_set import TargetSet
from tsds_stream.engine.texts import Texts
from tsds_stream.logs import Log
from tsds_stream.records import DeadLetter, Json
from tsds_stream.selection.blas import one_blas_thread
from tsds_stream.selection.revision import Revision
from tsds_stream.streams.base import Positions, Remembering, Sink, Source, TopicSource, Trimming, Withdrawal

_LONGEST_WAIT = 0.1  # seconds in which a stop, a due revision or a changed target file is noticed
_PROGRESS_INTERVAL = 0.25
_MOST_WAITING = 16 * 2**20  # bytes of dead letters that wait for a revision; more do not wait
_LETTER_OVERHEAD = 512  # bytes
_WITHDRAWAL_OVERHEAD = 200


@dataclass(slots=True)
class Parts:
    """What a loop works with, restored and ready.

    Attributes:
        positions: of the state of the selectors; None: nothing was read.
        committed: positions that the sink holds.
        embedder: its fingerprint.
    """

    sets: Sequence[TargetSet]
    source: Source
    sink: Sink
    texts: Texts
    late: LateWork
    intake: Intake
    preparer: Preparer
    checkpointer: Checkpointer
    positions: Positions | None
    committed: Positions | None
    embedder: str


class Loop:
    """One run over the stream. State changes only here, in one thread."""

    def __init__(
        self,
        parts: Parts,
        options: Options,
        clock: Clock,
        log: Log,
        statistics: Statistics,
        stop: Stop,
        progress: Progress | None,
        observer: Observer,
    ) -> None:
        self._parts = parts
        self._options = options
        self._clock = clock
        self._log = log
        self._statistics = statistics
        self._stop = stop
        self._progress = progress
        self._observer = observer
        self._positions = parts.positions
        self._committed = parts.committed
        self._letters: list[DeadLetter] = []
        self._withdrawn: list[Withdrawal] = []
        self._noted_size = 0  # bytes of both, roughly, until the next commit
        self._stale = True  # something happened since the last refresh
        self._told: set[str] = set()  # sets of which a revision was published in this run
        self._advised: set[tuple[str, str]] = set()  # (set, code) of what was told about a selection
        self._saved: Positions | None = None  # positions of the last checkpoint of this run
        stamped = isinstance(parts.source, TopicSource)
        self._measuring = Measuring(parts.sets, statistics, clock, options, stamped=stamped)
        self._publish_due = Every(options.interval, clock)
        self._publish_share_due = Every(0.0, clock, options.publish_share)
        self._positions_due = Every(options.positions_interval, clock)
        self._heartbeat_due = Every(options.heartbeat_interval, clock)
        self._checkpoint_due = Every(options.checkpoint_interval, clock)
        self._progress_due = Every(_PROGRESS_INTERVAL, clock)
        self._summary = Summary(statistics, log, clock, options.summary_interval)

    def run(self) -> None:
        """Replay, settle what the sink lacks, follow the stream to its end or to a request to leave, and leave."""
        # Reading and embedding need the other cores; BLAS would spin for them.
        with one_blas_thread(), set_for_streaming():
            self._run()

    def _run(self) -> None:
        self._replay()
        if self._stop.requested:
            return
        self._statistics.phase = "live"
        self._parts.late.look(self._positions)
        # The first refresh takes long. Where nothing else is new, the first records need not wait for it.
        if self._committed is not None and any(one.publisher.differs(one.selector) for one in self._parts.sets):
            self._publish()
        ended = self._live()
        self._leave(ended)

    def _replay(self) -> None:
        """Bring the selectors silently to the committed positions: all of this was published before."""
        until = self._parts.committed
        if until is None or self._positions == until:
            return
        self._statistics.phase = "replaying"
        for one in self._parts.sets:
            one.take_up_published_sigma()
        self._log.info("replaying", resumed=self._positions is not None)
        tell_due = Every(self._options.tell_interval, self._clock)
        began = self._clock.monotonic()
        with self._pipeline(until) as pipeline:
            while not self._stop.requested and not pipeline.ended:
                batch = pipeline.get(_LONGEST_WAIT)
                if batch is not None:
                    self._parts.intake.apply(batch)  # its dead letters were published with the positions
                    self._positions = batch.positions
                    self._statistics.replayed += len(batch.documents)
                if tell_due.due:
                    tell_due.done()
                    self._log.info("replaying", documents=self._statistics.replayed, **self._left(began))
                self._show(pipeline)
        self._committed = self._positions if not self._stop.requested else self._committed
        self._log.info("replayed", documents=self._statistics.replayed)

    def _left(self, began: float) -> Json:
        """How much of a replay is left, as far as the source knows, and about how long that takes."""
        left: Json = {f"left_{what}": int(amount) for what, amount in self._statistics.lag.items() if what != "seconds"}
        spent = max(self._clock.monotonic() - began, 1e-9)
        rates = {"left_records": self._statistics.replayed / spent, "left_bytes": self._statistics.bytes_read / spent}
        for what, rate in rates.items():
            if what in left and rate:
                left["seconds_left"] = int(left[what] / rate)
        return left

    def _live(self) -> bool:
        """Follow the stream; whether it came to its end."""
        with self._pipeline(None) as pipeline:
            while not self._stop.requested:
                late = self._parts.late
                batch = pipeline.get(0.0 if late.busy else self._patience(pipeline))
                if batch is not None:
                    began = self._clock.monotonic()
                    self._hold(batch.dead_letters)
                    self._hold(self._parts.intake.apply(batch))
                    self._remember(self._parts.intake.withdrawn)
                    self._positions = batch.positions
                    self._stale = True
                    self._statistics.stages["select"].observe(self._clock.monotonic() - began)
                    self._statistics.last_read = self._clock.now()
                    self._measuring.applied(batch)
                    self._observer.applied(batch, self._parts.intake.held)
                self._stale |= late.look(self._positions)
                if late.step(live_waits=batch is not None, patience=self._patience(pipeline)):
                    self._stale = True
                    self._saved = None  # it is tried again where another one is just being written
                    self._checkpoint()  # what was read again is not to be read a third time
                self._attend(pipeline)
                if pipeline.ended and not late.busy:
                    self._stale |= late.look(self._positions, at_end=True)
                    if not late.busy:
                        return True
        return False

    def _leave(self, ended: bool) -> None:
        self._statistics.phase = "stopping"
        deadline = Deadline(self._options.shutdown, self._clock)
        if ended:
            for one in self._parts.sets:
                self._calibrate(one)  # no more documents will come to calibrate with
        self._log.info("leaving", reason="end of input" if ended else self._stop.reason)
        self._publish(final=True)
        if self._parts.checkpointer.finish(deadline):
            self._checkpoint()
            self._parts.checkpointer.finish(deadline)
        self._measuring.look(now=True)
        self._show(None, now=True)
        self._statistics.phase = "stopped"

    def _hold(self, letters: Sequence[DeadLetter]) -> None:
        """Until the next commit."""
        for letter in letters:
            headers = sum(len(name) + len(data) for name, data in letter.headers)
            self._noted_size += len(letter.key or b"") + len(letter.value or b"") + headers + _LETTER_OVERHEAD
        self._letters += letters

    def _remember(self, withdrawn: Sequence[Withdrawal]) -> None:
        """Until the next commit, where the sink records it."""
        if withdrawn and isinstance(self._parts.sink, Remembering):
            self._withdrawn += withdrawn
            self._noted_size += sum(len(one.id) + _WITHDRAWAL_OVERHEAD for one in withdrawn)

    def _calibrate(self, one: TargetSet) -> None:
        if not one.selector.calibrated and one.selector.sigma is not None:
            one.selector.calibrate()
            self._stale = True

    def _attend(self, pipeline: Pipeline) -> None:
        """Whatever time brings: revisions, positions, heartbeats, checkpoints, lines in the log."""
        full = self._noted_size > _MOST_WAITING
        if full or (not self._until_revision(pipeline) and (self._stale or self._letters or self._positions_due.due)):
            self._publish()
        if self._heartbeat_due.due and self._positions is not None:
            if self._letters or self._positions != self._committed:
                self._publish(positions_too=True)  # a heartbeat says that everything up to here is in effect
            self._parts.sink.heartbeat(self._positions, self._clock.now())
            self._statistics.last_heartbeat = self._clock.now()
            self._heartbeat_due.done()
        first = self._saved is None and self._statistics.commits > 0  # from then on the other commands can look at it
        if (self._checkpoint_due.due or first) and not self._parts.checkpointer.busy:
            if self._positions != self._saved:
                self._checkpoint()
            self._checkpoint_due.done()
        self._measuring.look()
        self._show(pipeline)
        self._summary.tick()

    def _publish(self, *, final: bool = False, positions_too: bool = False) -> None:
        """Make a revision of every set and commit what is new, with dead letters and positions, in one step."""
        positions = self._positions
        if positions is None:
            return
        now = self._clock.now()
        began = self._clock.monotonic()
        prospects: list[tuple[TargetSet, Prospect]] = []
        for one in self._parts.sets:
            revision = one.selector.refresh()
            if revision is not None:
                numbers = self._statistics.sets[one.name]
                numbers.last, numbers.calibrated = revision, one.selector.calibrated
                self._advise(one.name, revision)
                at = positions if one.targets_at is None else {**positions, "targets": one.targets_at}
                prospect = one.publisher.prospect(
                    revision, one.selector, at, now, self._parts.texts.bodies, final=final
                )
                if prospect is not None:
                    prospects.append((one, prospect))
        refreshed = self._clock.monotonic()
        self._statistics.stages["refresh"].observe(refreshed - began)
        self._stale = False
        moved = positions != self._committed
        if (
            prospects
            or self._letters
            or self._withdrawn
            or (moved and (final or positions_too or self._positions_due.due))
        ):
            self._commit(prospects, positions, final=final)
            self._statistics.stages["publish"].observe(self._clock.monotonic() - refreshed)
        elif self._positions_due.due:
            self._positions_due.done()
        self._measuring.refreshed()
        self._publish_due.done()
        self._publish_share_due.done(self._clock.monotonic() - began)

    def _advise(self, name: str, revision: Revision) -> None:
        """Tell once per run what a user should know about a selection; not while sigma is still unsettled."""
        if "provisional" in revision.reasons:
            return
        for notice in revision.warnings:
            if (name, notice.code) not in self._advised:
                self._advised.add((name, notice.code))
                self._log.warning("advice", set=name, code=notice.code, advice=notice.sentence, page=notice.page)

    def _commit(self, prospects: list[tuple[TargetSet, Prospect]], positions: Positions, *, final: bool) -> None:
        publications = [prospect.publication for _, prospect in prospects]
        began = self._clock.monotonic()
        try:
            if isinstance(self._parts.sink, Remembering):
                self._parts.sink.withdraw(self._withdrawn)
            self._parts.sink.commit(publications, self._letters, positions)
        except Exception:
            self._statistics.failed_commits += 1
            raise
        self._statistics.commit_seconds = self._clock.monotonic() - began
        self._statistics.published_records += len(self._letters) + sum(
            1 + len(one.upserts) + len(one.removed) for one in publications
        )
        if isinstance(self._parts.sink, Trimming):
            self._statistics.oversized = self._parts.sink.oversized
        for letter in self._letters:
            if not self._statistics.dead_letters[letter.reason]:  # the others like it are counted once per minute
                told = {"reason": letter.reason, "detail": letter.detail, "source": letter.source}
                self._log.warning("a record cannot be used", **told)
            self._statistics.dead_letters[letter.reason] += 1
        self._letters, self._withdrawn = [], []
        self._noted_size = 0
        self._committed = positions
        self._positions_due.done()
        self._statistics.commits += 1
        self._statistics.last_commit = self._statistics.last_heartbeat = self._clock.now()
        for one, prospect in prospects:
            one.publisher.committed(prospect)
            one.selector.renumber(one.publisher.number)
            self._note(one, prospect.publication.revision, final=final)
            last = self._statistics.sets[one.name].last
            if last is not None:
                self._observer.published(one, last, prospect.publication)

    def _note(self, one: TargetSet, record: Json, *, final: bool) -> None:
        numbers = self._statistics.sets[one.name]
        first = one.name not in self._told
        self._told.add(one.name)
        numbers.revision, numbers.created = record["revision"], record["created"]
        numbers.size, numbers.digest = record["size"], record["digest"]
        numbers.documents_seen = record["documents_seen"]
        numbers.last_added, numbers.last_removed = record["added"], record["removed"]
        numbers.added += record["added"]
        numbers.removed += record["removed"]
        news = numbers.exact != record["exact"] or numbers.reasons != tuple(record["reasons"])
        numbers.exact, numbers.reasons = record["exact"], tuple(record["reasons"])
        numbers.targets_active, numbers.targets_pending = record["targets_active"], record["targets_pending"]
        # The usual ones are summed up once per minute; the last one is told, for nothing else will tell of it.
        write = self._log.info if first or news or final else self._log.debug
        write(
            "published",
            set=one.name,
            revision=record["revision"],
            size=record["size"],
            added=record["added"],
            removed=record["removed"],
            exact=record["exact"],
            reasons=record["reasons"],
        )

    def _checkpoint(self) -> None:
        """Copy the state at committed positions and have it written in the background."""
        parts = self._parts
        if self._positions is None or not parts.checkpointer.wanted or parts.checkpointer.busy:
            return
        if self._positions != self._committed or self._letters:
            self._publish(positions_too=True)
        manifest: Json = {
            "format": STATE_FORMAT,
            "positions": self._positions,
            "embedder": parts.embedder,
            "created": self._clock.now(),
            "sets": {one.name: one.as_record() for one in parts.sets},
            "late": parts.late.as_record(),
            "texts": parts.texts.sync(),
        }
        held = [pair for one in parts.sets for pair in one.selector.held()]
        parts.checkpointer.start(manifest, {one.name: one.selector.snapshot() for one in parts.sets}, held)
        self._saved = self._positions
        self._checkpoint_due.done()

    def _until_revision(self, pipeline: Pipeline) -> float:
        """Seconds until a revision may be made; later while documents wait and revisions cost much."""
        held_back = self._publish_share_due.wait if pipeline.queued else 0.0
        return max(self._publish_due.wait, held_back)

    def _patience(self, pipeline: Pipeline) -> float:
        return min(_LONGEST_WAIT, self._until_revision(pipeline)) if self._stale else _LONGEST_WAIT

    def _show(self, pipeline: Pipeline | None, *, now: bool = False) -> None:
        self._statistics.ticked = self._clock.now()
        if not (now or self._progress_due.due):
            return
        self._progress_due.done()
        self._statistics.queued_documents = pipeline.queued if pipeline is not None else 0
        if self._progress is not None:
            self._progress(self._statistics)

    def _pipeline(self, until: Positions | None) -> Pipeline:
        return Pipeline(
            self._parts.source,
            self._parts.preparer,
            self._statistics,
            self._clock,
            limit=self._options.batch,
            documents=self._options.queue_documents,
            size=self._options.queue_bytes,
            until=until,
        )
