"""One kept-alive connection that posts JSON, with a deadline and a limit on the answer."""

from __future__ import annotations

import http.client
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tsds_stream.embedding.base import EmbedderError


class Answer(NamedTuple):
    """What a server said."""

    status: int
    retry_after: str | None  # the header
    body: bytes


class ConnectionFailed(Exception):  # noqa: N818 -- named for what happened
    """No whole answer arrived in time; another attempt may fare better."""


class Key:
    """The secret of a server, read anew for each request so that it can be replaced; it never shows in a message.

    Raises (when called):
        EmbedderError: the variable or the file is missing, empty, or holds what no HTTP header can carry.
    """

    def __init__(self, variable: str | None, file: Path | None) -> None:
        self._variable = variable
        self._file = file

    def __call__(self) -> str | None:
        if self._variable is not None:
            value = os.environ.get(self._variable, "")
            where = f"the environment variable {self._variable} (embedder.api_key_env)"
        elif self._file is not None:
            where = f"the file {self._file} (embedder.api_key_file)"
            try:
                value = self._file.read_text(encoding="utf-8", errors="replace")
            except OSError as error:
                raise EmbedderError(f"The key cannot be read from {where}: {error.strerror}.") from None
        else:
            return None
        value = value.strip()
        if not value or not value.isascii() or not value.isprintable():
            raise EmbedderError(f"The key in {where} must be one line of printable ASCII characters, and not empty.")
        return value


class JsonClient:
    """Posts JSON to one URL. Not for several threads at once; environment variables for proxies are not read.

    Args:
        url: http(s)://host[:port]/path
        timeout: seconds for one request, from connecting to the last byte of the answer.
        clock: seconds that only go forward.
    """

    def __init__(self, url: str, timeout: float, key: Key, clock: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(url)
        if parts.hostname is None:
            raise EmbedderError("The url of the embedding server names no host.")
        self._host, self._port, self._secure = parts.hostname, parts.port, parts.scheme == "https"
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout = timeout
        self._key = key
        self._clock = clock
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, limit: int) -> Answer:
        """Send `body`; an answer of more than `limit` bytes is not read to its end.

        Raises:
            ConnectionFailed: refused, reset, timed out, cut short, too long, or not HTTP.
            EmbedderError: the key is unusable, or the server's certificate is not trusted.
        """
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        key = self._key()
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        reused = self._connection is not None
        try:
            try:
                return self._exchange(body, headers, limit)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if not reused:
                    raise
                self.close()  # the server closed an idle connection, which says nothing about its health
                return self._exchange(body, headers, limit)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise EmbedderError(
                f"The certificate of {self._host} is not trusted ({error.verify_message}): correct embedder.url, or "
                "add the certificate of its authority to the system or to SSL_CERT_FILE."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ConnectionFailed(f"{type(error).__name__}: {error}") from error
        except BaseException:
            self.close()  # interrupted in the middle of an answer: its rest must not be taken for the next one
            raise

    def _exchange(self, body: bytes, headers: dict[str, str], limit: int) -> Answer:
        deadline = self._clock() + self._timeout
        connection = self._connection = self._connection or self._connect()
        if connection.sock is not None:
            connection.sock.settimeout(self._timeout)
        connection.request("POST", self._path, body, headers)
        socket = connection.sock
        response = connection.getresponse()
        expected = response.length  # None: chunked, or until the connection closes
        content = bytearray()
        while expected is None or len(content) < expected:
            remaining = deadline - self._clock()
            if remaining <= 0:
                raise TimeoutError(f"no whole answer within {self._timeout:g} seconds")
            if socket is not None:  # None: the server said that it will close the connection
                socket.settimeout(remaining)
            part = response.read1(65_536)
            if not part:
                break
            content += part
            if len(content) > limit:
                raise http.client.HTTPException(f"the answer is longer than {limit} bytes")
        if expected is not None and len(content) < expected:
            raise http.client.IncompleteRead(bytes(content), expected - len(content))
        retry_after, closing = response.getheader("Retry-After"), response.will_close
        response.close()
        if closing:
            self.close()
        return Answer(response.status, retry_after, bytes(content))

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
