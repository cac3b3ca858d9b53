"""Revisions, dead letters and source offsets in Kafka topics: every commit is one transaction.

The order within a transaction: dead letters and selection records, and wait for them; then the revision records, which
say up to which offsets the selection topic holds the revision, and wait; then the mark; then the offsets; commit. No
transaction is open between commits. After any failure the object is of no use and the process has to end: what became
of the transaction is settled by the next start.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tsds_stream.records import DeadLetter, Json
from tsds_stream.streams.base import Committed, Fenced, Positions, Publication, SinkError, SinkUnavailable
from tsds_stream.streams.kafka.client import Mark, Producer
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.dead_letters import encode_letter, encode_references
from tsds_stream.streams.kafka.encoding import encode_removal, encode_revision, encode_upsert
from tsds_stream.streams.kafka.errors import FencedOff, KafkaFailure, Partition, Refused, TooLarge
from tsds_stream.streams.kafka.fencing import described, successor
from tsds_stream.streams.kafka.marks import PARTITION, OffsetNote, PublisherMark, SetMark, encode_claim
from tsds_stream.streams.kafka.outbox import Outbox
from tsds_stream.streams.kafka.positions import KafkaPositions, is_kafka
from tsds_stream.streams.kafka.published import Published, Reader
from tsds_stream.streams.kafka.settings import Payload
from tsds_stream.streams.kafka.startup import Clients, Startup, Topics
from tsds_stream.streams.kafka.watchdog import Alarm, deadline

log = logging.getLogger(__name__)

_MARGIN: Final = 15.0  # seconds that a start may take beyond what the client itself allows
_FLUSH_SHARE: Final = 0.8  # of the transaction's time: what is not there by then will not be
_SLOW: Final = 5.0  # seconds of a transaction: brokers were away, or are overloaded
_DEFAULT_LIMIT: Final = 1_048_588  # bytes, max.message.bytes of a topic that says nothing else


class KafkaSink:
    """Publishes to three topics. `recover` comes first, once; after any `SinkError` the process has to end.

    Args:
        transactional_id: of this instance alone; whoever uses it last fences the others off.
        group_id: consumer group whose offsets are committed with every transaction.
        selection, revisions, dead_letters: topics.
        documents: topic of the source; None: the source is not Kafka, and no offsets are committed.
        payload: "reference": text and meta stay where they are, and records say where that is.
        transaction_timeout: seconds; a transaction that takes longer is aborted by the brokers, and ends this process.
        startup_timeout: seconds without progress after which a start is given up.
        sets: target sets that this instance publishes; None: all that the topics hold.
        version: of the program, for messages.
        clock: milliseconds since the epoch.

    Attributes:
        publisher: this instance, as others see it.
        found: what `recover` found in the topics.
        transactions, records: committed since the start.
        seconds: that the last transaction took.
        oversized: records that were sent without their body because they did not fit.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        transactional_id: str,
        group_id: str,
        selection: str,
        revisions: str,
        dead_letters: str,
        documents: str | None,
        payload: Payload = "text",
        transaction_timeout: float = 60.0,
        startup_timeout: float = 60.0,
        sets: Collection[str] | None = None,
        version: str = "",
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        clients: Clients | None = None,
        alarm: Alarm | None = None,
    ) -> None:
        self.publisher: Json = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": version,
            "started": clock(),
            "instance": secrets.token_hex(4),  # in containers, hosts and processes are named alike
        }
        self.found: Published | None = None
        self.transactions = 0
        self.records = 0
        self.seconds = 0.0
        self.oversized = 0
        self._connection = connection
        self._transactional_id = transactional_id
        self._group_id = group_id
        self._topics = Topics(selection, revisions, dead_letters, documents)
        self._reference = payload == "reference"
        self._timeout = transaction_timeout
        self._startup_timeout = startup_timeout
        self._sets = sets
        self._clock = clock
        self._clients = clients if clients is not None else Clients()
        self._alarm = alarm
        self._producer: Producer | None = None
        self._dead = False
        self._publication = 0
        self._marks: dict[str, SetMark] = {}
        self._ends: dict[int, int] = {}  # of the selection topic
        self._last: int | None = None  # offset of our last claim or mark

    def recover(self) -> Committed:
        """Fence other instances off, end what they left open, and tell what is published.

        Raises:
            Fenced: another instance has taken over meanwhile.
            SinkUnavailable: the brokers do not answer.
            SinkError: the topics do not hold what they must; the message says what to do.
        """
        if self._dead or self._producer is not None:
            raise SinkError("This sink was used before: it takes a new one, best in a new process, to recover.")
        limit = (
            self._startup_timeout + self._timeout + _MARGIN
        )  # brokers may first have to wait for an open transaction
        with self._fatal("recover what is published"), deadline(limit, "recover what is published", self._alarm) as end:
            startup = Startup(self._connection, self._topics, self._clients, end.renew)
            largest = startup.largest_record()
            self._producer = self._clients.producer(
                self._connection,
                transactional_id=self._transactional_id,
                transaction_timeout=self._timeout,
                max_request_size=largest,
            )
            # Before anything else is asked: a transaction that a dead instance left open blocks all answers.
            self._producer.init_transactions()
            self._claim(self._producer)
            end.renew()
            reader = Reader(self._topics.selection, self._topics.revisions, self._sets, self._transactional_id)
            found, positions = startup.read_back(reader, self._group_id, self._timeout + _MARGIN)
            self._take_up(found)
        members = {name: found.members.get(name, {}) for name in found.revisions}
        return Committed(positions, found.revisions, members)

    def commit(
        self, publications: Sequence[Publication], dead_letters: Sequence[DeadLetter], positions: Positions
    ) -> None:
        """Publish at most one revision of each target set, dead letters and positions, or nothing of it all.

        The field `selection_end` of every revision record is filled in: {partition: next offset} of the selection
        topic. Who has read all records below it, and applied them in order, holds exactly this revision.

        Raises:
            Fenced: another instance has taken over.
            SinkUnavailable: the outcome is unknown.
            SinkError: this cannot be published; the message says why.
        """
        if len({publication.name for publication in publications}) < len(publications):
            raise SinkError("One commit cannot hold two revisions of one target set.")
        began = time.monotonic()
        number = self._publication + 1
        with self._transaction() as producer:
            offsets = None if self._topics.documents is None else self._offsets(positions, number)
            outbox = Outbox(producer, lambda: max(0.1, _FLUSH_SHARE * self._timeout - (time.monotonic() - began)))
            producer.begin()
            for letter in dead_letters:
                self._send_letter(outbox, letter)
            for publication in publications:
                self._send_changes(outbox, publication)
            outbox.deliver()
            ends = {**self._ends, **outbox.ends(self._topics.selection)}
            marks = {**self._marks, **self._send_revisions(outbox, publications, ends)}
            mark = PublisherMark(self._transactional_id, number, positions, self._clock(), self.publisher, marks)
            _, at = outbox.send_whole(self._topics.selection, mark.encoded(), partition=PARTITION)
            if offsets is not None:
                producer.send_offsets(offsets, self._group_id)
            producer.commit()
        self._marks, self._ends, self._last, self._publication = marks, ends, at, number
        self.transactions += 1
        self.records += outbox.sent
        self.seconds = time.monotonic() - began
        if self.seconds >= _SLOW:  # what the client said meanwhile does not tell how it ended
            log.warning("a transaction took %.0f seconds, and has succeeded", self.seconds)

    def heartbeat(self, positions: Positions, now: int) -> None:
        """Say that everything up to `positions` is in effect, in a transaction of its own."""
        self.commit([], [], positions)

    def close(self) -> None:
        """Let go of the connections. No transaction is open between commits, so that there is nothing to end."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None
        self._dead = True

    def _claim(self, producer: Producer) -> None:
        """Say who has taken over, before reading everything back takes its time."""
        producer.begin()
        outbox = Outbox(producer, lambda: self._connection.request_timeout)
        claim = encode_claim(self._transactional_id, self.publisher)
        _, self._last = outbox.send_whole(self._topics.selection, claim, partition=PARTITION)
        producer.commit()

    def _take_up(self, found: Published) -> None:
        self.found = found
        self._ends = found.ends
        if found.mark is not None:
            self._publication = found.mark.publication
            self._marks.update(found.mark.sets)
        for name, record in found.revisions.items():
            self._marks[name] = SetMark(record["revision"], record["published_digest"], found.at[name])

    def _send_letter(self, outbox: Outbox, letter: DeadLetter) -> None:
        try:
            outbox.send(self._topics.dead_letters, encode_letter(letter))
            return
        except TooLarge:
            self._note_oversized("dead letter", str(letter.source))
        most, least = encode_references(letter)
        try:
            outbox.send(self._topics.dead_letters, most)
        except TooLarge:
            outbox.send_whole(self._topics.dead_letters, least)

    def _send_changes(self, outbox: Outbox, publication: Publication) -> None:
        topic, reference = self._topics.selection, self._reference
        for record, point in zip(publication.upserts, publication.keys, strict=True):
            try:
                outbox.send(topic, encode_upsert(record, point, reference=reference))
            except TooLarge:
                self._note_oversized("document", f"{publication.name}/{record['id']}")
                outbox.send_whole(topic, encode_upsert(record, point, reference=True))
        number = publication.revision["revision"]
        for identifier in publication.removed:
            outbox.send(topic, encode_removal(publication.name, identifier, number))

    def _send_revisions(
        self, outbox: Outbox, publications: Sequence[Publication], ends: dict[int, int]
    ) -> dict[str, SetMark]:
        """Where the records of these revisions lie."""
        marks = {}
        for publication in publications:
            record = publication.revision
            # In place: the engine keeps the record as what was published.
            record["selection_end"] = {str(partition): offset for partition, offset in sorted(ends.items())}
            at = outbox.send_whole(self._topics.revisions, encode_revision(record))
            marks[publication.name] = SetMark(record["revision"], record["published_digest"], at)
        return marks

    def _offsets(self, positions: Positions, publication: int) -> dict[Partition, Mark]:
        if not is_kafka(positions) or positions["topic"] != self._topics.documents:
            raise SinkError(f"Positions {positions} are not of the topic {self._topics.documents!r}.")
        at = KafkaPositions.of(positions)
        return {
            Partition(at.topic, partition): Mark(
                offset, OffsetNote(publication, at.topic_id, at.began.get(partition, 0)).encoded()
            )
            for partition, offset in at.documents.items()
        }

    def _note_oversized(self, kind: str, which: str) -> None:
        self.oversized += 1
        log.warning(
            "the %s %s is larger than the topics take (max.message.bytes): it is sent as a reference", kind, which
        )

    @contextmanager
    def _transaction(self) -> Iterator[Producer]:
        if self._dead:
            raise SinkError("An earlier transaction has failed or the sink was closed: this process has to end.")
        if self._producer is None:
            raise SinkError("What is published has to be recovered before anything is published.")
        with self._fatal("publish"), deadline(self._timeout, "publish", self._alarm):
            yield self._producer

    @contextmanager
    def _fatal(self, doing: str) -> Iterator[None]:
        """Whatever is raised within ends the use of this object. What the client says becomes what that means."""
        began = time.monotonic()
        try:
            yield
        except FencedOff as failure:
            self._dead = True
            raise self._fenced(failure, time.monotonic() - began) from failure
        except Refused as failure:
            self._dead = True
            raise SinkError(f"{failure} Starting again does not help before that is put right.") from failure
        except KafkaFailure as failure:
            self._dead = True
            raise SinkUnavailable(str(failure)) from failure
        except (TypeError, ValueError) as error:
            self._dead = True
            raise SinkError(f"Could not {doing}: {error}") from error
        except BaseException:
            self._dead = True
            raise

    def _fenced(self, failure: FencedOff, seconds: float) -> SinkError:
        """A successor says so in the topic. Where there is none, starting again is right: a predecessor that woke up,
        or a transaction that took too long, ends our producer as well, and nobody would be left running."""
        with deadline(self._startup_timeout + _MARGIN, "find out who took over", self._alarm):
            other = successor(
                self._connection,
                self._topics.selection,
                self._transactional_id,
                self.publisher,
                self._last,
                self._clients.consumer,
            )
        if other is not None:
            return Fenced(
                f"Another instance has taken over the transactional id {self._transactional_id!r}: {described(other)}. "
                f"This one must not be started again while that one runs."
            )
        if seconds >= self._timeout:
            return SinkUnavailable(
                f"The transaction took {seconds:.0f} seconds, and the brokers end it after {self._timeout:.0f}: the "
                f"next start publishes it again. If this repeats, raise kafka.transaction_timeout."
            )
        return SinkUnavailable(
            f"The brokers have ended this producer, and no other instance says that it has taken over: {failure}"
        )
