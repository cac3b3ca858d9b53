"""What single options of [kafka] cannot know: whether they agree with each other."""

from __future__ import annotations

from collections.abc import Iterator

from tsds_stream.streams.kafka.settings import KafkaSettings


def contradictions(kafka: KafkaSettings) -> list[str]:
    """A sentence for everything that cannot work together; none: it is sound."""
    return [*_login(kafka), *_certificates(kafka), *_topics(kafka)]


def _login(kafka: KafkaSettings) -> Iterator[str]:
    protocol, mechanism = kafka.security_protocol, kafka.sasl_mechanism
    if mechanism is None:
        if protocol.startswith("SASL"):
            yield f'security_protocol = "{protocol}" needs sasl_mechanism'
        given = _given(kafka, "sasl_username", "sasl_password", "sasl_password_file", "sasl_oauth_token_file")
        if given:
            yield f"{' and '.join(given)} without sasl_mechanism would not be used"
        return
    if not protocol.startswith("SASL"):
        yield f'sasl_mechanism = "{mechanism}" needs security_protocol = "SASL_SSL" (or "SASL_PLAINTEXT")'
    if mechanism == "OAUTHBEARER":
        if kafka.sasl_oauth_token_file is None:
            yield f'sasl_mechanism = "{mechanism}" needs sasl_oauth_token_file'
        foreign = _given(kafka, "sasl_username", "sasl_password", "sasl_password_file")
    else:
        if kafka.sasl_username is None:
            yield f'sasl_mechanism = "{mechanism}" needs sasl_username'
        if not _given(kafka, "sasl_password", "sasl_password_file"):
            yield (
                f'sasl_mechanism = "{mechanism}" needs a password: name a file that holds it with sasl_password_file, '
                "or set TSDS_STREAM_KAFKA__SASL_PASSWORD"
            )
        foreign = _given(kafka, "sasl_oauth_token_file")
    if foreign:
        yield f'{" and ".join(foreign)} would not be used with sasl_mechanism = "{mechanism}"'
    elif len(_given(kafka, "sasl_password", "sasl_password_file")) == 2:
        yield "sasl_password and sasl_password_file are both given; one of them is enough"


def _certificates(kafka: KafkaSettings) -> Iterator[str]:
    passwords = _given(kafka, "ssl_password", "ssl_password_file")
    given = _given(kafka, "ssl_cafile", "ssl_certfile", "ssl_keyfile") + passwords
    if given and not kafka.encrypted:
        yield (
            f'{", ".join(given)} would not be used with security_protocol = "{kafka.security_protocol}": '
            'TLS is "SSL" or "SASL_SSL"'
        )
    if (kafka.ssl_certfile is None) != (kafka.ssl_keyfile is None):
        there, lacking = (
            ("ssl_keyfile", "ssl_certfile") if kafka.ssl_certfile is None else ("ssl_certfile", "ssl_keyfile")
        )
        yield f"{there} needs {lacking} (it may be the same file)"
    if passwords and kafka.ssl_keyfile is None:
        yield f"{passwords[0]} needs ssl_keyfile"
    if len(passwords) == 2:
        yield "ssl_password and ssl_password_file are both given; one of them is enough"


def _topics(kafka: KafkaSettings) -> Iterator[str]:
    """Kafka itself lets no two topics differ in nothing but "." and "_"."""
    uses: dict[str, list[str]] = {}
    for use, topic in kafka.topics.given().items():
        uses.setdefault(topic.replace(".", "_"), []).append(use)
    for same in uses.values():
        if len(same) > 1:
            names = {use: kafka.topics.given()[use] for use in same}
            pairs = " and ".join(f'{use} = "{topic}"' for use, topic in names.items())
            yield f"topics: {pairs} must be different topics" + (
                "" if len(set(names.values())) == 1 else ' (and Kafka takes "." and "_" for the same)'
            )


def _given(kafka: KafkaSettings, *options: str) -> list[str]:
    return [option for option in options if getattr(kafka, option) is not None]
