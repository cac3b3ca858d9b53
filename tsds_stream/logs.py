"""Structured logs: one event per line, as key=value for people or as JSON for machines."""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from time import time
from typing import Literal, Protocol, TextIO

import orjson

Level = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]

_ORDER: dict[str, int] = {"debug": 0, "info": 1, "warning": 2, "error": 3}
_BARE = re.compile(r"[^\s\"'=\\]+")


class Log(Protocol):
    """What the engine needs of a log: an event name, which never varies, and fields, which do."""

    def debug(self, event: str, /, **fields: object) -> None: ...
    def info(self, event: str, /, **fields: object) -> None: ...
    def warning(self, event: str, /, **fields: object) -> None: ...
    def error(self, event: str, /, **fields: object) -> None: ...


class LineLog:
    """Writes `time level event key=value …` (or one JSON object) per event to a text stream, stderr by default.

    A log must not stop the program that it describes: when the stream is gone, lines are dropped and counted.
    """

    def __init__(
        self,
        level: Level = "info",
        form: LogFormat = "text",
        stream: TextIO | None = None,
        clock: Callable[[], float] = time,
        without: Collection[str] = (),
    ) -> None:
        self._least = _ORDER[level]
        self._render = _as_json if form == "json" else _as_text
        self._stream = stream
        self._clock = clock
        self._without = without  # events that somebody else tells
        self._lock = threading.Lock()
        self.dropped = 0

    def debug(self, event: str, /, **fields: object) -> None:
        """For whoever looks for a defect."""
        self._write("debug", event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """Normal life: started, published, checkpointed, stopped."""
        self._write("info", event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """Goes on, but somebody should look."""
        self._write("warning", event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """Cannot go on."""
        self._write("error", event, fields)

    def _write(self, level: Level, event: str, fields: dict[str, object]) -> None:
        if _ORDER[level] < self._least or event in self._without:
            return
        moment = datetime.fromtimestamp(self._clock(), timezone.utc)
        line = self._render(moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), level, event, fields)
        with self._lock:
            try:
                stream = self._stream or sys.stderr  # looked up now: a test or a progress bar may have replaced it
                stream.write(line + "\n")
                stream.flush()
            except (OSError, ValueError):  # closed pipe, full disk, closed file
                self.dropped += 1


@contextmanager
def forwarded(log: Log) -> Iterator[None]:
    """While the block runs, what parts without a `Log` tell Python's logging is written as events "note" of `log`."""
    logger = logging.getLogger("tsds_stream")
    before = logger.level, logger.propagate
    handler = _Forwarder(log)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)  # `log` has a level of its own
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


class _Forwarder(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        kinds = {logging.ERROR: self._log.error, logging.WARNING: self._log.warning, logging.INFO: self._log.info}
        write = next((kinds[level] for level in kinds if record.levelno >= level), self._log.debug)
        write("note", part=record.name.rpartition(".")[2], message=record.getMessage())


def _as_text(moment: str, level: str, event: str, fields: dict[str, object]) -> str:
    pairs = "".join(f" {key}={_value(value)}" for key, value in fields.items())
    return f"{moment} {level:<7} {event}{pairs}"


def _as_json(moment: str, level: str, event: str, fields: dict[str, object]) -> str:
    record = {**fields, "time": moment, "level": level, "event": event}
    ordered = {key: record[key] for key in ("time", "level", "event", *fields)}
    return orjson.dumps(ordered, default=str, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS).decode()


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    if isinstance(value, dict):
        value = [f"{key}:{_plain(item)}" for key, item in value.items()]
    text = ",".join(map(_plain, value)) or "none" if isinstance(value, (list, tuple)) else str(value)
    return text if _BARE.fullmatch(text) else orjson.dumps(text).decode()


def _plain(value: object) -> str:
    return value if isinstance(value, str) else _value(value)
