"""Everything that is said about Kafka in the configuration; nothing here needs a client."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from tsds_stream.configuration.table import Table
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.units import Milliseconds, Seconds, Size

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
Payload = Literal["text", "reference"]
Secret = Annotated[SecretStr, Field(min_length=1)]
Filename = Annotated[str, Field(min_length=1)]


def _topic(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) or name in (".", ".."):
        raise ValueError('a topic name has 1 to 249 of the characters A-Z, a-z, 0-9, ".", "_" and "-"')
    return name


def _servers(servers: str) -> str:
    for server in servers.split(","):
        address = re.fullmatch(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:@/\[\]]+):(\d{1,5})", server.strip())
        if address is None or not 0 < int(address[1]) < 65536:
            raise ValueError('expected "host:port", several of them separated by commas')
    return servers


Topic = Annotated[str, AfterValidator(_topic)]


class KafkaSourceSettings(Table):
    """Documents are the records of a topic: the key is the id, a record without a value takes the document away."""

    kind: Literal["kafka"] = "kafka"
    max_document_bytes: Annotated[Size, Field(ge=1)] = Field(
        960 * 1024,
        description="a document with more bytes than this goes to the dead letters; the topics must take as much and "
        "64 KiB more, and by default they take 1 MiB",
    )
    max_future: Annotated[Milliseconds, Field(ge=0)] = Field(
        3_600_000, description="a timestamp further ahead of the clock than this makes a dead letter"
    )
    accept_gap: bool = Field(
        False,
        description="one-off: go on although records are lost for good (deleted before they were read, or with the "
        "whole topic), and note the gap in every revision; without it such a loss ends the run",
    )
    topic_check_interval: Annotated[Seconds, Field(gt=0)] = Field(
        60.0, description="time between two questions to the brokers whether the topic is still the same one"
    )


class KafkaSinkSettings(Table):
    """Revisions go to topics, in one transaction with the positions in the source."""

    kind: Literal["kafka"] = "kafka"
    payload: Payload = Field(
        "text", description="text: records carry text and meta; reference: only topic, partition and offset of them"
    )
    directory: Filename | None = Field(
        None, description="folder of numbered snapshots that is kept up to date from the topics as a second output"
    )
    keep_revisions: int = Field(100, ge=1, description="revisions kept in that folder; older ones are deleted")


class KafkaTopics(Table):
    """The names of the topics."""

    documents: Topic = Field("documents", description="topic that documents are read from")
    targets: Topic | None = Field(
        None, description="compacted topic of target examples, for the target sets that name no file"
    )
    selection: Topic = Field("selection", description="compacted topic of the selected documents")
    revisions: Topic = Field("revisions", description="topic with one record per revision")
    dead_letters: Topic = Field("dead-letters", description="topic of the records that could not be used, and why")

    def given(self) -> dict[str, str]:
        """The topics that have a name, by what they are for."""
        return {option: name for option, name in self.model_dump().items() if name is not None}


class KafkaSettings(Table):
    """The brokers, and who we are to them. Used where source, sink or targets are Kafka; ignored otherwise.

    Passwords come from the environment or from files of their own; a configuration that holds one is refused."""

    bootstrap_servers: Annotated[str, AfterValidator(_servers)] = Field(
        "127.0.0.1:9092", description="host:port of some brokers, separated by commas"
    )
    client_id: str = Field("tsds-stream", min_length=1, description="what the brokers' logs and quotas call us")
    group_id: str = Field("tsds", min_length=1, description="consumer group that the positions are committed for")
    transactional_id: str = Field(
        "tsds-0", min_length=1, description="of every instance its own; who starts last with it fences the others off"
    )
    transaction_timeout: Annotated[Seconds, Field(ge=1, le=900)] = Field(
        60.0, description="after this time the brokers abort what a dead instance left open"
    )
    request_timeout: Annotated[Seconds, Field(ge=1)] = Field(30.0, description="longest wait for an answer of a broker")
    startup_timeout: Annotated[Seconds, Field(ge=1)] = Field(60.0, description="at start, longest wait for the brokers")
    security_protocol: SecurityProtocol = Field("PLAINTEXT", description="how to talk to the brokers")
    ssl_cafile: Filename | None = Field(
        None, description="PEM file of the authorities that sign the brokers' certificates; none: those of the system"
    )
    ssl_certfile: Filename | None = Field(None, description="PEM file of our certificate, where brokers ask for one")
    ssl_keyfile: Filename | None = Field(None, description="PEM file of its private key")
    ssl_password: Secret | None = Field(None, description="password of the private key")
    ssl_password_file: Filename | None = Field(None, description="file that holds the password of the private key")
    ssl_check_hostname: bool = Field(True, description="the certificate must name the host that was asked for")
    sasl_mechanism: SaslMechanism | None = Field(
        None, description="how to log in: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
    )
    sasl_username: str | None = Field(None, min_length=1, description="PLAIN and SCRAM: who logs in")
    sasl_password: Secret | None = Field(None, description="PLAIN and SCRAM: the password")
    sasl_password_file: Filename | None = Field(None, description="PLAIN and SCRAM: file that holds the password")
    sasl_oauth_token_file: Filename | None = Field(
        None, description="OAUTHBEARER: file that holds the token; read again for every connection"
    )
    topics: KafkaTopics = Field(default_factory=KafkaTopics)

    @property
    def servers(self) -> list[str]:
        """The `bootstrap_servers` one by one."""
        return [server.strip() for server in self.bootstrap_servers.split(",")]

    @property
    def encrypted(self) -> bool:
        """Whether connections use TLS."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    def files(self) -> list[str]:
        """The files that are named here."""
        given = self.model_dump(exclude={"topics"}).items()
        return [value for option, value in given if option.endswith("file") and value is not None]

    def sasl_secret(self) -> str | None:
        """The password to log in with. Raises `CommandError` when its file cannot be read."""
        return _secret(self.sasl_password, self.sasl_password_file, "sasl_password_file")

    def ssl_secret(self) -> str | None:
        """The password of the private key. Raises `CommandError` when its file cannot be read."""
        return _secret(self.ssl_password, self.ssl_password_file, "ssl_password_file")

    def oauth_token(self) -> str | None:
        """The token of this moment. Raises `CommandError` when its file cannot be read."""
        return _secret(None, self.sasl_oauth_token_file, "sasl_oauth_token_file")


def _secret(given: SecretStr | None, file: str | None, option: str) -> str | None:
    if file is None:
        return None if given is None else given.get_secret_value()
    try:
        text = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise CommandError(f"[kafka] {option}: {file} cannot be read: {reason}", ExitStatus.USAGE) from None
    if not text:
        raise CommandError(f"[kafka] {option}: {file} is empty", ExitStatus.USAGE)
    return text
