"""TLS as the settings want it."""

from __future__ import annotations

import ssl

from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.streams.kafka.settings import KafkaSettings

_PAIR = "they are not PEM, or not a pair, or the key has another password"


def tls_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """TLS as configured. The library would make one for each connection, and tell of a missing file only there.

    Raises `CommandError`.
    """
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_cafile)
    except (OSError, ValueError) as error:
        raise _unusable("ssl_cafile", str(kafka.ssl_cafile), error, "it holds no certificate in PEM") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = kafka.ssl_check_hostname
    if kafka.ssl_certfile is not None:
        secret = kafka.ssl_secret() or ""  # not None: OpenSSL would ask for it at the terminal
        try:
            context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile, password=lambda: secret)
        except (OSError, ValueError) as error:
            files = f"{kafka.ssl_certfile} and {kafka.ssl_keyfile}"
            raise _unusable("ssl_certfile, ssl_keyfile", files, error, _PAIR) from None
    return context


def _unusable(options: str, files: str, error: OSError | ValueError, not_pem: str) -> CommandError:
    known = isinstance(error, OSError) and not isinstance(error, ssl.SSLError)
    reason = str(error.strerror) if isinstance(error, OSError) and known else not_pem
    return CommandError(f"[kafka] {options}: {files} cannot be used: {reason}", ExitStatus.USAGE)
