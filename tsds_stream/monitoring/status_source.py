"""Where `tsds-stream status` gets its document: from a running process by HTTP, or from a state directory."""

from __future__ import annotations

import http.client
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

import orjson

from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.lock import holder_of
from tsds_stream.monitoring.health import Health, judge, judge_stored, starting
from tsds_stream.monitoring.status import FORMAT
from tsds_stream.monitoring.status_file import NAME
from tsds_stream.records import Json
from tsds_stream.stored_state import lock_of
from tsds_stream.terminal import snippet

_TIMEOUT = 5.0  # seconds
_LARGEST = 64 * 2**20  # bytes
_STARTING = "it is starting"  # says a process that has no document yet
_LOOPBACK = ("localhost", "127.", "::1")


class Look(NamedTuple):
    """One look at a run.

    Attributes:
        status: its document; None: it does not answer, and `health` says so.
        now: the time by which to judge it, milliseconds.
    """

    status: Json | None
    health: Health
    now: int


def look_at_directory(root: Path, now: int) -> Look:
    """What the state directory knows. Raises `CommandError` when it knows nothing."""
    path = root / NAME
    try:
        document = path.read_bytes()
    except FileNotFoundError:
        holder = holder_of(lock_of(root))
        if holder is None:
            raise CommandError(_nothing_in(root), ExitStatus.STATE) from None
        return Look(None, starting(holder), now)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", ExitStatus.STATE) from None
    holder = holder_of(lock_of(root))
    status = parsed(document, str(path))
    return Look(status, judge_stored(status, now, holder), now)


def look_at_url(url: str, token: str | None) -> Look:
    """What a running process answers. Nobody there is an answer too: it is down.

    Raises:
        CommandError: something else answers, or wants a token.
    """
    address = address_of(url)
    request = Request(address, headers={"Accept": "application/json"})
    if token is not None:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with _opener(address).open(request, timeout=_TIMEOUT) as answer:
            document, date = answer.read(_LARGEST + 1), answer.headers.get("Date")
    except HTTPError as error:
        with error:
            return _refused(address, error, token is not None)
    except (URLError, OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            why = f"nothing came within {_TIMEOUT:.0f} s"
        else:
            why = (getattr(reason, "strerror", None) or str(reason) or type(reason).__name__).lower()
        action = "See whether the process runs, and listens there ([monitoring] listen)."
        return Look(None, Health("down", f"Down: {address} does not answer: {why}. {action}"), _now())
    if len(document) > _LARGEST:
        raise CommandError(f"{address} answers with more than a status document can be", ExitStatus.INPUT)
    status, now = parsed(document, address), _moment(date)
    return Look(status, judge(status, now), now)


def parsed(document: bytes, place: str) -> Json:
    """A status document that this version can read. Raises `CommandError`."""
    try:
        found: Any = orjson.loads(document)
    except orjson.JSONDecodeError:
        found = None
    form = found.get("format") if isinstance(found, dict) else None
    if not isinstance(form, int) or "process" not in found:
        raise CommandError(f"{place} is not a status document of tsds-stream", ExitStatus.INPUT)
    if form != FORMAT:
        version = found.get("version", "another version")
        raise CommandError(
            f"{place} was written by tsds-stream {version} in format {form}, and this one reads format {FORMAT}: use "
            "the same version for both",
            ExitStatus.INPUT,
        )
    status: Json = found
    return status


def address_of(url: str) -> str:
    """The address of the document: scheme and path may be left out. Raises `CommandError`."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise CommandError(f"--url: {url} is no address such as http://127.0.0.1:9464", ExitStatus.USAGE)
    path = parts.path if parts.path.endswith(".json") else f"{parts.path.rstrip('/')}/{NAME}"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _refused(address: str, error: HTTPError, with_token: bool) -> Look:
    """What an answer other than 200 means. Raises `CommandError` where it says nothing of the run."""
    said = snippet(error.read(1000).decode(errors="replace"), 300)
    if error.code == 503 and _STARTING in said:
        return Look(None, Health("healthy", f"Healthy: starting; {address} has no status to tell yet."), _now())
    if error.code in (502, 503, 504):  # of something in between
        return Look(None, Health("down", f"Down: nothing answers behind {address} (HTTP status {error.code})."), _now())
    why = {
        401: "does not accept this token"
        if with_token
        else "wants a token: give --token-file FILE, or set TSDS_STREAM_MONITORING__TOKEN",
        403: f"refuses: {said}",
        404: "is not there (404): is this the address of [monitoring] listen?",
    }
    otherwise = f"answers with HTTP status {error.code}, and not with a status document"
    raise CommandError(f"{address} {why.get(error.code, otherwise)}", ExitStatus.INPUT) from None


def _nothing_in(root: Path) -> str:
    if not root.is_dir():
        return f"{root} does not exist; --directory names the state directory of a run, --url asks a running process"
    return (
        f"{root} has no {NAME}: no run has begun there, or it is not a state directory (--directory, or "
        "state.directory of the configuration)"
    )


class _NoRedirects(HTTPRedirectHandler):
    """A token must not travel to another host."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def _opener(address: str) -> OpenerDirector:
    host = urlsplit(address).hostname or ""
    direct = [ProxyHandler({})] if host.startswith(_LOOPBACK) else []
    return build_opener(_NoRedirects, *direct)


def _moment(date: str | None) -> int:
    """The time of the machine that answers, so that clocks need not agree."""
    try:
        there = int(parsedate_to_datetime(date).timestamp() * 1000) if date else 0
    except ValueError:
        there = 0
    here = _now()
    return there if there and abs(there - here) > 2000 else here  # the header has whole seconds


def _now() -> int:
    return int(time() * 1000)
