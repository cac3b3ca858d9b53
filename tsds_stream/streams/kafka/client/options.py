"""What all clients of one connection have in common, in the words of the library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kafka import TopicPartition
from kafka.net.sasl.oauth import AbstractTokenProvider

from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import Partition

_MAX_AGE: Final = 5_000  # milliseconds after which new partitions are noticed
_RECONNECT: Final = 1_000  # milliseconds, the longest pause between two tries to connect


def client_options(connection: Connection) -> dict[str, Any]:
    """Of a consumer or a producer."""
    return {
        "bootstrap_servers": [one.strip() for one in connection.bootstrap_servers.split(",")],
        "client_id": connection.client_id,
        "request_timeout_ms": milliseconds(connection.request_timeout),
        "bootstrap_timeout_ms": milliseconds(connection.startup_timeout),
        "reconnect_backoff_max_ms": _RECONNECT,
        "metadata_max_age_ms": _MAX_AGE,
        "metrics_enabled": False,
        **_security(connection),
    }


def foreign(partition: Partition) -> Any:
    """A partition as the library wants it."""
    return TopicPartition(partition.topic, partition.partition)


def milliseconds(seconds: float) -> int:
    """Whole ones, at least one."""
    return max(1, int(seconds * 1000))


class _TokenProvider(AbstractTokenProvider):  # type: ignore[misc]
    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def token(self) -> str:
        return self._token()


def _security(connection: Connection) -> dict[str, Any]:
    security = dict(connection.security)
    token = security.pop("token", None)
    return security if token is None else {**security, "sasl_oauth_token_provider": _TokenProvider(token)}
