"""Looking at topics, and creating them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from tsds_stream.streams.kafka.client.failures import explained
from tsds_stream.streams.kafka.client.making import made_whole
from tsds_stream.streams.kafka.client.types import Topic
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import Unreachable

_PAUSE: Final = 0.5  # seconds between two tries


class Admin:
    """Looks at topics and creates them.

    Questions are asked again for as long as a start may take: one of several brokers may be away.
    """

    def __init__(self, connection: Connection) -> None:
        with made_whole(connection) as options:
            self._client = KafkaAdminClient(
                **{name: value for name, value in options.items() if name != "metrics_enabled"}
            )
        self._connection = connection

    def topics(self, names: Sequence[str], patience: float | None = None) -> dict[str, Topic]:
        """What is known of these topics.

        Args:
            patience: seconds for which it is asked again; without, as long as a start may take.
        """
        found = self._ask("describe topics", lambda: self._client.describe_topics(list(names)), patience)
        told = {one["name"]: _topic(one) for one in found}
        return {name: told.get(name) or Topic(name, problem="there is no such topic", missing=True) for name in names}

    def topic_config(self, name: str) -> dict[str, str]:
        """The settings of a topic, defaults included."""
        return self._config(ConfigResourceType.TOPIC, name)

    def broker_config(self) -> dict[str, str]:
        """The settings of one broker, defaults included."""
        return self._config(ConfigResourceType.BROKER, str(self._brokers()[0]["broker_id"]))

    def brokers(self) -> int:
        """How many there are."""
        return len(self._brokers())

    def create(self, name: str, *, partitions: int, replicas: int, config: Mapping[str, str]) -> None:
        """Create a topic; -1 for partitions or replicas means the default of the brokers."""
        wanted = {"num_partitions": partitions, "replication_factor": replicas, "configs": dict(config)}
        with explained(f"create the topic {name!r}", self._connection):
            self._client.create_topics({name: wanted}, wait_for_metadata=True)

    def close(self) -> None:
        """Let go of all connections."""
        self._client.close()

    def _config(self, kind: Any, name: str) -> dict[str, str]:
        resources = [ConfigResource(kind, name)]
        found = self._ask(
            f"describe the configuration of {name!r}",
            lambda: self._client.describe_configs(resources, config_filter="all"),
        )
        entries = next(iter(found.values()))[name]
        return {key: str(entry["value"]) for key, entry in entries.items()}

    def _brokers(self) -> Sequence[Mapping[str, Any]]:
        brokers: Sequence[Mapping[str, Any]] = self._ask("describe the cluster", self._client.describe_cluster)[
            "brokers"
        ]
        return brokers

    def _ask(self, doing: str, question: Callable[[], Any], patience: float | None = None) -> Any:
        deadline = time.monotonic() + (self._connection.startup_timeout if patience is None else patience)
        while True:
            try:
                with explained(doing, self._connection):
                    return question()
            except Unreachable:
                if time.monotonic() + _PAUSE > deadline:
                    raise
                time.sleep(_PAUSE)


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
