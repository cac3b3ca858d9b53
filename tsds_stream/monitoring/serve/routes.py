"""What there is to ask for, and who may ask."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from time import time
from typing import TYPE_CHECKING, Final

import orjson
from prometheus_client.exposition import choose_encoder

from tsds_stream.monitoring.exposition import render as render_metrics
from tsds_stream.monitoring.health import Health, judge
from tsds_stream.monitoring.page import asset, layout, tag
from tsds_stream.monitoring.page import render as render_page
from tsds_stream.monitoring.serve.answers import Answer, Headers, Request, page, said
from tsds_stream.monitoring.serve.explaining import CannotExplainError, Explainer, NotNowError, UnknownError
from tsds_stream.monitoring.serve.explanation_page import as_json, as_page
from tsds_stream.monitoring.serve.newest import Kept, Newest
from tsds_stream.monitoring.serve.probes import alive, lacking
from tsds_stream.monitoring.serve.security import Access

if TYPE_CHECKING:
    from tsds_stream.records import Json

Route = Callable[[Request], Answer]

PLACES: Final = {
    "/": "the status page",
    "/status.json": "the same as JSON",
    "/explain?set=NAME&id=ID": "why a document is selected or not",
    "/metrics": "for Prometheus",
    "/healthz": "whether the main loop turns",
    "/readyz": "whether a selection is there",
}
_WHY_NO_TEXT: Final = (
    "Texts of documents are shown on the machine itself, when [monitoring] listen is an address of this machine only, "
    "or with the bearer token, where one is configured."
)
_STARTING: Final = Health("healthy", "Healthy: starting; nothing has come from the stream yet.")
_CHALLENGE: Final = (("WWW-Authenticate", 'Bearer realm="tsds-stream", Basic realm="any name, and the token"'),)
_OPENMETRICS: Final = "application/openmetrics-text"
_LATER: Final = (("Retry-After", "5"),)


class Routes:
    """Answers requests.

    Args:
        newest: where status documents come from.
        wall: seconds since the epoch.
    """

    def __init__(self, newest: Newest, explainer: Explainer, wall: Callable[[], float] = time) -> None:
        self._newest = newest
        self._kept = Kept(newest)
        self._explainer = explainer
        self._wall = wall
        self._open: dict[str, Route] = {"/metrics": self._metrics, "/healthz": self._healthz, "/readyz": self._readyz}
        self._guarded: dict[str, Route] = {
            "/": self._page,
            "/status.json": self._status,
            "/explain": self._explain,
        }

    def answer(self, request: Request) -> Answer:
        """The answer to a GET."""
        if request.access is Access.FOREIGN_HOST:
            return said(
                request,
                HTTPStatus.FORBIDDEN,
                "Only names of this machine are answered to, such as localhost: the request names another host.",
                "A proxy in front of this port should pass on another Host, or a token be configured ([monitoring] "
                "token).",
            )
        if request.path in self._open:
            return self._open[request.path](request)
        file = asset(request.path)
        if file is not None:
            return Answer(file[1], file[0])
        if request.path not in self._guarded:
            return _not_found(request)
        if request.access is Access.TOKEN_WRONG:
            return said(request, HTTPStatus.UNAUTHORIZED, "This is not the token of this run.", headers=_CHALLENGE)
        if request.access is Access.TOKEN_NEEDED:
            return said(
                request,
                HTTPStatus.UNAUTHORIZED,
                "The token of this run is needed ([monitoring] token): Authorization: Bearer TOKEN.",
                "In a browser: any name, and the token as password.",
                headers=_CHALLENGE,
            )
        return self._guarded[request.path](request)

    def _metrics(self, request: Request) -> Answer:
        if self._newest.snapshot is None:
            return _nothing_yet(request)
        accept = _format(request.accept)
        _, kind = choose_encoder(accept)
        return Answer(self._kept.get(("metrics", kind), lambda status: render_metrics(status or {}, accept)[0]), kind)

    def _healthz(self, request: Request) -> Answer:
        good, sentence = alive(self._newest)
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer(f"{sentence}\n".encode(), status=status)

    def _readyz(self, request: Request) -> Answer:
        snapshot = self._newest.snapshot
        found = lacking(None if snapshot is None else snapshot.status)
        if not found:
            return Answer(b"ready\n")
        lines = "".join(f"{sentence}\n" for sentence in found)
        return Answer(f"not ready:\n{lines}".encode(), status=HTTPStatus.SERVICE_UNAVAILABLE, headers=_LATER)

    def _status(self, request: Request) -> Answer:
        if self._newest.snapshot is None:
            return _nothing_yet(request)
        allowed = request.access is Access.EVERYTHING
        body = self._kept.get(("status", allowed), lambda status: self._as_json(status or {}, allowed))
        return Answer(body, "application/json")

    def _as_json(self, status: Json, allowed: bool) -> bytes:
        shown = status if allowed else without_texts(status)
        return orjson.dumps({**shown, "health": judge(status, self._now()).as_json()})

    def _page(self, request: Request) -> Answer:
        allowed = request.access is Access.EVERYTHING

        def make(status: Json | None) -> bytes:
            now = self._now()
            shown = status if status is None or allowed else without_texts(status)
            why = "" if allowed else _WHY_NO_TEXT
            health = _STARTING if status is None and alive(self._newest)[0] else judge(status, now)
            return render_page(shown, health, now, allow_text=allowed, why_no_text=why).encode(errors="replace")

        return Answer(self._kept.get(("page", allowed), make), "text/html; charset=utf-8")

    def _explain(self, request: Request) -> Answer:
        if request.access is not Access.EVERYTHING:
            return said(request, HTTPStatus.FORBIDDEN, "Explanations are not given here.", _WHY_NO_TEXT)
        document = request.query.get("id")
        if not document:
            return said(request, HTTPStatus.BAD_REQUEST, "Say which document: /explain?set=NAME&id=ID.")
        try:
            explained = self._explainer.explain(request.query.get("set") or None, document)
        except UnknownError as error:
            return said(request, HTTPStatus.NOT_FOUND, str(error))
        except NotNowError as error:
            return said(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=_LATER)
        except CannotExplainError as error:
            return said(request, HTTPStatus.BAD_REQUEST, str(error))
        if request.wants_page:
            return page(as_page(explained, self._now()))
        body = orjson.dumps(as_json(explained), option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
        return Answer(body, "application/json")

    def _now(self) -> int:
        return int(self._wall() * 1000)


def without_texts(status: Json) -> Json:
    """The document without a word of the documents that it tells of."""
    return {**status, "sets": {name: _without_texts(one) for name, one in status["sets"].items()}}


def _without_texts(one: Json) -> Json:
    watch = one.get("watch")
    if not watch:
        return one
    lists = {
        field: [{**member, "text": None} for member in watch[field]]
        for field in ("entered", "left")
        if watch.get(field)
    }
    return {**one, "watch": {**watch, **lists}}


def _format(accept: str) -> str:
    """One of two headers that ask for the same as this one: clients may think of any number of versions."""
    try:
        _, kind = choose_encoder(accept)
    except (ValueError, TypeError):  # a version that is no number
        return ""
    return f"{_OPENMETRICS}; version=1.0.0" if kind.startswith(_OPENMETRICS) else ""


def _not_found(request: Request) -> Answer:
    status, title = HTTPStatus.NOT_FOUND, "Nothing is at this address"
    if not request.wants_page:
        return said(request, status, f"{title}. There is:", *(f"  {path}  {what}" for path, what in PLACES.items()))
    links = [(path.partition("?")[0], what) for path, what in PLACES.items()]
    listed = tag("ul", *(tag("li", tag("a", path, href=path), f" {what}") for path, what in links))
    body = tag("section", tag("h1", title), tag("p", "There is:"), listed, class_="message")
    return page(layout(title, body), status)


def _nothing_yet(request: Request, headers: Headers = _LATER) -> Answer:
    return said(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Nothing has come from the stream yet: it is starting.",
        headers=headers,
    )
