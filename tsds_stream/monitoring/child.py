"""The process that serves HTTP, as the run sees it: started, fed, started again when it dies, ended."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Final

import orjson

from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.logs import Log
from tsds_stream.monitoring.child_process import ChildProcess
from tsds_stream.monitoring.settings import MonitoringSettings
from tsds_stream.records import Json

_STARTS_WITHIN: Final = 120.0  # seconds, on a machine that is busy
_GIVEN: Final = 0.5  # seconds that a document may take
_PATIENCE: Final = 30.0  # seconds without reading anything after which a process counts as stuck
_PAUSE: Final = 10.0  # seconds between two starts
_CLIENT_PATIENCE: Final = 15.0  # seconds that a client may take to send a request, and again to read the answer
_SHORTEST_TOKEN: Final = 16
_NEEDED: Final = ("waitress", "prometheus_client")


class Server:
    """Serves the status page and the metrics of a run from a process of its own.

    One thread at a time may use it.

    Args:
        settings: `listen` is set.
        state: the state directory, from which explanations are drawn.
        patience: seconds without reading after which the process counts as stuck.
        pause: seconds between two starts, at least.
        client_patience: seconds that a client may take to send a request, and again to read the answer.
    """

    def __init__(
        self,
        settings: MonitoringSettings,
        state: Path,
        log: Log,
        *,
        clock: Callable[[], float] = monotonic,
        patience: float = _PATIENCE,
        pause: float = _PAUSE,
        client_patience: float = _CLIENT_PATIENCE,
    ) -> None:
        self._settings = settings
        self._state = state
        self._log = log
        self._clock = clock
        self._patience = patience
        self._pause = pause
        self._client_patience = client_patience
        self._configuration: Json = {}
        self._child: ChildProcess | None = None
        self._began = clock()

    def start(self) -> str:
        """Begin to listen; returns the address for a browser.

        Raises:
            CommandError: a package is missing, the port cannot be had, or the token cannot be read.
        """
        _check_packages()
        assert self._settings.listen is not None
        self._configuration = {
            "listen": self._settings.listen,
            "token": token_of(self._settings),
            "state": str(self._state.resolve()),
            "parent": os.getpid(),
            "client_patience": self._client_patience,
        }
        child = self._spawn()
        try:
            answer = child.answer(_STARTS_WITHIN) or {"error": "the process that serves HTTP does not start"}
            if "error" in answer:
                raise CommandError(str(answer["error"]), ExitStatus.USAGE)
        except BaseException:
            child.kill()
            self._child = None
            raise
        address = str(answer["listening"])
        # Those who know the address find it again, also where any port was asked for.
        host, port = self._settings.listen.rpartition(":")[0], address.rstrip("/").rpartition(":")[2]
        self._configuration["listen"] = f"{host}:{port}"
        return address

    @property
    def pid(self) -> int | None:
        """Of the process, where there is one."""
        return None if self._child is None else self._child.pid

    def send(self, document: bytes) -> None:
        """Hand over a status document, one line. It takes a second at most, and raises nothing: when the process does
        not keep up, documents are left out; when it is stuck or gone, it is started again.
        """
        child = self._child
        if child is None:
            if self._clock() - self._began < self._pause:
                return
            try:
                child = self._spawn()
            except OSError as error:
                self._log.warning("the status page cannot be started again", error=error.strerror)
                return
        trouble = child.give(document, _GIVEN, self._patience if child.answered else _STARTS_WITHIN)
        if trouble is None and not child.answered:
            answer = child.answer(0.0) or {}
            trouble = answer.get("error")
        if trouble is not None:
            self._log.warning("the status page is started again", why=trouble)
            child.kill()
            self._child = None

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def _spawn(self) -> ChildProcess:
        self._began = self._clock()
        self._child = ChildProcess(orjson.dumps(self._configuration), self._log, self._clock)
        return self._child


def token_of(settings: MonitoringSettings) -> str | None:
    """The bearer token, from the settings or its file. Raises `CommandError` when the file has none."""
    if settings.token_file is None:
        return None if settings.token is None else settings.token.get_secret_value()
    where = f"[monitoring] token_file: {settings.token_file}"
    try:
        token = settings.token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise CommandError(f"{where} cannot be read: {reason}", ExitStatus.USAGE) from None
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        sentence = f"{where} does not hold a token: one word of {_SHORTEST_TOKEN} ASCII characters or more is needed"
        raise CommandError(sentence, ExitStatus.USAGE)
    return token


def _check_packages() -> None:
    missing = [name.replace("_", "-") for name in _NEEDED if find_spec(name) is None]
    if missing:
        packages = f"the package {missing[0]}" if len(missing) == 1 else f"the packages {' and '.join(missing)}"
        sentence = f"[monitoring] listen needs {packages}: pip install 'tsds-stream[monitoring]'"
        raise CommandError(sentence, ExitStatus.USAGE)
