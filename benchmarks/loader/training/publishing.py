"""`tsds-stream run` over a corpus that goes on growing until the story ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count, islice
from pathlib import Path
from types import TracebackType
from typing import Any

from tsds_stream.demo.script import write_lines
from tsds_stream.loader import Revisions
from tsds_stream.loader.errors import NoRevisionError

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[3]
_TURNS = 20  # over all documents, after which those that go to Kafka end
_WAIT = 180.0  # seconds for what takes a few
_LOOK_AGAIN = 0.05


class Publisher:
    """The daemon, and what brings it more documents all the time: a thread that writes files, or `tsds-stream produce`.

    A context manager.

    Args:
        folder: for everything.
        events: records in the order of the stream. After the last one they come again, a little changed.
        targets: examples.
        budget: documents to select.
        part: records that arrive in `pause` seconds; as files, together.
        bootstrap: `host:port` of a Kafka server through which all goes; None: files.

    Attributes:
        selection: what a loader opens.
        directory: holds every revision that was published.
    """

    def __init__(
        self,
        folder: Path,
        events: Sequence[Json],
        targets: Sequence[Json],
        budget: int,
        part: int,
        pause: float,
        bootstrap: str | None = None,
    ) -> None:
        (folder / "corpus").mkdir(parents=True)
        self._folder, self._bootstrap, self._pause = folder, bootstrap, pause
        self.directory = folder / "selection"
        self._parts = _parts(events, part)
        self._enough, self._rate = _TURNS * len(events) // part, part / pause
        self._stop = threading.Event()
        self._feeder: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._grow, name="corpus", daemon=True)
        write_lines(folder / "targets.jsonl", targets)
        name = folder.parent.name  # of topics that nobody else has
        self._topics = {one: f"{name}-{one}" for one in ("documents", "selection", "revisions", "dead_letters")}
        (folder / "tsds.toml").write_text("\n".join(_toml(self._settings(budget))))

    @property
    def selection(self) -> str:
        if self._bootstrap is None:
            return str(self.directory)
        return f"kafka://{self._bootstrap}/{self._topics['selection']}?revisions={self._topics['revisions']}"

    def await_newer(self, than: int, cache: Path | None) -> int:
        """Wait until a newer revision is published, and has come to where a loader with this cache reads it."""
        deadline = time.monotonic() + _WAIT
        while True:
            try:
                with Revisions.open(self.selection, cache=cache, timeout=_WAIT) as revisions:
                    while (newest := revisions.newest()) <= than:
                        self._wait(than, deadline)
                    return newest
            except NoRevisionError:  # none yet
                self._wait(than, deadline)

    def __enter__(self) -> Publisher:
        if self._bootstrap is not None:
            self._tsds("topics", "--create")
        self._daemon = self._start("run")
        if self._bootstrap is None:
            self._thread.start()
        else:
            write_lines(self._folder / "corpus" / "all.jsonl", list(chain(*islice(self._parts, self._enough))))
            self._feeder = self._start("produce", str(self._folder / "corpus"), "--rate", str(self._rate))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._feeder is not None:
            self._feeder.kill()
            self._feeder.wait()
        self._daemon.send_signal(signal.SIGTERM if kind is None else signal.SIGKILL)
        try:
            status = self._daemon.wait(_WAIT)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            raise
        if kind is None and status:
            raise RuntimeError(f"the daemon left with status {status}: see {self._folder / 'run.log'}")

    def _wait(self, than: int, deadline: float) -> None:
        """Some moments. Raises `RuntimeError`: there is nothing to wait for."""
        status = self._daemon.poll()
        if status is not None or time.monotonic() > deadline:
            said = "".join(path.read_text(errors="replace")[-3000:] for path in self._folder.glob("*.log"))
            raise RuntimeError(f"no revision came after {than} in {_WAIT:g} s; status {status}; it said:\n{said}")
        time.sleep(_LOOK_AGAIN)

    def _grow(self) -> None:
        for number, records in enumerate(self._parts):
            beside = self._folder / "part.jsonl"
            write_lines(beside, records)
            beside.replace(self._folder / "corpus" / f"{number:05}.jsonl")
            if self._stop.wait(self._pause):
                return

    def _tsds(self, *words: str) -> None:
        done = subprocess.run(self._command(*words), capture_output=True, text=True, timeout=_WAIT, check=False)
        if done.returncode:
            raise RuntimeError(f"tsds-stream {' '.join(words)}: {done.stderr[-2000:]}")

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{words[0]}.log").open("wb") as log:
            return subprocess.Popen(self._command(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "tsds_stream", *words, "--config", str(self._folder / "tsds.toml")]

    def _settings(self, budget: int) -> dict[str, Json]:
        folder, kafka = self._folder, self._bootstrap is not None
        every = {"directory" if kafka else "path": str(self.directory), "keep_revisions": 100_000}
        files = {"kind": "files", "path": str(folder / "corpus"), "follow": True, "poll_interval": "100ms"}
        tree: dict[str, Json] = {
            "source": {"kind": "kafka"} if kafka else files,
            "sink": {"kind": "kafka" if kafka else "directory", **every},
            "state": {"directory": str(folder / "state")},
            "publish": {"interval": "200ms"},
            "target_sets": {"targets": str(folder / "targets.jsonl"), "budget": budget},
        }
        if kafka:
            name = self._topics["documents"]
            tree["kafka"] = {"bootstrap_servers": self._bootstrap, "group_id": name, "transactional_id": name}
            tree["kafka.topics"] = self._topics
        return tree


def _parts(events: Sequence[Json], size: int) -> Iterator[list[Json]]:
    for turn in count():
        again = [{**one, "id": f"{one['id']}~{turn}", "text": f"{one.get('text', '')}\n{turn}"} for one in events]
        records = again if turn else events
        yield from (list(records[start : start + size]) for start in range(0, len(records), size))


def _toml(tree: Mapping[str, Json]) -> Iterator[str]:
    for section, values in tree.items():
        yield f"[[{section}]]" if section == "target_sets" else f"[{section}]"
        yield from (f"{name} = {json.dumps(value)}" for name, value in values.items())
