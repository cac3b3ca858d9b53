"""A server in a process of its own, as a run starts it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import orjson
import pytest

from tests.engine_fakes import ListLog
from tests.monitoring.samples import sample
from tests.monitoring.serve.asking import ask, eventually
from tsds_stream.monitoring.child import Server
from tsds_stream.monitoring.settings import MonitoringSettings

TOKEN = "a-token-that-nobody-guesses"


class Served:
    """A server and what it is fed with."""

    def __init__(self, url: str, server: Server, log: ListLog) -> None:
        self.url = url
        self.server = server
        self.log = log
        self.slowest = 0.0

    def tell(self, status: dict[str, Any]) -> None:
        """Send the first document, and wait until it is answered with."""
        self.send(status)
        eventually(lambda: ask(self.url, "/metrics").status == 200)

    def send(self, status: dict[str, Any]) -> None:
        began = monotonic()
        self.server.send(orjson.dumps(status))
        self.slowest = max(self.slowest, monotonic() - began)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """`serve(listen=..., token=..., server={...})`: a server on a free port that has a document."""
    with ExitStack() as stack:

        def start(server: dict[str, Any] | None = None, tell: bool = True, **settings: Any) -> Served:
            log = ListLog()
            chosen = MonitoringSettings(**{"listen": "127.0.0.1:0", **settings})
            one = Server(chosen, tmp_path / "state", log, **(server or {}))
            url = one.start()
            stack.callback(one.close)
            served = Served(url, one, log)
            if tell:
                served.tell(sample())
            return served

        yield start


@pytest.fixture
def feeding() -> Iterator[Callable[[Served], None]]:
    """`feeding(served)`: a document every few milliseconds, from a thread, until the test ends."""
    leaving = threading.Event()
    threads: list[threading.Thread] = []

    def feed(served: Served) -> None:
        while not leaving.wait(0.05):
            served.send(sample())

    def begin(served: Served) -> None:
        threads.append(threading.Thread(target=feed, args=(served,)))
        threads[-1].start()

    yield begin
    leaving.set()
    for thread in threads:
        thread.join()


@pytest.fixture(scope="module")
def served_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for many questions."""
    log = ListLog()
    server = Server(MonitoringSettings(listen="127.0.0.1:0"), tmp_path_factory.mktemp("state"), log)
    served = Served(server.start(), server, log)
    served.tell(sample())
    yield served
    server.close()
