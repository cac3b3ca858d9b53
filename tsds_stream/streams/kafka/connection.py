"""How to reach the brokers: what every client of one process has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tsds_stream.streams.kafka.settings import KafkaSettings
from tsds_stream.streams.kafka.tls import tls_context


@dataclass(frozen=True, slots=True)
class Connection:
    """Times are seconds.

    Attributes:
        bootstrap_servers: "host:port", several separated by commas.
        request_timeout: for one request.
        startup_timeout: for the first answer of a broker.
        security: TLS and SASL, as the client library names them, and under "token" what gives the OAuth token of the
            moment; holds secrets, so that it is never shown.
    """

    bootstrap_servers: str
    client_id: str = "tsds-stream"
    request_timeout: float = 30.0
    startup_timeout: float = 30.0
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)


def connection_of(settings: KafkaSettings) -> Connection:
    """The connection that the settings describe, with its secrets.

    Raises:
        CommandError: a file of a secret or a certificate cannot be read.
    """
    security: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.encrypted:
        security |= {"ssl_context": tls_context(settings)}
    if settings.sasl_mechanism is not None:
        security |= {"sasl_mechanism": settings.sasl_mechanism}
        if settings.sasl_mechanism == "OAUTHBEARER":
            settings.oauth_token()  # a file that cannot be read is noticed now
            security |= {"token": settings.oauth_token}
        else:
            security |= {
                "sasl_plain_username": settings.sasl_username,
                "sasl_plain_password": settings.sasl_secret(),
            }
    return Connection(
        settings.bootstrap_servers,
        settings.client_id,
        settings.request_timeout,
        settings.startup_timeout,
        security,
    )
