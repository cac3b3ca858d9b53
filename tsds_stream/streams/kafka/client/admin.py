"""Looking at topics, and creating them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from tsds_stream.streams.kafka.client.failures import explained
from tsds_stream.streams.kafka.client.making import made_whole
from tsds_stream.streams.kafka.client.types import Topic
from tsds_stream.streams.kafka.connection import Connection


class Admin:
    """Looks at topics and creates them."""

    def __init__(self, connection: Connection) -> None:
        with made_whole(connection) as options:
            self._client = KafkaAdminClient(
                **{name: value for name, value in options.items() if name != "metrics_enabled"}
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

    def brokers(self) -> int:
        """How many there are."""
        with explained("describe the cluster", self._connection):
            return len(self._client.describe_cluster()["brokers"])

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


def _topic(told: Mapping[str, Any]) -> Topic:
    if told["error_code"]:
        error = kafka_errors.for_code(told["error_code"])
        missing = error is kafka_errors.UnknownTopicOrPartitionError
        return Topic(told["name"], problem="there is no such topic" if missing else error.__name__, missing=missing)
    partitions = sorted(told["partitions"], key=lambda one: int(one["partition_index"]))
    replicas = min((len(one["replica_nodes"]) for one in partitions), default=0)
    numbers = tuple(one["partition_index"] for one in partitions)
    return Topic(told["name"], str(told["topic_id"]), numbers, replicas, allowed=_allowed(told))


def _allowed(told: Mapping[str, Any]) -> frozenset[str] | None:
    names = told.get("authorized_operations")
    return None if names is None else frozenset(names)
