"""Writing, in transactions or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kafka import ConsumerGroupMetadata, KafkaProducer, OffsetAndMetadata
from kafka.errors import KafkaConnectionError, KafkaError

from tsds_stream.streams.kafka.client.failures import explained
from tsds_stream.streams.kafka.client.making import made_whole
from tsds_stream.streams.kafka.client.options import foreign, milliseconds
from tsds_stream.streams.kafka.client.types import Mark
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import Partition


def keep_requests(client: Any) -> None:
    """Have a transaction go on when its coordinator is back.

    The sender of the library keeps a request whose coordinator is not ready only where it is told so; it drops the one
    that it holds when it is told by an exception, as `await_ready` does, and then spins until the transaction ends.
    """
    ready = client.await_ready

    def await_ready(node_id: Any, timeout_ms: int = 30000) -> bool:
        try:
            return bool(ready(node_id, timeout_ms))
        except KafkaConnectionError:
            return False

    client.await_ready = await_ready


class Pending:
    """A record on its way."""

    __slots__ = ("_future",)

    def __init__(self, future: Any) -> None:
        self._future = future

    def place(self) -> tuple[int, int]:
        """Partition and offset, after `Producer.flush`.

        Raises:
            KafkaFailure: it did not arrive.
        """
        with explained("send a record"):
            metadata = self._future.get(timeout=0)
        return metadata.partition, metadata.offset


class Producer:
    """Sends records; with a `transactional_id`, in transactions. After any error but `TooLarge` it is of no use.

    Args:
        transaction_timeout: seconds after which the brokers abort an open transaction.
        max_request_size: the largest record in bytes, as far as this side can tell.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        transactional_id: str | None = None,
        transaction_timeout: float = 60.0,
        max_request_size: int = 1024 * 1024,
        compression: str | None = None,
    ) -> None:
        transactional: dict[str, Any] = {}
        if transactional_id is not None:
            transactional = {
                "transactional_id": transactional_id,
                "transaction_timeout_ms": milliseconds(transaction_timeout),
            }
        with made_whole(connection) as options:
            self._client = KafkaProducer(
                **options,
                **transactional,
                retry_backoff_ms=5,  # the pause within every transaction; 100 makes them seven times as long
                linger_ms=20,
                batch_size=min(256 * 1024, max_request_size),  # a batch that is refused as too large ends the producer
                max_block_ms=milliseconds(connection.request_timeout),
                max_request_size=max_request_size,
                compression_type=compression,
                allow_auto_create_topics=False,
            )
        keep_requests(self._client._sender._client)
        self._connection = connection

    def init_transactions(self) -> None:
        """Fence every other producer with this transactional id, and end what it left open."""
        with explained("begin to write transactions", self._connection):
            self._client.init_transactions()

    def begin(self) -> None:
        """Begin a transaction."""
        with explained("begin a transaction", self._connection):
            self._client.begin_transaction()

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        *,
        partition: int | None = None,
        timestamp: int | None = None,
    ) -> Pending:
        """Hand over one record.

        Raises:
            TooLarge: nothing of it was sent.
        """
        with explained(f"send a record to {topic!r}", self._connection):
            return Pending(
                self._client.send(topic, value, key, headers=list(headers), partition=partition, timestamp_ms=timestamp)
            )

    def flush(self, timeout: float) -> None:
        """Wait until every record has arrived or failed: `Pending.place` tells which."""
        with explained("wait for records to arrive", self._connection):
            self._client.flush(timeout=timeout)

    def send_offsets(self, marks: Mapping[Partition, Mark], group_id: str) -> None:
        """Make offsets of a group a part of the transaction."""
        offsets = {
            foreign(partition): OffsetAndMetadata(mark.offset, mark.metadata, -1) for partition, mark in marks.items()
        }
        with explained("send offsets", self._connection):
            self._client.send_offsets_to_transaction(offsets, ConsumerGroupMetadata(group_id, -1, "", None))

    def commit(self) -> None:
        """Make all of the transaction visible."""
        with explained("commit a transaction", self._connection):
            self._client.commit_transaction()

    def partitions(self, topic: str) -> list[int]:
        """Of a topic."""
        with explained(f"look up the partitions of {topic!r}", self._connection):
            return sorted(self._client.partitions_for(topic) or ())

    def close(self, timeout: float = 1.0) -> None:
        """Let go of all connections; what was not flushed is lost."""
        try:
            self._client.close(timeout=timeout)
        except KafkaError:  # it flushes first; what does not arrive in time is lost
            self._client._closed = True  # otherwise its destructor tries again, and complains to stderr
