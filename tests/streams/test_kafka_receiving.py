"""Reading from sockets in large pieces: everything arrives, and ends and errors are told as before."""

from __future__ import annotations

import errno
import socket
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("kafka", reason="needs the extra `kafka`")

from kafka.net import transport

from tsds_stream.streams.kafka.client import consumer

KINDS = [transport.KafkaTCPTransport, transport.KafkaSSLTransport]
assert consumer  # whose import replaces the method


class Sock:
    """A socket that answers as it is told, and counts."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[int] = []

    def recv(self, size: int) -> bytes:
        self.asked.append(size)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def received(kind: type, sock: Any) -> tuple[bytes, Exception | None]:
    return kind._sock_recv(SimpleNamespace(_sock=sock))  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("kind", KINDS)
def test_the_library_is_built_as_we_know_it(kind: type):
    assert hasattr(vars(kind)["_sock_recv"], "__wrapped__")


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_arrived_is_read_in_few_large_pieces(kind: type):
    sock = Sock(b"a" * 100_000, b"b" * 5, BlockingIOError())
    assert received(kind, sock) == (b"a" * 100_000 + b"b" * 5, None)
    assert len(sock.asked) == 3
    assert min(sock.asked) > 100_000


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_there_is_no_error(kind: type):
    assert received(kind, Sock(BlockingIOError())) == (b"", None)


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_is_an_error_after_what_came_before_it(kind: type):
    data, error = received(kind, Sock(b"last words", b""))
    assert data == b"last words"
    assert "disconnected" in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_the_librarys_to_tell(kind: type):
    data, error = received(kind, Sock(b"last words", OSError(errno.ETIMEDOUT, "timed out")))
    assert data == b"last words"
    assert "timed out" in str(error)


def test_a_real_socket_is_emptied():
    one, other = socket.socketpair()
    with one, other:
        other.setblocking(False)
        one.sendall(b"x" * 60_000)
        assert received(KINDS[0], other) == (b"x" * 60_000, None)
