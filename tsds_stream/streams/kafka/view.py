"""For people who read the selection: the documents of one target set, revision by revision, from the topics."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from tsds_stream.records import Json
from tsds_stream.streams.kafka.assembly import Assembly
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import Unreachable
from tsds_stream.streams.kafka.following import POLL, Reader
from tsds_stream.streams.kafka.marks import PublisherMark
from tsds_stream.streams.kafka.selection_feed import SelectionFeed


class Selected(NamedTuple):
    """One whole revision.

    Attributes:
        revision: the revision record.
        documents: the selection records by id. Yours: it does not change when the view goes on.
    """

    revision: Json
    documents: dict[str, Json]


class SelectionView:
    """Follows a selection topic and shows it at revision boundaries only, never half of a revision.

    It first gives the newest revision, and then those that follow, in order:

        with SelectionView("127.0.0.1:9092", "selection") as view:
            for revision, documents in view:
                print(revision["revision"], len(documents))

    All documents are held in memory. Not to be used by two threads at once.

    Args:
        brokers: "host:port", several separated by commas, or a `Connection`.
        topic: that documents are published to.
        revisions: that revision records are published to.
        set: name of the target set.
        verify: compare `published_digest` at every revision, at a cost in proportion to its size.
        every: give each revision that can still be put together, and not only the newest of those that have arrived.
            Compaction of the topic removes what later revisions replaced; then a revision is left out, and counted in
            `skipped`. Needs `verify`, which alone can tell.
        fields: of a selection record that are held; None: all. Without "text" and "meta" far more documents fit.
        security: TLS and SASL settings as kafka-python names them, where `brokers` is a string.
        reader: where a test puts its own.

    Raises:
        KafkaFailure: no broker answers, or it refuses.
    """

    def __init__(
        self,
        brokers: str | Connection,
        topic: str = "selection",
        *,
        revisions: str = "revisions",
        set: str = "default",
        verify: bool = True,
        every: bool = False,
        fields: Collection[str] | None = None,
        security: Mapping[str, Any] | None = None,
        reader: Reader | None = None,
    ) -> None:
        if every and not verify:
            raise ValueError("every=True needs verify=True: only the digest tells which revisions are still whole")
        self.name = set
        self._fields = None if fields is None else frozenset(fields)
        self._assembly = Assembly(set, every=every, keep=self._kept)
        if reader is None:
            reader = open_reader(brokers, security)
        self._feed = SelectionFeed(reader, topic, revisions, [self._assembly], verify=verify)
        self._current: Selected | None = None

    @property
    def current(self) -> Selected | None:
        """What `poll` gave last."""
        return self._current

    @property
    def heartbeat(self) -> PublisherMark | None:
        """The last sign of life of the publisher: its `time` tells a quiet stream from a dead publisher."""
        return self._feed.mark(self.name)

    @property
    def skipped(self) -> int:
        """Revisions that had arrived and could not be put together any more."""
        return self._feed.skipped

    def poll(self, timeout: float = 1.0) -> Selected | None:
        """The next revision, waiting at most `timeout` seconds for it; None: nothing new.

        The first call looks for the newest revision and may take longer. While the brokers are away there is nothing
        new, and afterwards it goes on.

        Raises:
            KafkaFailure: no broker has answered yet, or one refuses; or the topics do not hold what they say
                (`DamagedSelectionError`).
        """
        end, polled = time.monotonic() + timeout, False
        while True:
            record = self._feed.settle(self.name)
            if record is not None and not self._known(record):
                documents = {
                    name: one.document for name, one in self._assembly.held.items() if one.document is not None
                }
                self._current = Selected(record, documents)
                return self._current
            left = end - time.monotonic()
            if left < 0 and polled:
                return None
            polled = True
            try:
                self._feed.poll(min(max(left, 0.0), POLL))
            except Unreachable:
                if self._current is None:
                    raise
                time.sleep(min(max(left, 0.0), POLL))

    def __iter__(self) -> Iterator[Selected]:
        """Revisions, for ever; waits for each."""
        while True:
            found = self.poll(POLL)
            if found is not None:
                yield found

    def close(self) -> None:
        """Let go of the connections."""
        self._feed.close()

    def __enter__(self) -> SelectionView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _kept(self, record: Json) -> Json:
        if self._fields is None:
            return record
        return {field: value for field, value in record.items() if field in self._fields}

    def _known(self, record: Json) -> bool:
        """After reading everything again, the newest revision may be the one that was given last."""
        if self._current is None:
            return False
        before = self._current.revision
        return all(before.get(field) == record.get(field) for field in ("revision", "published_digest", "created"))


def open_reader(brokers: str | Connection, security: Mapping[str, Any] | None = None) -> Reader:
    """A reader of committed records. Raises `KafkaFailure`."""
    from tsds_stream.streams.kafka.client import Consumer

    if isinstance(brokers, str):
        brokers = Connection(brokers, security=dict(security or {}))
    return Consumer(brokers)
