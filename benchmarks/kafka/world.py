"""A broker, its topics, and the daemon as its users run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from tests.kafka.broker import Broker

Json = dict[str, Any]
PARTITIONS = 4
_TICK = 0.02


class World:
    """One server, and folders for what runs beside it."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.broker = broker
        self.folder = folder
        self.daemons: list[Daemon] = []  # all that were started: none may outlive the server
        self._count = 0

    @property
    def bootstrap(self) -> str:
        return self.broker.bootstrap

    def fresh(self, name: str) -> str:
        """A name that nothing else has."""
        self._count += 1
        return f"{name}-{self._count}"

    def topic(self, name: str, partitions: int = PARTITIONS, **config: object) -> str:
        """A new topic."""
        settings = {key.replace("_", "."): value for key, value in config.items()}
        return self.broker.create_topic(self.fresh(name), partitions, settings)

    def stand(self, documents: str, targets: Path, settings: Mapping[str, Mapping[str, object]]) -> Stand:
        """Topics, a group and a state directory for a daemon that reads `documents`.

        Args:
            settings: sections of the configuration, besides those that say where things are.
        """
        name = self.fresh("stand")
        topics = {
            "documents": documents,
            "selection": self.topic("selection", 1, cleanup_policy="compact"),
            "revisions": self.topic("revisions", 1, retention_ms=-1, retention_bytes=-1),
            "dead_letters": self.topic("dead-letters", 1),
        }
        folder = self.folder / name
        folder.mkdir()
        tree: dict[str, Json] = {
            "source": {"kind": "kafka"},
            "sink": {"kind": "kafka"},
            "kafka": {"bootstrap_servers": self.bootstrap, "group_id": name, "transactional_id": name},
            "kafka.topics": dict(topics),
            "state": {"directory": str(folder / "state")},
            "target_sets": {"targets": str(targets), "budget": 1000},
        }
        for section, values in settings.items():
            tree.setdefault(section, {}).update(values)
        config = folder / "tsds.toml"
        config.write_text("\n".join(_section(name, values) for name, values in tree.items()))
        return Stand(self, folder, config, topics, name)


@dataclass
class Stand:
    """Everything that one stream of revisions needs, over as many lives of the daemon as it takes."""

    world: World
    folder: Path
    config: Path
    topics: dict[str, str]
    group: str
    lives: list[Daemon] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def start(self, *arguments: str, **environment: str) -> Daemon:
        """A new life of the daemon."""
        daemon = Daemon(self, self.folder / f"life-{len(self.lives)}", list(arguments), environment)
        self.lives.append(daemon)
        self.world.daemons.append(daemon)
        return daemon

    def committed(self) -> dict[int, int]:
        """Offsets of the group, by partition of the documents."""
        return committed(self.world.bootstrap, self.group, self.topics["documents"])


class Daemon:
    """`tsds-stream run` in a process of its own; see `benchmarks.kafka.daemon` for what it tells."""

    def __init__(self, stand: Stand, folder: Path, arguments: list[str], environment: dict[str, str]) -> None:
        folder.mkdir()
        self.folder = folder
        self.log = folder / "log"
        command = [sys.executable, "-m", "benchmarks.kafka.daemon", str(folder), "run", "--config", str(stand.config)]
        with open(self.log, "wb") as log:
            self.began = time.time()
            self._process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | environment,
                cwd=Path(__file__).resolve().parent.parent.parent,
            )
        self._lines: list[Json] = []
        self._read = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    def statistics(self) -> list[Json]:
        """All lines so far."""
        path = self.folder / "statistics"
        if path.exists():
            with open(path, "rb") as file:
                file.seek(self._read)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._lines.append(json.loads(line))
                    self._read += len(line)
        return self._lines

    def lines(self, name: str) -> list[Json]:
        """What it reported under another name."""
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def until(self, reached: Callable[[Json], object], what: str, timeout: float = 180.0) -> Json:
        """Wait for counters that satisfy `reached`, and return them."""
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            lines = self.statistics()
            for line in lines[seen:]:
                if reached(line):
                    return line
            seen = len(lines)
            self.must_run()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not after {timeout:.0f} s; {lines[-1:]}; {self.said()[-3000:]}")
            time.sleep(_TICK)

    def must_run(self) -> None:
        status = self._process.poll()
        if status is not None:
            raise RuntimeError(f"the daemon ended with status {status}:\n{self.said()[-5000:]}")

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, timeout: float = 60.0) -> None:
        """SIGTERM: it publishes, writes a checkpoint and leaves."""
        self.must_run()
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(timeout)
        if status:
            raise RuntimeError(f"the daemon left with status {status}:\n{self.said()[-5000:]}")

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()


@contextmanager
def world(settings: Mapping[str, object] | None = None) -> Iterator[World]:
    """A world with a server of its own."""
    with TemporaryDirectory(prefix="tsds-stream-kafka-") as name:
        folder = Path(name)
        with Broker(folder / "broker", settings=settings) as broker:
            made = World(broker, folder)
            try:
                yield made
            finally:
                for daemon in made.daemons:
                    daemon.kill()


def committed(bootstrap: str, group: str, topic: str) -> dict[int, int]:
    """Committed offsets of a group, by partition; those without are at 0."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
    found = consumer.committed([TopicPartition(topic, number) for number in range(PARTITIONS)], timeout=30)
    consumer.close()
    return {one.partition: max(one.offset, 0) for one in found}


def _section(name: str, values: Mapping[str, object]) -> str:
    head = f"[[{name}]]" if name == "target_sets" else f"[{name}]"
    return "\n".join([head, *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""])
