"""Faults, one after the other, under a daemon that works: used by the tests and by `benchmarks.kafka_chaos`.

A run ends when feeder and faults have stopped and everything has been read: then `World.audit` looks at what is left.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.kafka.broker import Broker
from tests.kafka.cluster import Cluster
from tests.kafka.forker import Daemon, write_whole
from tests.kafka.supervisor import Supervisor
from tests.kafka.world import World

KILLED = -signal.SIGKILL
WATCHDOG, STATE, FENCED, UNAVAILABLE = 1, 4, 6, 7
AFTERMATH = 45.0  # seconds in which a fault may explain the end of a daemon


class Servers(Protocol):
    """What can be done to one broker, or to one of three."""

    def choose(self, chosen: random.Random) -> int: ...
    def kill(self, node: int) -> None: ...
    def suspend(self, node: int) -> None: ...
    def resume(self, node: int) -> None: ...
    def restart(self, node: int) -> None: ...


class OneBroker:
    """The only one."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def choose(self, chosen: random.Random) -> int:
        return 1

    def kill(self, node: int) -> None:
        self._broker.kill()

    def suspend(self, node: int) -> None:
        self._broker.suspend()

    def resume(self, node: int) -> None:
        self._broker.resume()

    def restart(self, node: int) -> None:
        self._broker.start()


class ThreeBrokers:
    """One of three at a time: the leader of a partition or the coordinator of the transactions or of the group."""

    def __init__(self, cluster: Cluster, topics: Sequence[str], group: str, transactional_id: str) -> None:
        self._cluster = cluster
        self._topics = list(topics)
        self._group = group
        self._transactional_id = transactional_id
        self._turn = 0

    def choose(self, chosen: random.Random) -> int:
        self._turn += 1
        if self._turn % 3 == 0:
            return self._cluster.transaction_coordinator(self._transactional_id)
        if self._turn % 3 == 1:
            return self._cluster.group_coordinator(self._group)
        topic = chosen.choice(self._topics)
        return chosen.choice(sorted(self._cluster.leaders(topic).values()))

    def kill(self, node: int) -> None:
        self._cluster.kill(node)

    def suspend(self, node: int) -> None:
        self._cluster.suspend(node)

    def resume(self, node: int) -> None:
        self._cluster.resume(node)

    def restart(self, node: int) -> None:
        """Back, and in step again, before another one may be killed."""
        self._cluster.start(node)
        self.await_in_sync()

    def await_in_sync(self) -> None:
        for topic in [*self._topics, "__consumer_offsets", "__transaction_state"]:
            self._cluster.await_in_sync(topic, timeout=60.0)


def aim_at(control: Path, call: str, when: str, nth: int = 1) -> None:
    """The daemon of this control directory shall halt at the n-th such call."""
    for name in ("aim", "fired", "go"):
        (control / name).unlink(missing_ok=True)
    write_whole(control / "aim", json.dumps({"call": call, "when": when, "nth": nth}))


def await_hit(control: Path, check: Callable[[], None] = lambda: None, timeout: float = 20.0) -> bool:
    """Whether a daemon has halted where it was aimed at."""
    deadline = time.monotonic() + timeout
    while not (control / "fired").exists():
        check()
        if time.monotonic() > deadline:
            (control / "aim").unlink(missing_ok=True)
            return False
        time.sleep(0.001)
    return True


@dataclass(frozen=True)
class Fault:
    """Something bad, and the exit codes with which a daemon may answer it."""

    name: str
    strike: Callable[[Chaos], None]
    explains: frozenset[int]


class Chaos:
    """One world under faults.

    Attributes:
        seen: how often each fault struck, and how daemons ended.
    """

    def __init__(self, world: World, servers: Servers, seed: int) -> None:
        self.world = world
        self.servers = servers
        self.chosen = random.Random(seed)
        self.supervisor = Supervisor(self._start)
        world.watched.append(self.supervisor.check)
        self.seen: Counter[str] = Counter()
        self._struck: list[tuple[float, Fault]] = []
        self._command = False  # the next start is that of the command, with an interpreter of its own

    def run(self, faults: Sequence[Fault], say: Callable[[str], None] = lambda line: None) -> str:
        """Survive the faults in this order, and look at what is left; what `verify` says."""
        began = time.monotonic()
        self.world.feeder.start()
        self.supervisor.start()
        try:
            self.world.await_publication()
            for number, fault in enumerate(faults, 1):
                self._strike(fault)
                took = self._struck[-1][0] - began
                say(f"{number:4} {fault.name}, at {took:.0f} s; publication {self.world.publications}")
            ledger = self.world.feeder.stop(120.0)
            self.world.await_caught_up(ledger)
            status = self.supervisor.stop()
            assert status == 0, f"after SIGTERM: {self.supervisor.exits[-1]}"
        finally:
            self.supervisor.abandon()
        self._explain()
        say(f"quiet after {time.monotonic() - began:.0f} s; looking at what is left")
        return self.world.audit(ledger)

    def _start(self) -> Daemon:
        return self.world.start()

    def _strike(self, fault: Fault) -> None:
        time.sleep(self.chosen.uniform(0.0, 0.6))
        before = self.world.publications
        self._struck.append((time.monotonic(), fault))
        fault.strike(self)
        self.seen[fault.name] += 1
        # Mostly it is over before the next one comes; sometimes two come together.
        if self.chosen.random() < 0.8:
            try:
                self.world.await_publication(max(before, self.world.publications - 1))
            except TimeoutError as error:
                running = self.supervisor.daemon().said()[-3000:]
                raise AssertionError(f"after {fault.name}: {error}\n{self.supervisor.exits[-3:]}\n{running}") from error

    def _explain(self) -> None:
        """Every end of a daemon is the answer to a fault."""
        for end in self.supervisor.exits[:-1]:
            what = "watchdog" if end.watchdog else f"exit {end.status}"
            self.seen[what] += 1
            recent = [fault for at, fault in self._struck if at <= end.ended + 0.1 and end.ended - at < AFTERMATH]
            causes = [fault.name for fault in recent if end.status in fault.explains]
            assert causes, f"no fault of {[fault.name for fault in recent]} explains\n{end}"
            assert end.status != WATCHDOG or end.watchdog, end

    # -- what faults are made of -----------------------------------------------------------------------------------

    def aim(self, call: str, when: str, nth: int = 1) -> None:
        """The daemon shall halt at this call."""
        aim_at(self.world.control, call, when, nth)

    def await_hit(self) -> bool:
        """Whether it has halted there."""
        found = await_hit(self.world.control, self.supervisor.check)
        self.seen["missed aims"] += not found
        return found

    def await_started(self) -> Daemon:
        """The daemon that runs now, when its start is over."""
        deadline = time.monotonic() + 60
        while True:
            daemon = self.supervisor.daemon()
            if "started sets=" in daemon.said():
                return daemon
            assert time.monotonic() < deadline, f"no daemon has come to its start:\n{daemon.said()[-2000:]}"
            time.sleep(0.02)

    def hit(self) -> Daemon:
        """The daemon that halted."""
        daemon = self.supervisor.daemon()
        pid = int((self.world.control / "fired").read_text())
        assert pid == daemon.pid
        return daemon

    def go(self) -> None:
        """Let it go on."""
        (self.world.control / "go").touch()

    def pause(self, least: float, most: float) -> None:
        time.sleep(self.chosen.uniform(least, most))
