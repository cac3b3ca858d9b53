"""A TCP proxy before a broker that breaks what passes: on command, or at a request of a chosen kind.

with Proxy() as proxy, Broker(folder, advertised=proxy.port) as broker:
    proxy.target = broker.port
    proxy.before(END_TXN, proxy.cut)          # the commit never arrives
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

PRODUCE, FETCH, METADATA, OFFSET_FETCH = 0, 1, 3, 9
INIT_PRODUCER_ID, ADD_PARTITIONS_TO_TXN, ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT = 22, 24, 25, 26, 28


class Proxy:
    """Listens on `port` of 127.0.0.1 and passes everything on to `target`, a port as well.

    `cut` closes all connections and refuses new ones, `stall` keeps them and passes nothing, `heal` ends both.
    """

    def __init__(self) -> None:
        self.target = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._refusing = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._closed = False
        self._hooks: dict[int, Callable[[], object]] = {}
        self._answers: dict[int, Callable[[], object]] = {}
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def before(self, kind: int, action: Callable[[], object]) -> None:
        """Call `action` once, before the next request of that kind (its API key) is passed on."""
        self._hooks[kind] = action

    def after(self, kind: int, action: Callable[[], object]) -> None:
        """Call `action` once, after the next request of that kind was passed on and answered, before the answer is.

        The server has done what was asked, and the client does not know.
        """
        self._answers[kind] = action

    def cut(self) -> None:
        with self._lock:
            self._refusing = True
            for connection in self._open:
                _close(connection)
            self._open.clear()

    def stall(self) -> None:
        self._flowing.clear()

    def heal(self) -> None:
        self._refusing = False
        self._flowing.set()

    def close(self) -> None:
        self._closed = True
        self.cut()
        self._flowing.set()
        _close(self._server)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._closed:
                client, _ = self._server.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self._lock:
            if self._refusing:
                _close(client)
                _close(server)
                return
            self._open |= {client, server}
        asked: dict[int, int] = {}  # kind of the requests under way, by their number
        for source, sink, passing in ((client, server, self._request), (server, client, self._answer)):
            threading.Thread(target=self._pump, args=(source, sink, passing, asked), daemon=True).start()

    def _pump(
        self,
        source: socket.socket,
        sink: socket.socket,
        passing: Callable[[bytes, dict[int, int]], None],
        asked: dict[int, int],
    ) -> None:
        """Pass on whole messages: four bytes of length, then the message."""
        with suppress(OSError, EOFError):
            while True:
                head = _exactly(source, 4)
                body = _exactly(source, struct.unpack(">i", head)[0])
                passing(body, asked)
                self._flowing.wait()
                sink.sendall(head + body)
        for end in (source, sink):
            _close(end)
            with self._lock:
                self._open.discard(end)

    def _request(self, body: bytes, asked: dict[int, int]) -> None:
        kind, _, number = struct.unpack_from(">hhi", body)
        asked[number] = kind
        action = self._hooks.pop(kind, None)
        if action is not None:
            action()

    def _answer(self, body: bytes, asked: dict[int, int]) -> None:
        action = self._answers.pop(asked.pop(struct.unpack_from(">i", body)[0], -1), None)
        if action is not None:
            action()


def _exactly(source: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = source.recv(min(count - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
