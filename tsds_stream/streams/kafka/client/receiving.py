"""Larger reads from sockets than the library's 4 KiB.

Every read gives up the interpreter lock. While other threads of this process compute, each time may take milliseconds
until it is back, and with 4 KiB at a time that happens 256 times per MiB: polling then is half as fast.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from kafka.net import transport

_AT_ONCE: Final = 256 * 1024
_NOTHING: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_METHOD: Final = "_sock_recv"

Receive = Callable[[Any], tuple[bytes, Exception | None]]


def read_more_at_once() -> None:
    """Replace what reads from a socket, where the library is built as we know it."""
    for kind in (transport.KafkaTCPTransport, transport.KafkaSSLTransport):
        original = vars(kind).get(_METHOD)
        if original is not None and not hasattr(original, "__wrapped__"):
            setattr(kind, _METHOD, _greedy(original))


def _greedy(original: Receive) -> Receive:
    @wraps(original)
    def receive(self: Any) -> tuple[bytes, Exception | None]:
        received = []
        try:
            while data := self._sock.recv(_AT_ONCE):
                received.append(data)
        except _NOTHING:
            return b"".join(received), None
        except Exception:  # noqa: BLE001 - the library meets it again, and knows what it means
            pass
        rest, error = original(self)
        return b"".join([*received, rest]), error

    return receive
