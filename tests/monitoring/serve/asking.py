"""Clients: one that asks politely and waits, and one that writes what it likes to a socket."""

from __future__ import annotations

import socket
from collections.abc import Callable
from http.client import HTTPConnection
from time import monotonic, sleep
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.patience import PATIENCE


def eventually(happened: Callable[[], object]) -> None:
    """Wait until something is true."""
    limit = monotonic() + PATIENCE
    while not happened():
        assert monotonic() < limit, "it did not happen"
        sleep(0.01)


class Reply(NamedTuple):
    """What came back; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(url: str, path: str, method: str = "GET", **headers: str) -> Reply:
    """One request on a connection of its own; underscores in names of headers stand for dashes."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def connect(url: str, buffer: int | None = None) -> socket.socket:
    """A connection, with a receive buffer of so many bytes if given."""
    parts = urlsplit(url)
    one = socket.socket(socket.AF_INET)
    one.settimeout(PATIENCE)
    if buffer is not None:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    one.connect((parts.hostname, parts.port))
    return one


def say(url: str, *words: bytes) -> bytes:
    """Write to a connection and return all that comes until the other side closes it."""
    with connect(url) as one:
        try:
            for word in words:
                one.sendall(word)
        except OSError:
            pass  # refused in the middle of it
        return all_of(one)


def all_of(one: socket.socket) -> bytes:
    """What comes until the other side closes; closing roughly counts too."""
    found = b""
    try:
        while more := one.recv(1 << 16):
            found += more
    except ConnectionError:
        pass
    return found
