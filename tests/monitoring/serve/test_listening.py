"""Addresses to listen on, and sentences when they cannot be had."""

from __future__ import annotations

import resource
import socket
import threading

import pytest

from tsds_stream.monitoring.serve.listening import (
    ListenError,
    patiently,
    room_for_connections,
    sockets_of,
    split,
    url_of,
)


def test_any_free_port_is_told():
    sockets = sockets_of("127.0.0.1:0")
    port = sockets[0].getsockname()[1]
    assert url_of("127.0.0.1:0", sockets) == f"http://127.0.0.1:{port}/"
    for one in sockets:
        one.close()


def test_a_name_is_listened_on_at_all_its_addresses_with_one_port():
    sockets = sockets_of("localhost:0")
    assert len({one.getsockname()[1] for one in sockets}) == 1
    assert {one.getsockname()[0] for one in sockets} <= {"127.0.0.1", "::1"}
    for one in sockets:
        one.close()


def test_a_port_that_is_taken_is_a_sentence_with_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ListenError) as error:
            sockets_of(f"127.0.0.1:{port}")
    assert f'[monitoring] listen = "127.0.0.1:{port}": something else listens on port {port} already' in str(
        error.value
    )
    assert "stop it, or choose another port" in str(error.value)


@pytest.mark.parametrize(
    ("listen", "why"),
    [("198.51.100.7:9464", "this machine has no such address"), ("no-such-host.invalid:9464", "is not known here")],
)
def test_an_address_that_is_not_ours_is_a_sentence(listen: str, why: str):
    with pytest.raises(ListenError, match=why):
        sockets_of(listen)


def test_brackets_are_not_of_the_address():
    assert split("[::1]:80") == ("::1", 80)
    assert split("host.example:0") == ("host.example", 0)


def test_there_is_room_for_a_thousand_clients_and_more_where_the_system_allows_it():
    room = room_for_connections()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert room >= 1900 or room == hard - 128


def test_a_port_that_is_just_being_let_go_of_is_waited_for():
    taken = sockets_of("127.0.0.1:0")[0]
    port = taken.getsockname()[1]
    with pytest.raises(ListenError, match="something else listens"):
        patiently(f"127.0.0.1:{port}", tries=2, pause=0.0)
    letting_go = threading.Timer(0.05, taken.close)
    letting_go.start()
    try:
        (mine,) = patiently(f"127.0.0.1:{port}", tries=1000, pause=0.01)
        mine.close()
    finally:
        letting_go.join()
