"""The server that a run starts, told what to show; and documents that are of this moment."""

from __future__ import annotations

from pathlib import Path
from time import monotonic, sleep, time
from typing import Any
from urllib.request import urlopen

import orjson

from tests.engine_fakes import ListLog
from tests.monitoring.samples import NOW
from tsds_stream.monitoring.child import Server
from tsds_stream.monitoring.settings import MonitoringSettings

Json = dict[str, Any]

_YEAR = 366 * 86_400_000


class Pages:
    """A server of its own process; ends with the block."""

    def __init__(self, state: Path) -> None:
        self._server = Server(MonitoringSettings(listen="127.0.0.1:0"), state, ListLog())
        self.url = ""

    def __enter__(self) -> Pages:
        self.url = self._server.start()
        return self

    def __exit__(self, *of: object) -> None:
        self.close()

    def close(self) -> None:
        """No answers from now on."""
        self._server.close()

    def show(self, document: Any) -> None:
        """Send a document, and wait until it is what is answered with."""
        self._server.send(orjson.dumps(document))
        limit = monotonic() + 30
        while self.status().get("created") != document["created"]:
            assert monotonic() < limit, "the server does not take the document"
            sleep(0.02)

    def status(self) -> Json:
        """What /status.json says."""
        try:
            with urlopen(f"{self.url}status.json", timeout=30) as answer:
                return dict(orjson.loads(answer.read()))
        except OSError as error:
            if getattr(error, "code", None) == 503:  # nothing has come yet
                return {}
            raise


def fresh(document: Any, since: int = NOW) -> Any:
    """The same document with all its times moved, so that what was `since` is now."""
    return _moved(document, since, int(time() * 1000) - since)


def _moved(value: Any, since: int, by: int) -> Any:
    if isinstance(value, dict):
        return {key: _moved(each, since, by) for key, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, since, by) for each in value]
    is_time = isinstance(value, int) and not isinstance(value, bool) and abs(value - since) < _YEAR
    return value + by if is_time else value
