"""The WSGI application: requests in, answers out, the same headers on all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from io import BytesIO
from urllib.parse import parse_qsl

from tsds_stream.logs import Log
from tsds_stream.monitoring.serve.answers import Answer, Request, said
from tsds_stream.monitoring.serve.routes import Routes
from tsds_stream.monitoring.serve.security import HEADERS, Door, Environ

_METHODS = ("GET", "HEAD")


class Application:
    """Answers GET and HEAD.

    Args:
        door: decides what a client may see.
    """

    def __init__(self, routes: Routes, door: Door, log: Log) -> None:
        self._routes = routes
        self._door = door
        self._log = log

    def __call__(self, environ: Environ, start_response: Callable[..., object]) -> Iterable[bytes]:
        request = _request(environ, self._door)
        method = environ["REQUEST_METHOD"]
        if method in _METHODS:
            answer = self._answer(request)
        else:
            allow = (("Allow", ", ".join(_METHODS)),)
            answer = said(request, HTTPStatus.METHOD_NOT_ALLOWED, "There is nothing to change here.", headers=allow)
        headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body)))]
        start_response(f"{answer.status.value} {answer.status.phrase}", [*headers, *HEADERS, *answer.headers])
        if method == "HEAD":
            return ()
        # The bytes are shared by all clients that wait for them, instead of copied for each.
        shared: Iterable[bytes] = environ["wsgi.file_wrapper"](BytesIO(answer.body))
        return shared

    def _answer(self, request: Request) -> Answer:
        try:
            return self._routes.answer(request)
        except Exception as error:  # noqa: BLE001 - one answer fails, and is told of; the next may not
            self._log.error("answer failed", path=request.path[:100], error=str(error), kind=type(error).__name__)
            sentence = "This answer failed, which is a defect: the log of the run says how."
            return said(request, HTTPStatus.INTERNAL_SERVER_ERROR, sentence)


def _request(environ: Environ, door: Door) -> Request:
    return Request(
        path=_utf8(environ.get("PATH_INFO", "")),
        query=_query(environ.get("QUERY_STRING", "")),
        accept=environ.get("HTTP_ACCEPT", ""),
        access=door.access(environ),
    )


def _query(words: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(words, keep_blank_values=True, max_num_fields=20, errors="replace"))
    except ValueError:
        return {}


def _utf8(words: str) -> str:
    """What WSGI gives as Latin-1."""
    return words.encode("latin-1").decode(errors="replace")
