"""A selection in Kafka topics, read through a snapshot directory that a thread keeps up to date.

Every revision in the copy is whole, and was proven by its `published_digest`. Where several processes share a copy, one
of them writes it, and when that ends, another one goes on.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from tsds_stream.loader.errors import RevisionError
from tsds_stream.loader.places import DirectoryPlace, place_name
from tsds_stream.lock import LockedError
from tsds_stream.streams.base import SinkError
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.following import Reader
from tsds_stream.streams.kafka.mirror import SelectionMirror
from tsds_stream.streams.leased import Leased

KEPT: Final = 20  # revisions of the copy, besides those that are leased
_FORM: Final = "kafka://HOST:PORT/SELECTION_TOPIC?revisions=REVISIONS_TOPIC"
_STARTUP: Final = 10.0  # seconds for the first answer of a broker, after which it is asked again
_TROUBLE: Final = 30.0  # seconds of trouble at the beginning after which nobody waits any longer
_LOOK_AGAIN: Final = 0.05
_REMEDY: Final = "Delete the directory {root} while nobody reads there: it is made anew from the topics."


@dataclass(frozen=True, slots=True)
class Address:
    """Where a selection is published."""

    brokers: str
    selection: str
    revisions: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Raises `RevisionError`: the URL does not name topics."""
        parts = urlsplit(url)
        topic, query = unquote(parts.path.strip("/")), dict(parse_qsl(parts.query))
        if not parts.netloc or "@" in parts.netloc or not topic or "/" in topic or set(query) - {"revisions"}:
            raise RevisionError(f"{url.rpartition('@')[2]} names no topics: write {_FORM}; credentials are options.")
        return cls(parts.netloc, topic, query.get("revisions", "revisions"))

    def __str__(self) -> str:
        return f"kafka://{self.brokers}/{self.selection}?revisions={self.revisions}"


class TopicPlace(DirectoryPlace):
    """The copy of a selection, and the thread that keeps it up to date until `close`.

    Args:
        address: of the selection.
        target_set: name of the set.
        cache: where the copy is made.
        security: TLS and SASL settings as kafka-python names them.
        timeout: seconds to wait for the first revision.
        reader: makes what reads the topics; a test brings its own.

    Raises:
        RevisionError: the extra "kafka" is not installed.
    """

    def __init__(
        self,
        address: Address,
        target_set: str,
        cache: Path,
        security: Mapping[str, Any] | None = None,
        timeout: float = 600.0,
        reader: Callable[[], Reader] | None = None,
    ) -> None:
        if reader is None and find_spec("kafka") is None:
            raise RevisionError(f"{address} needs the extra kafka: pip install 'tsds-stream[kafka]'")
        # A directory has one writer: each target set has a copy of its own.
        root = cache / place_name(str(address)) / target_set
        super().__init__(root, target_set, str(address), _REMEDY.format(root=root))
        self._timeout = timeout
        closing = threading.Event()
        self._mirror = SelectionMirror(
            Connection(address.brokers, startup_timeout=_STARTUP, security=dict(security or {})),
            address.selection,
            root,
            revisions=address.revisions,
            sets=(target_set,),
            every=True,
            reader=reader,
            sink=lambda: _writer(root, closing),
            closing=closing,
        )
        weakref.finalize(self, closing.set)
        self._mirror.start()

    def newest(self) -> int:
        if not self._layout.latest.exists():
            self._wait()
        return super().newest()

    def close(self) -> None:
        self._mirror.stop()

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process reads the copy, and leaves it to this one to keep it up to date."""
        return DirectoryPlace, (self._root, self._set, self.name, self._remedy)

    def _wait(self) -> None:
        begun, trouble = time.monotonic(), None
        while not self._layout.latest.exists():
            now, problem = time.monotonic(), self._mirror.problem
            trouble = None if problem is None else trouble if trouble is not None else now
            if now - begun > self._timeout or (trouble is not None and now - trouble > min(_TROUBLE, self._timeout)):
                why = problem or (
                    "they hold none, or too much to be copied in that time. See that `tsds-stream run` publishes "
                    "there, and that this is the name of a target set; or wait longer."
                )
                raise RevisionError(
                    f"No revision of target set {self._set!r} has come from {self.name} in {now - begun:.0f} s: {why}"
                )
            time.sleep(_LOOK_AGAIN)


def _writer(root: Path, closing: threading.Event) -> DirectorySink:
    """The writer of the copy, as soon as no other process is. Raises `SinkError`."""
    while True:
        try:
            return DirectorySink(root, keep_revisions=KEPT, pinned=Leased(root))
        except SinkError as error:
            if not isinstance(error.__cause__, LockedError) or closing.wait(1.0):
                raise
