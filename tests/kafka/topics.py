"""Topics of a running server, made and asked about by librdkafka: not by the client that is under test."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from tests.patience import PATIENCE

# The library lets go of the address it began with when it has learned of the servers, and of what it asked there.
_PASSING = (KafkaError._DESTROY_BROKER, KafkaError._TRANSPORT)


class Topics:
    """Makes and deletes topics, and waits until the server shows it.

    Args:
        bootstrap: `host:port` of the server.
        replicas: copies of each new topic.
        direct: the address for requests of this class where `bootstrap` leads through a proxy.
    """

    def __init__(self, bootstrap: str, replicas: int = 1, direct: str | None = None) -> None:
        self.bootstrap = bootstrap
        self.replicas = replicas
        self.direct = direct or bootstrap
        self.made: list[str] = []

    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.direct, "log_level": 0, "socket.timeout.ms": 60000})

    def create_topic(
        self,
        name: str,
        partitions: int = 1,
        config: Mapping[str, object] | None = None,
        timeout: float = PATIENCE,
    ) -> str:
        """Make a topic and return its name as soon as each of its partitions has a leader."""
        admin = self.admin()
        settings = {key: str(value) for key, value in (config or {}).items()}
        new = NewTopic(name, partitions, self.replicas, config=settings)
        for tries_left in (2, 1, 0):
            try:
                _await(admin.create_topics([new], operation_timeout=timeout, request_timeout=timeout))
                break
            except KafkaException as error:
                code = error.args[0].code()
                if tries_left < 2 and code == KafkaError.TOPIC_ALREADY_EXISTS:
                    break  # it was made, and the answer was lost
                if not tries_left or code not in _PASSING:
                    raise
        self.made.append(name)
        deadline = time.monotonic() + timeout
        while sum(leader >= 0 for leader in self.leaders(name, admin).values()) < partitions:
            _check(deadline, f"topic {name} has partitions without a leader")
        return name

    def add_partitions(self, name: str, total: int, timeout: float = PATIENCE) -> None:
        """Let a topic have so many partitions."""
        admin = self.admin()
        _await(admin.create_partitions([NewPartitions(name, total)], operation_timeout=timeout))

    def delete_topic(self, name: str, timeout: float = PATIENCE) -> None:
        """Delete a topic and return when it is no longer listed."""
        admin = self.admin()
        _await(admin.delete_topics([name], operation_timeout=timeout, request_timeout=timeout))
        deadline = time.monotonic() + timeout
        while name in admin.list_topics(timeout=timeout).topics:
            _check(deadline, f"topic {name} is still listed")

    def topic_names(self) -> set[str]:
        return set(self.admin().list_topics(timeout=PATIENCE).topics)

    def leaders(self, topic: str, admin: AdminClient | None = None) -> dict[int, int]:
        """Node that leads each partition, -1 where there is none; empty when there is no such topic."""
        listed = (admin or self.admin()).list_topics(topic, timeout=PATIENCE).topics.get(topic)
        return {} if listed is None else {number: part.leader for number, part in listed.partitions.items()}


def _await(futures: Mapping[str, Future[Any]]) -> None:
    for future in futures.values():
        future.result()


def _check(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(what)
    time.sleep(0.02)
