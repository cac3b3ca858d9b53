"""A snapshot directory that is kept up to date from the selection topics, for whoever prefers files.

Revisions have the numbers of the topic; while this side lags, some are left out. Their values are those that
consumers hold, so that `published_digest` can be checked in the directory and `digest`, which is of exact values,
cannot: revision records there have `"values": "published"`. What is on disk is always whole, and is where a restart
goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tsds_stream.logs import LineLog, Log
from tsds_stream.records import Json
from tsds_stream.streams.base import Committed, Publication, Sent, SinkError
from tsds_stream.streams.directory import DirectorySink, Pinned
from tsds_stream.streams.kafka.assembly import Assembly
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import KafkaFailure
from tsds_stream.streams.kafka.following import POLL, Reader
from tsds_stream.streams.kafka.selection_feed import SelectionFeed
from tsds_stream.streams.kafka.view import open_reader
from tsds_stream.streams.manifest import AS_PUBLISHED, VALUES, is_derived

_PAUSES = (0.5, 2.0, 10.0, 30.0)  # seconds before another try, after one, two, … failures in a row


class SelectionMirror:
    """Keeps a directory up to date in a thread of its own, from `start` to `stop`.

    Whatever goes wrong (no broker, a full disk) is told once in the log and in `problem`, and tried again: until then
    the directory stays as it is. It has one writer at a time. Documents that are not written yet are held in memory:
    at the first start, all of them.

    Args:
        brokers: "host:port", several separated by commas, or a `Connection`.
        topic: of the selected documents.
        path: the directory; it is made if need be. One that a publisher wrote itself is refused.
        revisions: topic of the revision records.
        sets: names of the target sets.
        keep_revisions: how many of each set are kept.
        pinned: revisions of a set that are kept besides.
        every: write each revision that can still be put together, and not only the newest of those that have arrived.
        security: TLS and SASL settings as kafka-python names them, where `brokers` is a string.
        log: None: warnings go to stderr.
        reader, sink: make what reads and what writes; a test brings its own.
        closing: set by `stop`, for whoever makes these and waits.
    """

    def __init__(
        self,
        brokers: str | Connection,
        topic: str,
        path: Path | str,
        *,
        revisions: str = "revisions",
        sets: Sequence[str] = ("default",),
        keep_revisions: int = 100,
        pinned: Pinned = lambda name: (),
        every: bool = False,
        security: Mapping[str, Any] | None = None,
        log: Log | None = None,
        reader: Callable[[], Reader] | None = None,
        sink: Callable[[], DirectorySink] | None = None,
        closing: threading.Event | None = None,
    ) -> None:
        self.path = Path(path)
        self._topics = topic, revisions
        self._names = tuple(sets)
        self._every = every
        self._log = log if log is not None else LineLog("warning")
        self._reader = reader or (lambda: open_reader(brokers, security))
        self._sink = sink or (lambda: DirectorySink(path, keep_revisions=keep_revisions, pinned=pinned))
        self._stop = closing if closing is not None else threading.Event()
        self._moved = threading.Condition()
        self._numbers: dict[str, int] = {}
        self._problem: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"mirror in {path}", daemon=True)

    @property
    def problem(self) -> str | None:
        """What keeps the directory from being up to date; None: nothing that is known."""
        return self._problem

    @property
    def numbers(self) -> dict[str, int]:
        """The newest revision of each target set that this process found or put there."""
        with self._moved:
            return dict(self._numbers)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float = 30.0) -> None:
        """End after the revision that is being written."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def wait_for(self, name: str, revision: int, timeout: float) -> bool:
        """Wait until the directory has this revision of a target set, or a later one; whether it has."""
        with self._moved:
            return self._moved.wait_for(lambda: self._numbers.get(name, 0) >= revision, timeout)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            numbers = self.numbers
            try:
                self.serve()
            except (KafkaFailure, SinkError) as error:
                self._complain(str(error))
            except Exception as error:  # noqa: BLE001 - whatever it is: what was not written is read again
                self._complain(f"{type(error).__name__}: {error}")
            failures = failures + 1 if self.numbers == numbers else 0
            self._stop.wait(_PAUSES[min(failures, len(_PAUSES) - 1)])

    def _complain(self, problem: str) -> None:
        if problem != self._problem and not self._stop.is_set():
            self._problem = problem
            self._log.warning("the copy of the selection stays as it is", path=self.path, reason=problem)

    def serve(self) -> None:
        """Follow in the thread of the caller until the end is asked for, and try nothing again.

        Raises:
            KafkaFailure, SinkError: something went wrong; the directory stays as it is.
        """
        sink = self._sink()
        try:
            committed = sink.recover()
            for name, record in committed.revisions.items():
                if not is_derived(record):
                    raise SinkError(
                        f"{self.path} holds revision {record['revision']} of {name!r} as its publisher wrote it, and "
                        "not a copy made from topics. Choose another directory for the copy."
                    )
            copies = [_Copy(name, committed, self._every) for name in self._names]
            feed = SelectionFeed(self._reader(), *self._topics, [copy.assembly for copy in copies])
            try:
                self._follow(sink, copies, feed)
            finally:
                feed.close()
        finally:
            sink.close()

    def _follow(self, sink: DirectorySink, copies: Sequence[_Copy], feed: SelectionFeed) -> None:
        beat = 0
        self._note(copies)
        while not self._stop.is_set():
            for copy in copies:
                while (record := feed.settle(copy.name)) is not None and not self._stop.is_set():
                    publication = copy.publication(record, self.path)
                    if publication is not None:
                        sink.commit([publication], [], record["positions"])
                        copy.written(record)
                        self._note(copies)
                        self._log.debug("copied", set=copy.name, revision=copy.number, documents=record.get("size"))
                    self._problem = None
            feed.poll(POLL)
            marks = [mark for copy in copies if (mark := feed.mark(copy.name)) is not None and copy.reflects(mark.sets)]
            newest = max(marks, key=lambda mark: mark.time, default=None)
            if newest is not None and len(marks) == len(copies) and newest.time > beat:
                beat = newest.time
                sink.heartbeat(newest.positions, beat)

    def _note(self, copies: Sequence[_Copy]) -> None:
        with self._moved:
            self._numbers = {copy.name: copy.number for copy in copies}
            self._moved.notify_all()


class _Copy:
    """One target set: what the directory holds of it, and what the topics do."""

    def __init__(self, name: str, committed: Committed, every: bool) -> None:
        self.name = name
        self.assembly = Assembly(name, every=every)
        self._record = committed.revisions.get(name)
        self._members: Mapping[str, Sent] = committed.members.get(name, {})
        if self._record is not None:
            self.assembly.resume(self._record, self._members)

    @property
    def number(self) -> int:
        return int(self._record["revision"]) if self._record is not None else 0

    def reflects(self, sets: Mapping[str, Any]) -> bool:
        """Whether the directory has what a publisher says that it has published."""
        return self.name in sets and self.number >= sets[self.name].revision

    def publication(self, record: Json, path: Path) -> Publication | None:
        """What turns the directory's revision into this one; None: it is the same.

        Raises:
            SinkError: it is of another history.
        """
        assembly, number = self.assembly, int(record["revision"])
        if self._record is not None and number <= self.number:
            if number == self.number and self._record["published_digest"] == record["published_digest"]:
                assembly.changes.clear()  # everything was read again, and led to the same
                return None
            raise SinkError(
                f"{path} holds revision {self.number} of {self.name!r}, and the newest of the topics is revision "
                f"{number}, another one: they were made anew. Move the directory away to have a new copy made."
            )
        # After everything was read again, this is all of it: what the directory has might be of another history.
        steps = [step for step in assembly.changes.values() if step.sent is not None]
        ids = sorted(assembly.held)
        sent = [assembly.held[one].sent for one in ids]
        return Publication(
            self.name,
            {**record, VALUES: AS_PUBLISHED},
            [step.document for step in steps if step.document is not None],
            [step.sent.key for step in steps if step.sent is not None],
            sorted(self._members.keys() - assembly.held.keys()),
            (ids, [one.probability for one in sent], [one.weight for one in sent]),
        )

    def written(self, record: Json) -> None:
        """The directory has it."""
        self._record = record
        self._members = {name: member.sent for name, member in self.assembly.held.items()}
        self.assembly.changes.clear()
