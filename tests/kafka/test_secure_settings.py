"""The settings of [kafka] open a server that wants encryption and a login, through the client of the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kafka.security import KEY_PASSWORD, PASSWORD, USER, SecureBroker, token
from tsds_stream.streams.kafka.client import Admin
from tsds_stream.streams.kafka.connection import connection_of
from tsds_stream.streams.kafka.contradictions import contradictions
from tsds_stream.streams.kafka.settings import KafkaSettings

pytestmark = pytest.mark.kafka


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, str]:
    """Files as an operator mounts them, each with a newline at its end."""
    for name, text in (("password", PASSWORD), ("token", token()), ("key-password", KEY_PASSWORD)):
        (tmp_path / name).write_text(f"{text}\n")
    return {name: str(tmp_path / name) for name in ("password", "token", "key-password")}


def opens(broker: SecureBroker, protocol: str, **given: Any) -> None:
    if protocol.endswith("SSL"):
        given["ssl_cafile"] = str(broker.keys.authority)
    servers = {"bootstrap_servers": broker.addresses[protocol], "security_protocol": protocol}
    settings = KafkaSettings.model_validate({**servers, "startup_timeout": "10s", "request_timeout": "10s", **given})
    assert contradictions(settings) == []
    connection = connection_of(settings)
    assert PASSWORD not in repr(connection)
    admin = Admin(connection)
    try:
        assert admin.topics(["absent"])["absent"].missing
    finally:
        admin.close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_user_logs_in_with_the_password_of_a_file(
    secure_broker: SecureBroker, secrets: dict[str, str], mechanism: str
) -> None:
    login = {"sasl_mechanism": mechanism, "sasl_username": USER, "sasl_password_file": secrets["password"]}
    opens(secure_broker, "SASL_SSL", **login)


def test_a_token_of_a_file_logs_in(secure_broker: SecureBroker, secrets: dict[str, str]) -> None:
    opens(secure_broker, "SASL_PLAINTEXT", sasl_mechanism="OAUTHBEARER", sasl_oauth_token_file=secrets["token"])


def test_a_certificate_with_a_locked_key_is_shown(secure_broker: SecureBroker, secrets: dict[str, str]) -> None:
    keys = secure_broker.keys
    pair = {"ssl_certfile": str(keys.client_certificate), "ssl_keyfile": str(keys.client_locked)}
    opens(secure_broker, "SSL", **pair, ssl_password_file=secrets["key-password"])
