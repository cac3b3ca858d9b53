"""What comes late: changed target files, the re-reading that late targets need, and refills of short rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from tsds_stream.engine.backfill import Backfill
from tsds_stream.engine.clock import Clock, Every
from tsds_stream.engine.intake import Intake
from tsds_stream.engine.observer import Observer
from tsds_stream.engine.options import Options
from tsds_stream.engine.preparation import GivenUpError, Preparer
from tsds_stream.engine.target_set import TargetsError, TargetSet, embedded, fingerprint
from tsds_stream.logs import Log
from tsds_stream.records import Json, Target
from tsds_stream.streams.base import Positions, Source, SourceError, SourceUnavailable

_RETRY = 1.0  # seconds until a source that did not answer is asked again


class TargetReader(Protocol):
    """The examples of one set, wherever they stand. What it gives is declarative: what is missing is withdrawn."""

    tolerant: bool  # examples that cannot be used are left out; otherwise they stop the change that they are part of

    def read(self) -> list[Target]:
        """All examples as they are now. Raises `SourceError` when they cannot be used."""

    def changed(self) -> bool:
        """Whether `read` may give something else than the last time."""

    @property
    def positions(self) -> Json | None:
        """Up to where the last `read` had read, where examples come as a stream."""


class _Listing(NamedTuple):
    """The examples of a set by id, and up to where they were read."""

    targets: dict[str, Target]
    positions: Json | None


class LateWork:
    """Follows the target files of all sets and re-reads the log where that is needed, one re-reading at a time.

    Args:
        open_source: a further instance of the documents' source; None: it cannot be read again.
        resumed: a re-reading that a checkpoint found unfinished (`Backfill.as_record`).
        observer: is told which examples take part.
    """

    def __init__(
        self,
        sets: Sequence[TargetSet],
        readers: dict[str, TargetReader],
        open_source: Callable[[], Source] | None,
        preparer: Preparer,
        intake: Intake,
        clock: Clock,
        options: Options,
        log: Log,
        resumed: Json | None,
        observer: Observer,
    ) -> None:
        self._sets = sets
        self._readers = readers
        self._observer = observer
        self._open_source = open_source
        self._preparer = preparer
        self._intake = intake
        self._clock = clock
        self._options = options
        self._log = log
        self._look = Every(options.targets_interval, clock)
        self._listed: dict[str, _Listing] = {}  # by set: what was read and is not yet taken up completely
        self._complaints: dict[str, str] = {}
        self._first = True
        self._tell_due = Every(options.tell_interval, clock)
        self._backfill: Backfill | None = None
        self._away = False  # its source does not answer
        self._retry_due = Every(_RETRY, clock)
        self._began = 0.0
        self._refill_due = Every(0.0, clock)
        self._refilled: Positions | None = None  # up to where, last time
        if resumed is not None:
            self._begin(resumed["sets"], resumed["until"], resumed["at"])

    @property
    def busy(self) -> bool:
        """The log is being re-read."""
        return self._backfill is not None

    def as_record(self) -> Json | None:
        """What a checkpoint keeps of an unfinished re-reading."""
        return None if self._backfill is None else self._backfill.as_record()

    def look(self, positions: Positions | None, *, at_end: bool = False) -> bool:
        """Take up what has changed in the target files, and start refills; whether a revision may come of it.

        Args:
            positions: of the live stream.
            at_end: no more documents will come, so that short rows are refilled without waiting.
        """
        if not (self._look.due or self._first or at_end):
            return False
        self._look.done()
        changed = False
        for one in self._sets:
            changed |= self._withdraw(one)
            if self._backfill is None:
                changed |= self._adopt(one)
                if (at_end and positions != self._refilled) or self._refill_due.due:
                    self._refill(one)
        self._first = False
        waiting = [one.name for one in self._sets if one.selector.waiting]
        if waiting and self._backfill is None:
            self._begin(waiting, positions, None)
        elif self._backfill is not None and not waiting:
            self.close()  # everything that it was for has been withdrawn
        return changed

    def step(self, *, live_waits: bool, patience: float) -> bool:
        """Do a part of the re-reading, if there is one; whether it is finished now."""
        if self._backfill is None or (self._away and not self._try_again(0.0 if live_waits else patience)):
            return False
        try:
            self._backfill.step(self._intake.backfill, live_waits=live_waits, patience=patience)
            if not self._backfill.done:
                self._tell(self._backfill)
                return False
            complete = self._backfill.complete
        except SourceUnavailable as error:
            self._log.warning("re-reading waits for the source", error=str(error))
            self._away = True
            self._retry_due.done()
            return False
        except SourceError as error:
            self._log.warning("the past cannot be read to its end", error=str(error))
            complete = False
        self.close()
        self._finish(complete=complete)
        # Where documents leave all the time rows are short again soon: half of the time is enough for re-reading.
        self._refill_due.interval = self._clock.monotonic() - self._began
        self._refill_due.done()
        return True

    def _try_again(self, patience: float) -> bool:
        """Open the source anew after an outage and go on where it was left; whether that was possible."""
        left = self._backfill
        assert left is not None
        if not self._retry_due.due:
            threading.Event().wait(patience)
            return False
        try:
            self._backfill = self._backfill_of(left.names, left.until, left.at)
        except SourceUnavailable:
            self._retry_due.done()
            return False
        left.close()
        self._away = False
        self._log.info("re-reading goes on", sets=left.names)
        return True

    def close(self) -> None:
        """Leave an unfinished re-reading; a checkpoint knows where it stood."""
        if self._backfill is not None:
            self._backfill.close()
            self._backfill = None
            self._away = False

    def _tell(self, backfill: Backfill) -> None:
        if self._tell_due.due:
            self._tell_due.done()
            self._log.info("re-reading", sets=backfill.names, **backfill.standing)

    def _withdraw(self, one: TargetSet) -> bool:
        reader = self._readers[one.name]
        try:
            if self._first or reader.changed():
                targets = {target.id: target for target in reader.read()}
                self._listed[one.name] = _Listing(targets, reader.positions)
                self._complaints.pop(one.name, None)
        except SourceError as error:
            self._complain(one.name, str(error))
        listed = self._listed.get(one.name)
        if listed is None:
            return False
        withdrawn = sorted(one.declared.keys() - listed.targets.keys())
        if withdrawn:
            one.selector.remove_targets(withdrawn)
            for name in withdrawn:
                del one.declared[name]
            self._log.info("targets withdrawn", set=one.name, targets=len(withdrawn))
            self._observer.targets_changed(one)
        return bool(withdrawn)

    def _adopt(self, one: TargetSet) -> bool:
        """Add what is new in the file, and put changed examples in the place of the old ones; whether there were any.

        They wait in the selector for the past, unless that is known already.
        """
        listing = self._listed.pop(one.name, None)
        if listing is None:
            return False
        listed = listing.targets
        prints = {name: fingerprint(target) for name, target in listed.items()}
        late = [name for name in sorted(listed) if one.declared.get(name) != prints[name]]
        groups = {name: target.group for name, target in listed.items()}
        regrouped, one.groups = groups != one.groups, groups
        if not late:
            if regrouped:
                self._observer.targets_changed(one)
            one.targets_at = listing.positions
            return False
        try:
            examples, unusable = embedded(
                one.name,
                [listed[name] for name in late],
                self._preparer,
                one.selector.dimension,
                tolerant=self._readers[one.name].tolerant,
            )
        except GivenUpError:
            return False  # the next run finds them
        except TargetsError as error:
            self._complain(one.name, str(error))
            return False
        if unusable is not None:
            self._complain(one.name, unusable)
        late = examples.ids
        changed = [name for name in late if name in one.declared]
        if changed:
            one.selector.remove_targets(changed)
        one.selector.add_targets(examples.ids, examples.vectors, examples.weights)
        one.declared.update((name, prints[name]) for name in late)
        one.targets_at = listing.positions
        self._log.info("targets taken up", set=one.name, new=len(late) - len(changed), changed=len(changed))
        self._observer.targets_changed(one)
        return True

    def _complain(self, name: str, error: str) -> None:
        """Examples that cannot be used leave the old ones in force. A file is looked at often, and blamed once."""
        if self._complaints.get(name) != error:
            self._complaints[name] = error
            self._log.warning("changed targets cannot be used", set=name, error=error)

    def _refill(self, one: TargetSet) -> None:
        if one.config.refill != "auto" or self._open_source is None or not one.selector.refill_needed:
            return
        one.selector.begin_refill()
        self._log.info("refilling short rows", set=one.name)

    def _begin(self, names: list[str], until: Positions | None, at: Positions | None) -> None:
        """Start to re-read the log up to `until` for some sets; None: nothing was read yet, so there is no past."""
        self._began = self._clock.monotonic()
        self._refilled = until
        if until is None or self._open_source is None:
            self._finish(complete=until is None)
            return
        self._backfill = self._backfill_of(names, until, at)
        self._tell_due.done()
        self._log.info("re-reading the source", sets=names, resumed=at is not None)

    def _backfill_of(self, names: list[str], until: Positions, at: Positions | None) -> Backfill:
        assert self._open_source is not None
        source = self._open_source()
        try:
            return Backfill(source, self._preparer, self._clock, self._options, until=until, at=at, names=names)
        except BaseException:
            source.close()
            raise

    def _finish(self, *, complete: bool) -> None:
        names = [one.name for one in self._sets if one.selector.waiting]
        for one in self._sets:
            if one.selector.waiting:
                one.selector.finish_backfill(complete=complete)
                self._observer.targets_changed(one)
        if complete:
            self._log.info("re-reading finished", sets=names)
        else:
            self._log.warning("the past cannot be read again: rows stay provisional while short", sets=names)
