"""How to reach the brokers: what every client of one process has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Connection:
    """Times are seconds.

    Attributes:
        bootstrap_servers: "host:port", several separated by commas.
        request_timeout: for one request.
        startup_timeout: for the first answer of a broker.
        security: TLS and SASL, as the client library names them; holds secrets, so that it is never shown.
    """

    bootstrap_servers: str
    client_id: str = "tsds-stream"
    request_timeout: float = 30.0
    startup_timeout: float = 30.0
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)
