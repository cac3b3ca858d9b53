"""What a client may take: how many connections, how long, how much; set so that none can keep others out.

waitress bounds sizes and counts. What it lacks is added here, to its server, channel and task: a connection has a
deadline (a client that sends, or reads, one byte a second is active for ever), and it is good for one request (a
client that sends requests and reads no answers would occupy a thread).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from math import inf
from socket import socket
from time import monotonic
from typing import Any, Final, NoReturn

from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.adjustments import Adjustments  # type: ignore[import-untyped]
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.server import TcpWSGIServer  # type: ignore[import-untyped]
from waitress.task import ThreadedTaskDispatcher, WSGITask  # type: ignore[import-untyped]

from tsds_stream.logs import Log
from tsds_stream.monitoring.serve.calm import Forwarder

THREADS: Final = 4
LARGEST_HEADER: Final = 16 * 1024  # bytes, with the address that is asked for
_CROWDED: Final = 0.75  # of the connections
_HASTE: Final = 0.2  # of the patience is left when it is crowded
_LOOK_ROUND: Final = 0.5  # seconds
_AT_ONCE: Final = 64  # connections that are accepted before the others are looked at


class _Task(WSGITask):  # type: ignore[misc] # waitress has no types
    """One request. The connection closes behind the answer, as if the client had asked for it."""

    def __init__(self, channel: HTTPChannel, request: Any) -> None:
        super().__init__(channel, request)
        request.headers["CONNECTION"] = "close"


class _Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    task_class = _Task

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self.since = monotonic()
        super().__init__(*arguments, **more)

    def service(self) -> None:
        """Answer; the time for reading the answer begins then."""
        self.since = inf
        super().service()
        self.since = monotonic()


class _Server(TcpWSGIServer):  # type: ignore[misc]
    """One listening socket."""

    channel_class = _Channel

    def __init__(self, *arguments: Any, patience: float, **more: Any) -> None:
        self._patience = patience
        super().__init__(*arguments, **more)

    def handle_accept(self) -> None:
        """Accept all that wait, up to a number, instead of one."""
        for _ in range(_AT_ONCE):
            before = len(self.active_channels)
            super().handle_accept()
            if len(self.active_channels) == before or len(self._map) >= self.adj.connection_limit:
                return

    def maintenance(self, now: float) -> None:
        """Nothing: it is called while events are being collected, and a number of a descriptor that is closed then
        may be that of a new connection when they are handled. `close_late` is called in between.
        """

    def close_late(self) -> None:
        """Close connections whose time is over."""
        crowded = len(self._map) >= _CROWDED * self.adj.connection_limit
        limit = monotonic() - (_HASTE * self._patience if crowded else self._patience)
        for channel in list(self.active_channels.values()):
            if channel.since < limit and not channel.requests:
                channel.handle_close()  # marking it would wait until the client reads


def serve_for_ever(
    application: Callable[..., object], sockets: Sequence[socket], connections: int, patience: float, log: Log
) -> NoReturn:
    """Answer HTTP on listening sockets.

    Args:
        application: a WSGI application.
        connections: at the same time; the others wait.
        patience: seconds for sending a request, and again for reading the answer.
    """
    _forward(log)
    settings = Adjustments(
        sockets=list(sockets),
        threads=THREADS,
        connection_limit=connections,
        max_request_header_size=LARGEST_HEADER,
        max_request_body_size=1024,
        clear_untrusted_proxy_headers=False,  # they tell who is not on this machine
        log_socket_errors=False,
        expose_tracebacks=False,
        ident="tsds-stream",
    )
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(THREADS)
    shared: dict[int, object] = {}
    servers = [
        _Server(
            application, shared, True, one, dispatcher, settings, (one.family, one.type, one.proto, one.getsockname()),
            False, patience=patience,
        )
        for one in sockets
    ]  # fmt: skip
    looked = 0.0
    while True:
        wasyncore.loop(timeout=_LOOK_ROUND, map=shared, use_poll=True, count=1)
        if monotonic() - looked > _LOOK_ROUND:
            looked = monotonic()
            for server in servers:
                server.close_late()


def _forward(log: Log) -> None:
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a queue is no trouble
    logger = logging.getLogger("waitress")
    logger.addHandler(Forwarder(log))
    logger.setLevel(logging.WARNING)
    logger.propagate = False
