"""Who may see what: texts of documents are for clients on this machine, or with the token."""

from __future__ import annotations

import hmac
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from ipaddress import ip_address
from typing import Any, Final

Environ = Mapping[str, Any]

HEADERS: Final = (
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
# What a proxy adds to a request. One who forwards for others is on this machine, and those others are not.
_PROXY: Final = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP")
_PROXY_PREFIX: Final = "HTTP_X_FORWARDED"


class Access(Enum):
    """What a client may see."""

    EVERYTHING = auto()
    NO_TEXT = auto()  # there is no token that it could show
    TOKEN_NEEDED = auto()
    TOKEN_WRONG = auto()
    FOREIGN_HOST = auto()  # a name that is not ours leads here: a page elsewhere may be behind the request


class Door:
    """Decides what a client may see.

    Args:
        token: None: there is none.
        addresses: on which connections are accepted, as numbers.
        host: the name or number in the configuration that led to them.
    """

    def __init__(self, token: str | None, addresses: Iterable[str], host: str) -> None:
        self._token = None if token is None else token.encode()
        self._local = all(is_loopback(address) for address in addresses)
        self._hosts = {"localhost", host.lower()}

    def access(self, environ: Environ) -> Access:
        """What the client of a WSGI environment may see."""
        given = _credentials(environ.get("HTTP_AUTHORIZATION", ""))
        if self._token is not None and given is not None:
            return Access.EVERYTHING if hmac.compare_digest(given, self._token) else Access.TOKEN_WRONG
        foreign = not self._is_ours(environ.get("HTTP_HOST", ""))
        if self._local and not foreign and not _is_forwarded(environ) and is_loopback(environ["REMOTE_ADDR"]):
            return Access.EVERYTHING
        if self._token is not None:
            return Access.TOKEN_NEEDED
        # A browser sends the name that the address bar shows, whatever it was made to lead to.
        return Access.FOREIGN_HOST if self._local and foreign else Access.NO_TEXT

    def _is_ours(self, host: str) -> bool:
        name = host_of(host)
        return not name or name in self._hosts or is_loopback(name)


def host_of(host: str) -> str:
    """The name in a header "Host", without port and brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def is_loopback(address: str) -> bool:
    """Whether these digits are an address that only this machine itself can reach."""
    try:
        number = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(number, "ipv4_mapped", None)
    return bool((mapped or number).is_loopback)


def _is_forwarded(environ: Environ) -> bool:
    return any(name in environ for name in _PROXY) or any(name.startswith(_PROXY_PREFIX) for name in environ)


def _credentials(header: str) -> bytes | None:
    """The token of a header "Authorization"; for a browser, which asks for name and password, it is the password."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode("latin-1")
    if scheme.lower() == "basic":
        try:
            return b64decode(rest.strip(), validate=True).partition(b":")[2]
        except (NotBase64, ValueError):
            return b""
    return None
