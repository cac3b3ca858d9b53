"""The client library, typed and reduced to what is used: the one module that imports kafka-python.

A record is what the library gives, without decoding. Errors are those of `errors`, as sentences. None of the classes
may be used by two threads at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

from kafka import (
    ConsumerGroupMetadata,
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    OffsetAndMetadata,
    TopicPartition,
)
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.net.sasl.oauth import AbstractTokenProvider

from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import (
    FencedOff,
    KafkaFailure,
    OutOfRange,
    Partition,
    Refused,
    TooLarge,
    Unreachable,
)

_MAX_AGE = 5_000  # milliseconds after which new partitions are noticed
_RECONNECT = 1_000  # milliseconds, the longest pause between two tries to connect

logging.getLogger("kafka").setLevel(logging.ERROR)  # what matters is raised; the rest repeats for as long as it lasts


class Record(Protocol):
    """A record as it was read. `timestamp` is in milliseconds; -1: none."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Mark(NamedTuple):
    """A committed offset and what was committed with it."""

    offset: int
    metadata: str


@dataclass(frozen=True, slots=True)
class Topic:
    """What the brokers say of a topic.

    Attributes:
        problem: why they say nothing; empty: the rest is known.
    """

    name: str
    id: str = ""
    partitions: tuple[int, ...] = ()
    replicas: int = 0
    problem: str = ""
    missing: bool = False


class Consumer:
    """Reads partitions that it is told to, from offsets that it is told; never moves by itself, never commits.

    Args:
        group_id: whose committed offsets `committed` tells.
        committed_only: leave out what belongs to open or aborted transactions.
    """

    def __init__(self, connection: Connection, *, group_id: str | None = None, committed_only: bool = True) -> None:
        with explained("connect to the brokers", connection):
            self._client = KafkaConsumer(
                **_common(connection),
                group_id=group_id,
                enable_auto_commit=False,
                isolation_level="read_committed" if committed_only else "read_uncommitted",
                auto_offset_reset="none",
                max_poll_records=2000,  # 500 costs a third of the throughput
                fetch_max_wait_ms=100,  # an idle partition would hold up the others for half a second
                receive_buffer_bytes=1024 * 1024,
                allow_auto_create_topics=False,
            )
        self._connection = connection

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        with explained("assign partitions", self._connection):
            self._client.assign([_foreign(partition) for partition in offsets])
            for partition, offset in offsets.items():
                self._client.seek(_foreign(partition), offset)

    def seek(self, partition: Partition, offset: int) -> None:
        """Go on at `offset`."""
        self._client.seek(_foreign(partition), offset)

    def poll(self, timeout: float, limit: int) -> Mapping[Partition, list[Record]]:
        """At most `limit` records, waiting at most `timeout` seconds for the first; nothing while no broker answers.

        Raises:
            OutOfRange: positions that the log does not hold; they stay as they are.
        """
        with explained("read records", self._connection):
            records = self._client.poll(timeout_ms=int(timeout * 1000), max_records=limit)
        return cast("Mapping[Partition, list[Record]]", records)

    def position(self, partition: Partition) -> int:
        """Of the next record; it moves over what transactions leave in a log without being records."""
        with explained("tell a position", self._connection):
            position = self._client.position(_foreign(partition), timeout_ms=_ms(self._connection.request_timeout))
        if position is None:
            raise Unreachable(f"The position in {partition} is not known: {_where(self._connection)} does not answer.")
        return int(position)

    def high_water(self, partition: Partition) -> int | None:
        """The end of a partition as the last answer had it; asks nobody."""
        found = self._client.highwater(_foreign(partition))
        return None if found is None else int(found)

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Read no more of these until `resume`."""
        self._client.pause(*map(_foreign, partitions))

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Read these again."""
        self._client.resume(*map(_foreign, partitions))

    def partitions(self, topic: str) -> list[int]:
        """Of a topic, as known since a few seconds ago at most; empty: there is no such topic."""
        with explained(f"look up the partitions of {topic!r}", self._connection):
            return sorted(self._client.partitions_for_topic(topic) or ())

    def beginnings(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The first offset that each log holds."""
        with explained("look up where logs begin", self._connection):
            return self._offsets(self._client.beginning_offsets, partitions)

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset after the last record of each log that this consumer may read."""
        with explained("look up where logs end", self._connection):
            return self._offsets(self._client.end_offsets, partitions)

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, Mark]:
        """What is committed for the group; partitions without are left out.

        Ask only after `Producer.init_transactions`: while a transaction is open, this would block until it times out.
        """
        found = {}
        with explained("read committed offsets", self._connection):
            for partition in partitions:
                mark = self._client.committed(
                    _foreign(partition), metadata=True, timeout_ms=_ms(self._connection.request_timeout)
                )
                if mark is not None:
                    found[partition] = Mark(int(mark.offset), mark.metadata or "")
        return found

    def close(self) -> None:
        """Let go of all connections."""
        self._client.close(autocommit=False, timeout_ms=1000)

    @staticmethod
    def _offsets(
        ask: Callable[[list[Any]], Mapping[Any, int]], partitions: Iterable[Partition]
    ) -> dict[Partition, int]:
        asked = [_foreign(partition) for partition in partitions]
        return {Partition(*partition): int(offset) for partition, offset in ask(asked).items()} if asked else {}


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
                "transaction_timeout_ms": _ms(transaction_timeout),
            }
        with explained("connect to the brokers", connection):
            self._client = KafkaProducer(
                **_common(connection),
                **transactional,
                retry_backoff_ms=5,  # the pause within every transaction; 100 makes them seven times as long
                linger_ms=20,
                batch_size=256 * 1024,
                max_block_ms=_ms(connection.request_timeout),
                max_request_size=max_request_size,
                compression_type=compression,
                allow_auto_create_topics=False,
            )
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
                self._client.send(
                    topic, value, key, headers=list(headers), partition=partition, timestamp_ms=timestamp
                )
            )

    def flush(self, timeout: float) -> None:
        """Wait until every record has arrived or failed: `Pending.place` tells which."""
        with explained("wait for records to arrive", self._connection):
            self._client.flush(timeout=timeout)

    def send_offsets(self, marks: Mapping[Partition, Mark], group_id: str) -> None:
        """Make offsets of a group a part of the transaction."""
        offsets = {
            _foreign(partition): OffsetAndMetadata(mark.offset, mark.metadata, -1) for partition, mark in marks.items()
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
        self._client.close(timeout=timeout)


class Admin:
    """Looks at topics and creates them."""

    def __init__(self, connection: Connection) -> None:
        with explained("connect to the brokers", connection):
            self._client = KafkaAdminClient(
                **{name: value for name, value in _common(connection).items() if name != "metrics_enabled"}
            )
        self._connection = connection

    def topics(self, names: Sequence[str]) -> dict[str, Topic]:
        """What is known of these topics."""
        with explained("describe topics", self._connection):
            found = self._client.describe_topics(list(names))
        told = {one["name"]: _topic(one) for one in found}
        return {name: told.get(name) or Topic(name, problem="there is no such topic", missing=True) for name in names}

    def topic_config(self, name: str) -> dict[str, str]:
        """The settings of a topic, defaults included."""
        return self._config(ConfigResourceType.TOPIC, name)

    def broker_config(self) -> dict[str, str]:
        """The settings of one broker, defaults included."""
        with explained("describe the cluster", self._connection):
            node = self._client.describe_cluster()["brokers"][0]["broker_id"]
        return self._config(ConfigResourceType.BROKER, str(node))

    def create(self, name: str, *, partitions: int, replicas: int, config: Mapping[str, str]) -> None:
        """Create a topic; -1 for partitions or replicas means the default of the brokers."""
        wanted = {"num_partitions": partitions, "replication_factor": replicas, "configs": dict(config)}
        with explained(f"create the topic {name!r}", self._connection):
            self._client.create_topics({name: wanted}, wait_for_metadata=True)

    def close(self) -> None:
        """Let go of all connections."""
        self._client.close()

    def _config(self, kind: Any, name: str) -> dict[str, str]:
        with explained(f"describe the configuration of {name!r}", self._connection):
            found = self._client.describe_configs([ConfigResource(kind, name)], config_filter="all")
        entries = next(iter(found.values()))[name]
        return {key: str(entry["value"]) for key, entry in entries.items()}


@contextmanager
def explained(doing: str, connection: Connection | None = None) -> Iterator[None]:
    """Turn what the library raises into a failure that says what it means."""
    try:
        yield
    except kafka_errors.OffsetOutOfRangeError as error:
        raise OutOfRange({Partition(*p): int(offset) for p, offset in dict(error.args[0]).items()}) from error
    except kafka_errors.LogTruncationError as error:
        raise OutOfRange({Partition(*p): -1 for p in error.divergent_offsets}) from error
    except kafka_errors.MessageSizeTooLargeError as error:
        raise TooLarge(f"Could not {doing}: {error}") from error
    except (kafka_errors.KafkaError, OSError, AssertionError, ValueError) as error:
        where = f" ({_where(connection)})" if connection is not None else ""
        raise _kind(error)(f"Could not {doing}{where}: {_said(error)}") from error


_FENCED = (
    kafka_errors.ProducerFencedError,
    kafka_errors.InvalidProducerEpochError,
    kafka_errors.TransactionCoordinatorFencedError,
    kafka_errors.OutOfOrderSequenceNumberError,
)
_REFUSED = (
    kafka_errors.AuthorizationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.KafkaConfigurationError,
    kafka_errors.InvalidTransactionTimeoutError,
    kafka_errors.PolicyViolationError,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidConfigurationError,
    kafka_errors.TopicAlreadyExistsError,
    kafka_errors.OffsetMetadataTooLargeError,
    ValueError,
)


def _kind(error: Exception) -> type[KafkaFailure]:
    if isinstance(error, _FENCED) or "ProducerFencedError" in str(error):
        return FencedOff
    if isinstance(error, _REFUSED) or any(kind.__name__ in str(error) for kind in _REFUSED):
        return Refused
    return Unreachable


def _said(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if text.startswith("[") or type(error) is kafka_errors.KafkaError else f"{type(error).__name__}: {text}"


def _topic(told: Mapping[str, Any]) -> Topic:
    if told["error_code"]:
        error = kafka_errors.for_code(told["error_code"])
        missing = error is kafka_errors.UnknownTopicOrPartitionError
        return Topic(told["name"], problem="there is no such topic" if missing else error.__name__, missing=missing)
    partitions = sorted(told["partitions"], key=lambda one: int(one["partition_index"]))
    replicas = min((len(one["replica_nodes"]) for one in partitions), default=0)
    return Topic(told["name"], str(told["topic_id"]), tuple(one["partition_index"] for one in partitions), replicas)


def _common(connection: Connection) -> dict[str, Any]:
    return {
        "bootstrap_servers": [one.strip() for one in connection.bootstrap_servers.split(",")],
        "client_id": connection.client_id,
        "request_timeout_ms": _ms(connection.request_timeout),
        "bootstrap_timeout_ms": _ms(connection.startup_timeout),
        "reconnect_backoff_max_ms": _RECONNECT,
        "metadata_max_age_ms": _MAX_AGE,
        "metrics_enabled": False,
        **_security(connection),
    }


class _TokenProvider(AbstractTokenProvider):  # type: ignore[misc]
    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def token(self) -> str:
        return self._token()


def _security(connection: Connection) -> dict[str, Any]:
    security = dict(connection.security)
    token = security.pop("token", None)
    return security if token is None else {**security, "sasl_oauth_token_provider": _TokenProvider(token)}


def _foreign(partition: Partition) -> Any:
    return TopicPartition(partition.topic, partition.partition)


def _where(connection: Connection) -> str:
    return connection.bootstrap_servers


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))
