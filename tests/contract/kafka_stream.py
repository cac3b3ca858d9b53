"""A topic as a stream, written to by librdkafka."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, Message, Producer

from tests.contract.streams import Put, Stream
from tests.kafka.topics import Topics
from tests.patience import PATIENCE
from tsds_stream.codecs import Decoder
from tsds_stream.streams.base import Positions, Source
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.source import KafkaSource


class KafkaStream(Stream):
    """Three partitions; between records, transactions that were given up."""

    lanes = 3
    ends = False
    keyed = True

    def __init__(self, broker: Topics, fresh: Callable[[str], str]) -> None:
        super().__init__()
        self._bootstrap = broker.bootstrap
        self._settings = {"bootstrap.servers": broker.bootstrap, "linger.ms": 1, "log_level": 0}
        self._producer = Producer(self._settings)
        self._other: Producer | None = None
        self._other_id = fresh("other")
        self._ends: dict[str, int] = {str(lane): 0 for lane in range(self.lanes)}
        self.topic = broker.create_topic(fresh("documents"), self.lanes)

    def disturb(self, lane: int) -> None:
        if self._other is None:
            self._other = Producer(self._settings | {"transactional.id": self._other_id})
            self._other.init_transactions(PATIENCE)
        self._other.begin_transaction()
        for name in ("never", "committed"):
            self._other.produce(self.topic, b'{"text": "of an aborted transaction"}', name.encode(), lane)
        assert self._other.flush(PATIENCE) == 0
        self._other.abort_transaction(PATIENCE)

    def at_end(self, positions: Positions) -> bool:
        return bool(positions["documents"] == self._ends)

    def _write(self, records: Sequence[Put], lane: int) -> None:
        for one in records:
            value = {"new": json.dumps({"text": one.text}), "gone": None, "broken": one.text}[one.kind]
            self._producer.produce(self.topic, value, one.id.encode(), lane, on_delivery=self._arrived)
        assert self._producer.flush(PATIENCE) == 0

    def _arrived(self, error: KafkaError | None, message: Message) -> None:
        assert error is None
        self._ends[str(message.partition())] = message.offset() + 1

    def _open(self) -> Source:
        connection = Connection(self._bootstrap, request_timeout=30.0, startup_timeout=60.0)
        return KafkaSource(connection, self.topic, Decoder(), max_document_bytes=1 << 20)
