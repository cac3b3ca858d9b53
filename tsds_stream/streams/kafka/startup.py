"""What a sink asks the brokers at its start: how large records may be, what is published, and up to where."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tsds_stream.streams.base import Positions, SinkError
from tsds_stream.streams.kafka.authority import Beginning, check_source, settle_positions
from tsds_stream.streams.kafka.client import Admin, Consumer, Producer
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import Partition, Refused
from tsds_stream.streams.kafka.marks import PublisherMark
from tsds_stream.streams.kafka.published import Published, Reader
from tsds_stream.streams.kafka.readback import await_settled

log = logging.getLogger(__name__)

_DEFAULT_LIMIT: Final = 1_048_588  # bytes, max.message.bytes of a topic that says nothing else


@dataclass(frozen=True, slots=True)
class Clients:
    """How clients are made; tests put others in their place."""

    producer: Callable[..., Producer] = Producer
    consumer: Callable[..., Consumer] = Consumer
    admin: Callable[..., Admin] = Admin


@dataclass(frozen=True, slots=True)
class Topics:
    """Names. `documents` is None where the source is not Kafka."""

    selection: str
    revisions: str
    dead_letters: str
    documents: str | None


class Startup:
    """Asks; changes nothing.

    Args:
        progress: called whenever an answer has come.
    """

    def __init__(self, connection: Connection, topics: Topics, clients: Clients, progress: Callable[[], None]) -> None:
        self._connection = connection
        self._topics = topics
        self._clients = clients
        self._progress = progress

    def largest_record(self) -> int:
        """Bytes that all written topics take.

        Raises:
            SinkError: one of the topics does not exist.
            KafkaFailure: no answer.
        """
        written = (self._topics.selection, self._topics.revisions, self._topics.dead_letters)
        admin = self._clients.admin(self._connection)
        self._progress()
        try:
            missing = [topic.name for topic in admin.topics(written).values() if topic.missing]
            if missing:
                raise SinkError(
                    f"There is no topic {' and no topic '.join(map(repr, missing))}; "
                    f"`tsds-stream topics --create` makes what is missing."
                )
            try:
                return min(int(admin.topic_config(name)["max.message.bytes"]) for name in written)
            except (Refused, KeyError) as error:
                log.warning("the topics do not say how large records may be (%s): the default is taken", error)
                return _DEFAULT_LIMIT
        finally:
            admin.close()
            self._progress()

    def read_back(self, reader: Reader, group_id: str, patience: float) -> tuple[Published, Positions | None]:
        """What is published, and the positions that it is of. Only after `Producer.init_transactions`.

        Args:
            patience: seconds that somebody else's open transaction may take to end.

        Raises:
            SinkError: what is there does not fit together.
            KafkaFailure: no answer.
        """
        consumer = self._clients.consumer(self._connection, group_id=group_id)
        try:
            self._progress()
            everything = self._clients.consumer(self._connection, committed_only=False)
            try:
                for topic in (self._topics.selection, self._topics.revisions):
                    await_settled(consumer, everything, topic, patience=patience, progress=self._progress)
            finally:
                everything.close()
            found = reader.read(consumer, self._progress)
            check_source(found.mark, self._topics.documents, self._topics.selection)
            return found, self._positions(consumer, group_id, found.mark)
        finally:
            consumer.close()

    def _positions(self, consumer: Consumer, group_id: str, mark: PublisherMark | None) -> Positions | None:
        documents = self._topics.documents
        if documents is None:
            return None if mark is None else mark.positions
        partitions = [Partition(documents, number) for number in consumer.partitions(documents)]
        marks = consumer.committed(partitions)

        def beginning() -> Beginning:
            admin = self._clients.admin(self._connection)
            try:
                topic_id = admin.topics([documents])[documents].id
            finally:
                admin.close()
            return Beginning(topic_id, {one.partition: at for one, at in consumer.beginnings(partitions).items()})

        committed = {partition: (one.offset, one.metadata) for partition, one in marks.items()}
        return settle_positions(group_id, documents, committed, mark, beginning)
