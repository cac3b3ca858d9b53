"""A real embedding server on this machine that follows a script of misbehaviour, and behaves once it is used up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

DIMENSION = 8
Act = Callable[["Handler", list[str]], None]


def vector_of(text: str) -> list[float]:
    """What the server answers: 8 numbers that depend on the text alone."""
    digest = blake2b(text.encode(), digest_size=DIMENSION).digest()
    return [(byte - 127.5) / 128 for byte in digest]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: EmbeddingServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = body["inputs"] if "inputs" in body else body["input"]
        self.server.requests.append(body)
        self.server.paths.append(self.path)
        self.server.keys.append(self.headers.get("Authorization"))
        act = self.server.script.pop(0) if self.server.script else self.server.otherwise
        act(self, texts)

    def rows(self, rows: Sequence[Any]) -> None:
        """Answer 200 with `rows`, in the protocol that was asked for."""
        if "input" in self.server.requests[-1]:
            data = [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(rows)]
            self.send(200, json.dumps({"object": "list", "data": data}).encode())
        else:
            self.send(200, json.dumps(rows).encode())

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class EmbeddingServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Act] = []
        self.otherwise: Act = good
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.connections = 0
        self.released = threading.Event()  # ends the waiting of `silent`

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave early are part of the tests."""


@contextmanager
def running() -> Iterator[EmbeddingServer]:
    server = EmbeddingServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def good(handler: Handler, texts: list[str]) -> None:
    handler.rows([vector_of(text) for text in texts])


def status(code: int, body: bytes = b"", **headers: str) -> Act:
    return lambda handler, texts: handler.send(code, body, **headers)


def says(body: bytes) -> Act:
    return lambda handler, texts: handler.send(200, body)


def answers(rows: Callable[[list[str]], Sequence[Any]]) -> Act:
    """200 with other rows than the right ones."""
    return lambda handler, texts: handler.rows(rows(texts))


def silent(handler: Handler, texts: list[str]) -> None:
    """Never answers."""
    handler.server.released.wait(5)
    handler.close_connection = True


def dripping(handler: Handler, texts: list[str]) -> None:
    """Sends a byte now and then, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.server.released.wait(0.02):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def hangs_up_before_answering(handler: Handler, texts: list[str]) -> None:
    handler.close_connection = True


def hangs_up_in_the_middle(handler: Handler, texts: list[str]) -> None:
    body = json.dumps([vector_of(text) for text in texts]).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def endless(handler: Handler, texts: list[str]) -> None:
    """More than any honest answer has."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    chunk = b"10000\r\n" + b"[" * 65_536 + b"\r\n"
    for _ in range(200):
        handler.wfile.write(chunk)
    handler.wfile.write(b"0\r\n\r\n")


def chunked(handler: Handler, texts: list[str]) -> None:
    """The right answer, in pieces of seven bytes."""
    body = json.dumps([vector_of(text) for text in texts]).encode()
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for start in range(0, len(body), 7):
        piece = body[start : start + 7]
        handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    handler.wfile.write(b"0\r\n\r\n")


def refuses(*poisoned: str, code: int = 422) -> Act:
    """Refuses every request that holds a poisoned text."""

    def act(handler: Handler, texts: list[str]) -> None:
        if any(word in text for word in poisoned for text in texts):
            handler.send(code, b'{"error":"Input validation error","error_type":"Validation"}')
        else:
            good(handler, texts)

    return act


def shuffled(handler: Handler, texts: list[str]) -> None:
    """The right vectors with the right indexes, in another order."""
    order = np.random.default_rng(0).permutation(len(texts)).tolist()
    data = [{"index": i, "embedding": vector_of(texts[i])} for i in order]
    handler.send(200, json.dumps({"data": data}).encode())
