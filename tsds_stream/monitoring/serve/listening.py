"""The sockets that an address of the configuration stands for."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from time import sleep
from typing import Final

_MANY: Final = 2048  # descriptors wanted
_OTHERS: Final = 128  # that are not of connections
_BACKLOG: Final = 1024


class ListenError(Exception):
    """Nobody can be listened to there: a sentence that says what to do."""


class TakenError(ListenError):
    """Somebody else listens there."""


def patiently(listen: str, tries: int = 4, pause: float = 0.4) -> list[socket.socket]:
    """As `sockets_of`; what served a run that was killed a moment ago may just be letting go of the port."""
    for _ in range(tries - 1):
        with suppress(TakenError):
            return sockets_of(listen)
        sleep(pause)
    return sockets_of(listen)


def sockets_of(listen: str) -> list[socket.socket]:
    """Listening sockets for "host:port", one for each address that the host has; all with the same port.

    Raises:
        ListenError: the address cannot be had.
    """
    host, port = split(listen)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ListenError(f'[monitoring] listen = "{listen}": {host} is not known here: {reason}') from None
    opened: list[socket.socket] = []
    with ExitStack() as unfinished:
        for family, _, _, _, address in dict.fromkeys(found):
            one = socket.socket(family, socket.SOCK_STREAM)
            unfinished.callback(one.close)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            chosen = port or (opened[0].getsockname()[1] if opened else 0)
            try:
                one.bind((address[0], chosen, *address[2:]))
                one.listen(_BACKLOG)
            except OSError as error:
                kind = TakenError if error.errno == errno.EADDRINUSE else ListenError
                raise kind(f'[monitoring] listen = "{listen}": {_why(error, listen)}') from None
            opened.append(one)
        unfinished.pop_all()
    return opened


def split(listen: str) -> tuple[str, int]:
    """Host, without brackets, and port."""
    host, _, port = listen.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def url_of(listen: str, sockets: Sequence[socket.socket]) -> str:
    """The address to put into a browser."""
    host = listen.rpartition(":")[0]
    return f"http://{host}:{sockets[0].getsockname()[1]}/"


def room_for_connections() -> int:
    """Take as many descriptors as the system allows, up to a few thousand, and return how many connections fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY if hard == resource.RLIM_INFINITY else min(_MANY, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(wanted - _OTHERS, wanted // 2)


def _why(error: OSError, listen: str) -> str:
    _, port = split(listen)
    if error.errno == errno.EADDRINUSE:
        return (
            f"something else listens on port {port} already, perhaps another run: stop it, or choose another port "
            "(port 0 takes any that is free)"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address: 127.0.0.1 is for clients on it, 0.0.0.0 for those everywhere"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} is not open to this user: choose one from 1024 on"
    return os.strerror(error.errno) if error.errno else str(error)
