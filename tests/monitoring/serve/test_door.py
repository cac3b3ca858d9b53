"""Who may see what."""

from __future__ import annotations

from base64 import b64encode

import pytest

from tests.monitoring.serve.conftest import TOKEN
from tsds_stream.monitoring.serve.security import Access, Door, host_of, is_loopback

EVERYTHING, NO_TEXT, NEEDED, WRONG, FOREIGN = (
    Access.EVERYTHING, Access.NO_TEXT, Access.TOKEN_NEEDED, Access.TOKEN_WRONG, Access.FOREIGN_HOST,
)  # fmt: skip
LOCAL, EVERYWHERE = ("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "0.0.0.0")


def access(listen: tuple[str, str], token: str | None, client: str = "127.0.0.1", **headers: str) -> Access:
    door = Door(token, [listen[0]], listen[1])
    given = {"HTTP_" + name.upper(): value for name, value in headers.items()}
    return door.access({"REMOTE_ADDR": client, "HTTP_HOST": "127.0.0.1:9464", **given})


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_client_on_this_machine_sees_everything(token: str | None):
    assert access(LOCAL, token) is EVERYTHING
    assert access(LOCAL, token, host="localhost:9464") is EVERYTHING
    assert access(("::1", "::1"), token, "::1", host="[::1]:9464") is EVERYTHING
    assert access(("127.0.0.1", "here.example"), token, host="here.example") is EVERYTHING


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "x_forwarded_host", "x_real_ip", "via"])
def test_whoever_is_behind_a_proxy_is_not_on_this_machine(header: str):
    assert access(LOCAL, None, **{header: "127.0.0.1"}) is NO_TEXT
    assert access(LOCAL, TOKEN, **{header: "127.0.0.1"}) is NEEDED
    assert access(LOCAL, TOKEN, **{header: "192.0.2.1"}, authorization=f"Bearer {TOKEN}") is EVERYTHING


def test_a_port_that_is_open_to_others_trusts_nobody_for_an_address():
    for client in ("127.0.0.1", "192.0.2.1", "::ffff:127.0.0.1"):
        assert access(EVERYWHERE, None, client) is NO_TEXT
        assert access(EVERYWHERE, TOKEN, client) is NEEDED


def test_the_token_opens():
    assert access(EVERYWHERE, TOKEN, authorization=f"Bearer {TOKEN}") is EVERYTHING
    assert access(EVERYWHERE, TOKEN, authorization=f"bearer  {TOKEN} ") is EVERYTHING


def test_a_browser_gives_the_token_as_password():
    words = b64encode(f"anybody:{TOKEN}".encode()).decode()
    assert access(EVERYWHERE, TOKEN, authorization=f"Basic {words}") is EVERYTHING


@pytest.mark.parametrize(
    "given",
    [
        "Bearer", "Bearer ", "Bearer x", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Bearer {TOKEN}, Bearer {TOKEN}",
        "Bearer \xff\xfe", "Basic", "Basic !", "Basic " + b64encode(TOKEN.encode()).decode(), "Basic \xff",
        "Basic " + b64encode(f"{TOKEN}:".encode()).decode(),
    ],
)  # fmt: skip
def test_another_token_does_not(given: str):
    assert access(EVERYWHERE, TOKEN, authorization=given) is WRONG
    assert access(LOCAL, TOKEN, authorization=given) is WRONG


def test_credentials_of_another_kind_are_not_a_token():
    assert access(EVERYWHERE, TOKEN, authorization=f"Digest {TOKEN}") is NEEDED
    assert access(EVERYWHERE, TOKEN, authorization=TOKEN) is NEEDED


def test_where_there_is_no_token_none_is_looked_at():
    assert access(LOCAL, None, authorization="Bearer x") is EVERYTHING
    assert access(EVERYWHERE, None, authorization="Bearer x") is NO_TEXT
    assert access(EVERYWHERE, None, authorization="Bearer ") is NO_TEXT


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9464", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_a_name_that_leads_here_from_elsewhere_is_refused(host: str):
    assert access(LOCAL, None, host=host) is FOREIGN
    assert access(LOCAL, TOKEN, host=host) is NEEDED
    assert access(LOCAL, TOKEN, host=host, authorization=f"Bearer {TOKEN}") is EVERYTHING


def test_a_port_that_is_open_to_others_has_any_name():
    assert access(EVERYWHERE, None, "192.0.2.1", host="daemon.example:9464") is NO_TEXT


def test_the_name_of_a_host_has_no_port():
    names = {"a:1": "a", "A.example": "a.example", "[::1]:80": "::1", "[::1]": "::1", "::1": "::1", "": "", "a:": "a"}
    assert {given: host_of(given) for given in names} == names


def test_loopback_is_what_only_this_machine_reaches():
    assert all(map(is_loopback, ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "localhost", ""]))
