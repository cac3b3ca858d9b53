"""What a request asks, what is answered, and sentences as answers, for people and for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from tsds_stream.monitoring.page import message
from tsds_stream.monitoring.serve.security import Access

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Attributes:
        accept: the header, or "".
        access: what the client may see.
    """

    path: str
    query: Mapping[str, str]
    accept: str
    access: Access

    @property
    def wants_page(self) -> bool:
        """A person with a browser asks."""
        kinds = [kind.partition(";")[0].strip().lower() for kind in self.accept.split(",")]
        page = kinds.index("text/html") if "text/html" in kinds else len(kinds)
        data = kinds.index("application/json") if "application/json" in kinds else len(kinds)
        return page < data


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back, whole."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    headers: Headers = ()


def page(html: str, status: HTTPStatus = HTTPStatus.OK, headers: Headers = ()) -> Answer:
    """A page for a browser."""
    return Answer(html.encode(errors="replace"), "text/html; charset=utf-8", status, headers)


def said(request: Request, status: HTTPStatus, *sentences: str, headers: Headers = ()) -> Answer:
    """Sentences instead of what was asked for: as a page for a browser, as lines for anything else."""
    if request.wants_page:
        return page(message(status.phrase, *sentences), status, headers)
    return Answer(("\n".join(sentences) + "\n").encode(errors="replace"), status=status, headers=headers)
