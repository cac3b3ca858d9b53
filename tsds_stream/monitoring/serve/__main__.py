"""`python -m tsds_stream.monitoring.serve`: started by a run, not by people.

Reads its configuration from the first line of stdin (never from the command line, which others can see), then one
status document per line. Says on one line of stdout where it listens, or why it does not. Ends with its input.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from tsds_stream.logs import LineLog, Log
from tsds_stream.monitoring.serve.calm import CalmLog
from tsds_stream.monitoring.serve.newest import Newest

if TYPE_CHECKING:
    from tsds_stream.records import Json

_LOOK_ROUND: Final = 0.5  # seconds


def main() -> None:
    """Serve until stdin ends, or the process that started this one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run decides when it ends, and this one ends with it
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line = sys.stdin.buffer.readline()
    if not line:
        return
    configuration: Json = orjson.loads(line)
    log = CalmLog(LineLog(form="json"))
    newest = Newest()
    _begin(configuration, newest, log)
    reader = threading.Thread(target=_read, args=(newest, log), daemon=True)
    reader.start()
    # A run that was killed while a process that it forked still holds the pipe leaves no end of input.
    while reader.is_alive() and os.getppid() == configuration["parent"]:
        reader.join(_LOOK_ROUND)
    os._exit(0)  # threads that are answering are not waited for


def _begin(configuration: Json, newest: Newest, log: Log) -> None:
    """Listen, tell where, and answer from now on."""
    from tsds_stream.monitoring.serve.app import Application
    from tsds_stream.monitoring.serve.explaining import Explainer
    from tsds_stream.monitoring.serve.limits import serve_for_ever
    from tsds_stream.monitoring.serve.listening import ListenError, patiently, room_for_connections, split, url_of
    from tsds_stream.monitoring.serve.routes import Routes
    from tsds_stream.monitoring.serve.security import Door

    listen = configuration["listen"]
    try:
        sockets = patiently(listen)
    except ListenError as error:
        _tell({"error": str(error)})
        sys.exit(1)
    door = Door(configuration["token"], [one.getsockname()[0] for one in sockets], split(listen)[0])
    routes = Routes(newest, Explainer(Path(configuration["state"])))
    application = Application(routes, door, log)
    connections = room_for_connections()

    def serve() -> None:
        try:
            serve_for_ever(application, sockets, connections, configuration["client_patience"], log)
        except Exception as error:  # noqa: BLE001 - it is told, and a new process takes over
            log.error("status server failed", error=str(error), kind=type(error).__name__)
        os._exit(1)

    threading.Thread(target=serve, name="tsds-serve", daemon=True).start()
    _tell({"listening": url_of(listen, sockets)})


def _read(newest: Newest, log: Log) -> None:
    for line in sys.stdin.buffer:
        try:
            newest.put(line)
        except orjson.JSONDecodeError as error:
            log.warning("a status document is damaged", error=str(error))


def _tell(answer: Json) -> None:
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
