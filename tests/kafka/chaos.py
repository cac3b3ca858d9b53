"""Faults, one after the other, under a daemon that works: used by the tests and by `benchmarks.kafka_chaos`.

A run ends when feeder and faults have stopped and everything has been read: then `World.audit` looks at what is left.
"""

from __future__ import annotations

import json
import math
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
from tests.patience import PATIENCE

KILLED = -signal.SIGKILL
WATCHDOG, STATE, FENCED, UNAVAILABLE = 1, 4, 6, 7
AFTERMATH = 45.0  # seconds after its end in which a fault may explain the end of a daemon


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
            self._cluster.await_in_sync(topic)


def aim_at(control: Path, call: str, when: str, nth: int = 1) -> None:
    """The daemon of this control directory shall halt at the n-th such call."""
    for name in ("aim", "fired", "go"):
        (control / name).unlink(missing_ok=True)
    write_whole(control / "aim", json.dumps({"call": call, "when": when, "nth": nth}))


def await_hit(control: Path, check: Callable[[], None] = lambda: None, timeout: float = PATIENCE / 2) -> bool:
    """Whether a daemon has halted where it was aimed at."""
    deadline = time.monotonic() + timeout
    while not (control / "fired").exists():
        check()
        if time.monotonic() > deadline:
            (control / "aim").unlink(missing_ok=True)
            (control / "go").touch()  # it may come to a halt in this moment
            return False
        time.sleep(0.001)
    return True


@dataclass(frozen=True)
class Fault:
    """Something bad, and the exit codes with which a daemon may answer it."""

    name: str
    strike: Callable[[Chaos], None]
    explains: frozenset[int]


@dataclass
class Strike:
    """A fault while it lasts, and when it did."""

    number: int
    fault: Fault
    began: float
    ended: float = math.inf

    def near(self, moment: float) -> bool:
        """Whether it may be what ended a daemon then."""
        return self.began <= moment + 0.1 and moment - self.ended < AFTERMATH


class Chaos:
    """One world under faults.

    Attributes:
        seen: how often each fault struck, and how daemons ended.
    """

    def __init__(self, world: World, servers: Servers, seed: int) -> None:
        self.world = world
        self.servers = servers
        self.seed = seed
        self.chosen = random.Random(seed)
        self.supervisor = Supervisor(self._start)
        world.watched.append(self.supervisor.check)
        self.seen: Counter[str] = Counter()
        self._struck: list[Strike] = []

    def run(self, faults: Sequence[Fault], say: Callable[[str], None] = lambda line: None) -> str:
        """Survive the faults in this order, and look at what is left; what `verify` says.

        Raises:
            AssertionError: something that must hold does not, or anything failed; it begins and ends with what that is.
        """
        try:
            return self._run(faults, say)
        except Exception as error:
            raise AssertionError(self._told(error, len(faults))) from error

    def _run(self, faults: Sequence[Fault], say: Callable[[str], None]) -> str:
        began = time.monotonic()
        self.world.feeder.start()
        self.supervisor.start()
        try:
            self.world.await_publication()
            for number, fault in enumerate(faults, 1):
                self._strike(number, fault)
                took = self._struck[-1].began - began
                say(f"{number:4} {fault.name}, at {took:.0f} s; publication {self.world.publications}")
            ledger = self.world.feeder.stop()
            self.world.await_caught_up(ledger)
            self.await_started()  # a daemon without its handlers yet would die of SIGTERM
            status = self.supervisor.stop()
            assert status == 0, f"after SIGTERM: {self.supervisor.exits[-1]}"
        finally:
            self.supervisor.abandon()
        self._explain()
        say(f"quiet after {time.monotonic() - began:.0f} s; looking at what is left")
        return self.world.audit(ledger)

    def _start(self) -> Daemon:
        return self.world.start()

    def _strike(self, number: int, fault: Fault) -> None:
        time.sleep(self.chosen.uniform(0.0, 0.6))
        self._struck.append(Strike(number, fault, time.monotonic()))
        fault.strike(self)
        self._struck[-1].ended = time.monotonic()
        self.seen[fault.name] += 1
        # Mostly it is over before the next one comes; sometimes two come together.
        if self.chosen.random() < 0.8:
            self.world.await_revisions()

    def _explain(self) -> None:
        """Every end of a daemon is the answer to a fault."""
        for end in self.supervisor.exits[:-1]:
            what = "watchdog" if end.watchdog else f"exit {end.status}"
            self.seen[what] += 1
            recent = [strike for strike in self._struck if strike.near(end.ended)]
            names = [f"{strike.number} {strike.fault.name}" for strike in recent]
            causes = [strike for strike in recent if end.status in strike.fault.explains]
            assert causes, f"none of these faults explains {what}: {names}\n{end}"
            assert end.status != WATCHDOG or end.watchdog, end

    def _told(self, error: Exception, faults: int) -> str:
        """What went wrong, first and last; between them what was going on, the latest at the end."""
        claim, _, more = str(error).partition("\n")
        claim = f"{type(error).__name__}: {claim[:300]}"
        running = self.world.daemons[-1].said()[-1500:] if self.world.daemons else "no daemon was started"
        now = time.monotonic()
        ends = [f"  {now - end.ended:.0f} s ago: {end.short}" for end in self.supervisor.exits[-5:]]
        strikes = [f"  {now - one.began:.0f} s ago: {one.number} of {faults}, {one.fault.name}" for one in self._struck]
        numbers = {name: self.world.witness.number(name) for name in self.world.witness.records}
        return "\n".join(
            [
                claim,
                more[-1500:],
                "The end of the newest log:",
                running,
                "How daemons ended:",
                *ends,
                "What struck:",
                *strikes[-5:],
                f"The seed is {self.seed}, the machine {self.world.slowness:.1f} times as slow as a quiet one; "
                f"revisions {numbers}, publication {self.world.publications}",
                claim,
            ]
        )

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
        deadline = time.monotonic() + PATIENCE
        while True:
            daemon = self.supervisor.daemon()
            if "started sets=" in daemon.said():
                return daemon
            assert time.monotonic() < deadline, f"no daemon has come to its start:\n{daemon.said()[-2000:]}"
            time.sleep(0.02)

    def hit(self) -> Daemon:
        """The daemon that halted; by now the watchdog may have ended it."""
        pid = int((self.world.control / "fired").read_text())
        return next(daemon for daemon in reversed(self.world.daemons) if daemon.pid == pid)

    def go(self) -> None:
        """Let it go on."""
        (self.world.control / "go").touch()

    def pause(self, least: float, most: float) -> None:
        time.sleep(self.chosen.uniform(least, most))
