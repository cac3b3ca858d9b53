"""The server that asks who you are: what it accepts, and what it refuses."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer
from kafka import KafkaConsumer
from kafka.net.sasl.oauth import AbstractTokenProvider

from tests.kafka.security import KEY_PASSWORD, PASSWORD, USER, SecureBroker, token
from tests.patience import PATIENCE

pytestmark = pytest.mark.kafka


class Tokens(AbstractTokenProvider):  # type: ignore[misc]
    def token(self) -> str:
        return token()


def ask(broker: SecureBroker, protocol: str, **settings: Any) -> None:
    """Ask for the topics as a client with these settings."""
    limits = {"bootstrap_timeout_ms": 10_000, "request_timeout_ms": 10_000}
    if protocol.endswith("SSL"):
        settings.setdefault("ssl_cafile", str(broker.keys.authority))
    client = KafkaConsumer(
        bootstrap_servers=broker.addresses[protocol], security_protocol=protocol, **limits, **settings
    )
    try:
        client.topics()
    finally:
        client.close()


def refusal(broker: SecureBroker, protocol: str, settings: dict[str, Any]) -> str:
    """Why the server, or the client itself, ends the connection; librdkafka says it, kafka-python only waits."""
    said: list[KafkaError] = []
    client = {"bootstrap.servers": broker.addresses[protocol], "security.protocol": protocol, "log_level": 0}
    client |= {"error_cb": said.append, "ssl.ca.location": str(broker.keys.authority)}
    producer = Producer({**client, **settings})
    deadline = time.monotonic() + PATIENCE
    while not said and time.monotonic() < deadline:
        producer.poll(0.1)
    return " ".join([error.name() + " " + error.str() for error in said])


def by_password(mechanism: str) -> dict[str, str]:
    return {"sasl_mechanism": mechanism, "sasl_plain_username": USER, "sasl_plain_password": PASSWORD}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_the_right_password_opens_and_a_wrong_one_does_not(secure_broker: SecureBroker, mechanism: str) -> None:
    ask(secure_broker, "SASL_PLAINTEXT", **by_password(mechanism))
    wrong = {"sasl.mechanism": mechanism, "sasl.username": USER, "sasl.password": "wrong"}
    assert "_AUTHENTICATION" in refusal(secure_broker, "SASL_PLAINTEXT", wrong)


def test_a_token_opens_and_an_expired_one_does_not(secure_broker: SecureBroker) -> None:
    ask(secure_broker, "SASL_PLAINTEXT", sasl_mechanism="OAUTHBEARER", sasl_oauth_token_provider=Tokens())
    wrong: tuple[str, float, str, dict[str, str]] = (token(lifetime=-3600), time.time() + 3600, USER, {})
    settings = {"sasl.mechanism": "OAUTHBEARER", "oauth_cb": lambda _: wrong}
    assert "invalid_token" in refusal(secure_broker, "SASL_PLAINTEXT", settings)


def test_tls_takes_a_client_that_knows_the_authority_and_the_name(secure_broker: SecureBroker) -> None:
    ask(secure_broker, "SSL")
    ask(secure_broker, "SASL_SSL", **by_password("SCRAM-SHA-512"))
    keys = secure_broker.keys
    locked = {"ssl_keyfile": str(keys.client_locked), "ssl_password": KEY_PASSWORD}
    ask(secure_broker, "SSL", ssl_certfile=str(keys.client_certificate), **locked)


def test_a_client_that_trusts_another_authority_does_not_get_in(secure_broker: SecureBroker) -> None:
    said = refusal(secure_broker, "SSL", {"ssl.ca.location": str(secure_broker.keys.stranger)})
    assert "certificate verify failed" in said


def test_what_is_forbidden_is_refused(secure_broker: SecureBroker, fresh: Callable[[str], str]) -> None:
    name = secure_broker.create_topic(fresh("documents"))
    client = {"bootstrap.servers": secure_broker.addresses["SASL_PLAINTEXT"], "log_level": 0}
    client |= {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
    client |= {"sasl.username": USER, "sasl.password": PASSWORD}
    producer = Producer(client)
    assert name in producer.list_topics(name, timeout=PATIENCE).topics
    secure_broker.forbid(name)
    answers: list[Any] = []
    producer.produce(name, b"", on_delivery=lambda error, _: answers.append(error))
    producer.flush(10)
    assert [answer.name() for answer in answers] == ["TOPIC_AUTHORIZATION_FAILED"]
