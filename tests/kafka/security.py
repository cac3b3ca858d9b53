"""A server that asks who you are: SASL and TLS listeners with keys made for the occasion."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

from tests.kafka.broker import Broker
from tests.kafka.topics import Topics

USER = "alice"
PASSWORD = "alices-secret"
KEY_PASSWORD = "of-the-key"
MECHANISMS = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"
LISTENERS = {"SASL_PLAINTEXT": "SASL_PLAINTEXT", "SSL": "SSL", "SASL_SSL": "SASL_SSL"}
MODULES = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Keys:
    """PEM files: an authority, the server's key for 127.0.0.1 and localhost, a client's key, and another authority.

    `client_locked` is the client's key under `KEY_PASSWORD`.
    """

    authority: Path
    server: Path
    client_certificate: Path
    client_key: Path
    client_locked: Path
    stranger: Path


class SecureBroker(Topics):
    """A server with `SASL_PLAINTEXT`, `SSL` and `SASL_SSL` listeners beside the plain one: `addresses` by name, `keys`.

    `USER` with `PASSWORD` is known by PLAIN and SCRAM; OAUTHBEARER takes the unsigned tokens of `token`. Everything is
    allowed to everyone until `forbid`. Nobody needs a client certificate; a wrong one is refused.
    """

    def __init__(self, ports: dict[str, int], folder: Path) -> None:
        super().__init__(f"127.0.0.1:{ports['PLAINTEXT']}")
        self.addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        self.keys = key_files(folder)

    def forbid(self, topic: str, user: str = USER, operation: AclOperation = AclOperation.ALL) -> None:
        """Deny a user an operation on a topic."""
        kind, pattern, permission = ResourceType.TOPIC, ResourcePatternType.LITERAL, AclPermissionType.DENY
        rule = AclBinding(kind, topic, pattern, f"User:{user}", "*", operation, permission)
        admin = self.admin()  # without a name it would be gone before the answer comes
        for future in admin.create_acls([rule]).values():
            future.result()


def start_secure(folder: Path) -> Broker:
    """Start a server for `SecureBroker`, with its keys in `folder`."""
    keys = make_keys(folder)
    settings = {
        "sasl.enabled.mechanisms": MECHANISMS,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": keys.server,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": keys.authority,
        "ssl.client.auth": "requested",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
        "super.users": "User:ANONYMOUS",
    }
    for listener in ("sasl_plaintext", "sasl_ssl"):
        base = f"listener.name.{listener}"
        settings[f"{base}.plain.sasl.jaas.config"] = (
            f'{MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        )
        for mechanism in ("scram-sha-256", "scram-sha-512"):
            settings[f"{base}.{mechanism}.sasl.jaas.config"] = f"{MODULES}.scram.ScramLoginModule required;"
        settings[f"{base}.oauthbearer.sasl.jaas.config"] = (
            f'{MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="server";'
        )
    users: list[str] = []
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        users += ["--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]"]
    return Broker(folder / "broker", settings=settings, listeners=LISTENERS, format_arguments=users)


def token(user: str = USER, lifetime: float = 3600.0) -> str:
    """An unsigned bearer token, as the server's own test validator takes it."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": user, "iat": now - 60 + min(lifetime, 0), "exp": now + lifetime})
    return ".".join(_base64(json.dumps(part).encode()) for part in parts) + "."


def key_files(folder: Path) -> Keys:
    names = ("authority.crt", "server.pem", "client.crt", "client.key", "client-locked.key", "stranger.crt")
    return Keys(*(folder / name for name in names))


def make_keys(folder: Path) -> Keys:
    """Make all keys with openssl; they are good for two days."""
    folder.mkdir(parents=True, exist_ok=True)
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    for name in ("authority", "stranger"):
        _openssl(folder, *new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")
    signed = ["-CA", "authority.crt", "-CAkey", "authority.key"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
    for name in ("server", "client"):
        request = [*new, *signed, *names, "-subj", f"/CN={name}"]
        _openssl(folder, *request, "-keyout", f"{name}.key", "-out", f"{name}.crt")
    parts = [(folder / name).read_text() for name in ("server.key", "server.crt", "authority.crt")]
    (folder / "server.pem").write_text("".join(parts))
    lock = ["pkcs8", "-topk8", "-in", "client.key", "-out", "client-locked.key", "-passout", f"pass:{KEY_PASSWORD}"]
    _openssl(folder, *lock)
    return key_files(folder)


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
