"""The faults that a daemon and its brokers are put through, and how often each of them comes."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from confluent_kafka.admin import NewPartitions

from tests.kafka.chaos import FENCED, KILLED, STATE, UNAVAILABLE, WATCHDOG, Chaos, Fault
from tests.kafka.forker import Daemon
from tests.kafka.world import switched
from tests.patience import PATIENCE

POINTS = [
    ("commit", "before"),
    ("commit", "after"),
    ("send_offsets", "before"),
    ("send_offsets", "after"),
    ("flush", "before"),
    ("begin", "after"),
    ("disk", "before"),
    ("disk", "after"),
]
STARTING = [("init_transactions", "before"), ("init_transactions", "after"), ("committed", "before")]


def kill(chaos: Chaos) -> None:
    chaos.supervisor.kill()


def kill_twice(chaos: Chaos) -> None:
    """Again while it starts."""
    chaos.supervisor.kill().wait(PATIENCE)
    chaos.supervisor.daemon()
    chaos.pause(0.0, 0.5)
    chaos.supervisor.kill()


def kill_at(call: str, when: str) -> Callable[[Chaos], None]:
    def strike(chaos: Chaos) -> None:
        chaos.aim(call, when, 1 if (call, when) in STARTING else chaos.chosen.randrange(1, 4))
        if (call, when) in STARTING:
            chaos.supervisor.kill()
        if chaos.await_hit():
            chaos.hit().signal(signal.SIGKILL)

    return strike


def damage_checkpoint(chaos: Chaos) -> None:
    """A flipped bit or a cut file in the newest one, and a restart."""
    deadline = time.monotonic() + PATIENCE
    while not (files := _newest_checkpoint(chaos)):  # the first one is written after the first publication
        chaos.world.check()
        assert time.monotonic() < deadline, "there is no checkpoint to damage"
        time.sleep(0.01)
    with suppress(FileNotFoundError):  # it may be replaced while we look
        victim = chaos.chosen.choice(files)
        data = bytearray(victim.read_bytes())
        if chaos.chosen.random() < 0.5:
            data[chaos.chosen.randrange(len(data))] ^= 1 << chaos.chosen.randrange(8)
        else:
            del data[chaos.chosen.randrange(len(data)) :]
        chaos.supervisor.kill(signal.SIGSTOP)
        victim.write_bytes(data)
    chaos.supervisor.kill()


def _newest_checkpoint(chaos: Chaos) -> list[Path]:
    """Its files that hold something; none while one takes the place of another."""
    folder = Path(chaos.world.settings["state"]["directory"]) / "checkpoints"
    checkpoints = sorted(folder.glob("0*[0-9]"))
    with suppress(FileNotFoundError, IndexError):
        return [path for path in sorted(checkpoints[-1].rglob("*")) if path.is_file() and path.stat().st_size]
    return []


def stop_shortly(chaos: Chaos) -> None:
    daemon = chaos.supervisor.kill(signal.SIGSTOP)
    chaos.pause(0.3, 2.0)
    daemon.signal(signal.SIGCONT)


def stop_in_a_transaction(chaos: Chaos) -> None:
    """Longer than its time-out, so that the brokers abort it."""
    call = chaos.chosen.choice(["commit", "send_offsets", "flush"])
    chaos.aim(call, "before")
    if not chaos.await_hit():
        return
    daemon = chaos.hit()
    daemon.signal(signal.SIGSTOP)
    time.sleep(float(chaos.world.settings["kafka"]["transaction_timeout"]) + 2.5)
    chaos.go()
    daemon.signal(signal.SIGCONT)


def zombie(chaos: Chaos) -> None:
    """It sleeps in a transaction, another instance takes over and publishes, it wakes: the elder must leave."""
    call, when = chaos.chosen.choice([point for point in POINTS if point[0] != "disk"])
    chaos.await_started()  # before that, it could not yet say who has taken over
    chaos.aim(call, when)
    if not chaos.await_hit():
        return
    elder = chaos.hit()
    elder.signal(signal.SIGSTOP)
    before = chaos.world.publications
    second = chaos.world.second_instance()
    try:
        chaos.world.await_publication(before + 1)  # one may have been on its way to the witness
        chaos.go()
        elder.signal(signal.SIGCONT)
        status = elder.wait(PATIENCE)
        assert status in (FENCED, WATCHDOG), f"the elder ends with {status}\n{elder.said()[-1500:]}"
        _fenced_off(second)
    finally:
        second.signal(signal.SIGKILL)


def start_a_second(chaos: Chaos) -> None:
    """On another machine: it takes over, until the supervisor of the first starts that one again."""
    elder = chaos.await_started()
    second = chaos.world.second_instance()
    try:
        elder.wait(PATIENCE)
        _fenced_off(second)
    finally:
        second.signal(signal.SIGKILL)


def start_a_second_here(chaos: Chaos) -> None:
    """With the same state directory: it is refused, and the first goes on.

    Where the fault before this one ends the first in this moment, the second may rightly begin to work. Another one is
    tried then, beside the next first.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        first = chaos.await_started()  # it has the lock
        second = chaos.world.start(hurt=False)
        while first.status is None and second.status is None:
            chaos.world.check()
            assert time.monotonic() < deadline, f"a second beside the first is not refused\n{second.said()[-1500:]}"
            time.sleep(0.01)
        if first.status is None:
            break
        second.signal(signal.SIGKILL)
        second.wait(PATIENCE)
    assert second.status == STATE, f"the second here ends with {second.status}\n{second.said()[-1500:]}"
    assert "has a writer already" in second.said(), second.said()[-1500:]


def _fenced_off(second: Daemon) -> None:
    status = second.wait(PATIENCE)
    assert status == FENCED, f"the second ends with {status}\n{second.said()[-1500:]}"


def kill_broker(chaos: Chaos) -> None:
    node = chaos.servers.choose(chaos.chosen)
    chaos.servers.kill(node)
    _outage(chaos, node)


def kill_broker_at(call: str, when: str) -> Callable[[Chaos], None]:
    def strike(chaos: Chaos) -> None:
        node = chaos.servers.choose(chaos.chosen)
        chaos.aim(call, when)
        if (call, when) in STARTING:
            chaos.supervisor.kill()
        if not chaos.await_hit():
            return
        chaos.servers.kill(node)
        chaos.go()
        _outage(chaos, node)

    return strike


def _outage(chaos: Chaos, node: int) -> None:
    """Until the broker is back; the daemon may be killed meanwhile."""
    chaos.pause(0.0, 1.5)
    if chaos.chosen.random() < 0.3:
        chaos.supervisor.kill()
    chaos.servers.restart(node)


def suspend_broker(chaos: Chaos) -> None:
    node = chaos.servers.choose(chaos.chosen)
    chaos.servers.suspend(node)
    chaos.pause(0.5, 3.0)
    chaos.servers.resume(node)


def slow_disk(chaos: Chaos) -> None:
    """Publishing goes on: nobody waits for a checkpoint."""
    with switched(chaos.world.control, "disk.slow"):
        chaos.world.await_publication(chaos.world.publications + 2)
        if chaos.chosen.random() < 0.5:
            chaos.supervisor.kill()
        chaos.pause(0.5, 1.5)


def full_disk(chaos: Chaos) -> None:
    with switched(chaos.world.control, "disk.full"):
        chaos.pause(0.3, 1.0)
        if chaos.chosen.random() < 0.7:
            chaos.supervisor.kill()
            chaos.pause(0.3, 1.5)


def embedder_out(chaos: Chaos) -> None:
    with switched(chaos.world.control, "embedder.out"):
        chaos.pause(0.3, 1.5)
        if chaos.chosen.random() < 0.5:
            chaos.supervisor.kill()
            chaos.pause(0.3, 1.0)


def add_a_partition(chaos: Chaos) -> None:
    """New ids go there as well; the daemon notices by itself."""
    feeder, names = chaos.world.feeder, chaos.world.names
    count = feeder.partitions + 1
    admin = chaos.world.servers.admin()
    for future in admin.create_partitions([NewPartitions(names.documents, count)]).values():
        future.result(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while sum(leader >= 0 for leader in chaos.world.servers.leaders(names.documents).values()) < count:
        assert time.monotonic() < deadline, f"partition {count - 1} has no leader"
        time.sleep(0.05)
    feeder.partitions = count


_DAEMON = frozenset({KILLED})
_BROKER = frozenset({KILLED, WATCHDOG, UNAVAILABLE, FENCED})

RANDOM_KILL = Fault("daemon killed", kill, _DAEMON)
KILL_TWICE = Fault("daemon killed again while it starts", kill_twice, _DAEMON)
AIMED_KILLS = [Fault(f"daemon killed {when} {call}", kill_at(call, when), _DAEMON) for call, when in POINTS + STARTING]
DAMAGE = Fault("checkpoint damaged", damage_checkpoint, _DAEMON)
SHORT_STOP = Fault("daemon stopped for a while", stop_shortly, frozenset())
LONG_STOP = Fault(
    "daemon stopped in a transaction until it timed out",
    stop_in_a_transaction,
    frozenset({FENCED, WATCHDOG, UNAVAILABLE}),
)
ZOMBIE = Fault("daemon stopped, replaced, and awake again", zombie, frozenset({FENCED, WATCHDOG}))
SECOND = Fault("second instance elsewhere", start_a_second, frozenset({FENCED}))
SECOND_HERE = Fault("second instance here", start_a_second_here, frozenset({STATE}))
BROKER = Fault("broker killed", kill_broker, _BROKER)
AIMED_AT_BROKER = [
    Fault(f"broker killed {when} {call}", kill_broker_at(call, when), _BROKER)
    for call, when in [
        ("commit", "before"),
        ("send_offsets", "before"),
        ("flush", "before"),
        ("commit", "after"),
        ("init_transactions", "before"),
        ("committed", "before"),
        ("disk", "before"),
    ]
]
BROKER_STOP = Fault("broker stopped for a while", suspend_broker, frozenset({UNAVAILABLE}))
SLOW_DISK = Fault("slow disk", slow_disk, _DAEMON)
FULL_DISK = Fault("full disk", full_disk, _DAEMON | {STATE})
EMBEDDER = Fault("embedder out", embedder_out, _DAEMON)
PARTITION = Fault("partition added", add_a_partition, frozenset())

QUICK = [RANDOM_KILL, KILL_TWICE, *AIMED_KILLS, DAMAGE, SHORT_STOP, SLOW_DISK, FULL_DISK, EMBEDDER, SECOND_HERE]
SLOW = [LONG_STOP, ZOMBIE, SECOND, BROKER, *AIMED_AT_BROKER, BROKER_STOP]


def some_faults(count: int, seed: int) -> list[Fault]:
    """Every kind once as far as `count` goes, the rest drawn, quick ones more often; in a drawn order."""
    chosen = random.Random(seed)
    kinds = [*SLOW, *QUICK, PARTITION]
    faults = kinds if count >= len(kinds) else chosen.sample(kinds, count)
    faults = faults + [chosen.choice(QUICK if chosen.random() < 0.8 else SLOW) for _ in range(count - len(faults))]
    chosen.shuffle(faults)
    return faults


def some_broker_faults(count: int, seed: int) -> list[Fault]:
    """Mostly brokers: for clusters, of which another node is struck every time."""
    chosen = random.Random(seed)
    brokers = [BROKER, *AIMED_AT_BROKER, BROKER_STOP]
    return [chosen.choice(brokers if chosen.random() < 0.7 else [*SLOW, *QUICK]) for _ in range(count)]


def seed_of_the_day() -> int:
    """Given by TSDS_CHAOS_SEED, or 0: a test run is the same every time unless somebody asks for another."""
    return int(os.environ.get("TSDS_CHAOS_SEED", "0"))
