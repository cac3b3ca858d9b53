"""A daemon under test with all that belongs to it: topics, configuration, feeder, witness, supervisor."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kafka.audit import (
    Json,
    check_letters,
    check_no_transaction_is_open,
    check_revision,
    committed_offsets,
    ends,
)
from tests.kafka.feeder import Feeder, Ledger, as_of
from tests.kafka.follower import Witness
from tests.kafka.forker import Daemon, Forker
from tests.kafka.topics import Topics
from tests.patience import PATIENCE

DIMENSION = 64
OVERSIZED = 30_000
# Long enough lists and enough reserve that every revision is exact, whatever is retracted.
COLOURS: dict[str, Any] = {"name": "colours", "budget": 20, "sigma": 0.5, "max_k": 256, "slack": 400}
GAMES: dict[str, Any] = {**COLOURS, "name": "games", "budget": 10, "sigma": 0.4, "mode": "turns"}
SAMPLE = 20  # revisions of each set that are computed anew, and the first and the last one
GAME_TARGETS = {"g0": "king queen", "g1": "pawn"}
QUICK = 0.6  # seconds in which the topics of a world are made on a machine of two cores that does nothing else


@dataclass(frozen=True)
class Names:
    """Of topics, group and transactional id; a test that shares a broker makes them its own."""

    documents: str = "documents"
    targets: str = "targets"
    selection: str = "selection"
    revisions: str = "revisions"
    dead_letters: str = "dead-letters"
    group: str = "tsds"
    transactional_id: str = "tsds-0"

    @property
    def topics(self) -> dict[str, str]:
        return {
            "documents": self.documents,
            "targets": self.targets,
            "selection": self.selection,
            "revisions": self.revisions,
            "dead_letters": self.dead_letters,
        }


def settings_of(
    root: Path, servers: Topics, names: Names, state: str = "state", slowness: float = 1.0
) -> dict[str, Any]:
    """Settings under which much happens in little time. Tests change what they are about.

    Args:
        slowness: of the machine; time-outs are as much longer, so that no daemon ends for want of processor time.
    """
    return {
        "source": {"kind": "kafka", "max_document_bytes": OVERSIZED - 5000, "topic_check_interval": 1.0},
        "sink": {"kind": "kafka"},
        "kafka": {
            "bootstrap_servers": servers.bootstrap,
            "group_id": names.group,
            "transactional_id": names.transactional_id,
            "transaction_timeout": round(5.0 * slowness, 1),
            "request_timeout": round(6.0 * slowness, 1),
            "startup_timeout": round(20.0 * slowness, 1),
            "topics": names.topics,
        },
        "embedder": {"kind": "hashing", "dimension": DIMENSION},
        "target_sets": [dict(COLOURS), {**GAMES, "targets": str(root / "games.jsonl")}],
        "publish": {"interval": 0.15},
        "state": {"directory": str(root / state), "checkpoint_interval": 0.5},
        "logging": {"level": "debug"},
    }


def as_toml(settings: Mapping[str, Any], above: str = "") -> str:
    """TOML writes plain values as JSON does."""
    lines, tables = [], []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            tables += [f"[{above}{name}]", as_toml(value, f"{above}{name}.")]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            tables += [part for one in value for part in (f"[[{above}{name}]]", as_toml(one, f"{above}{name}."))]
        else:
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join([*lines, *tables])


class World:
    """A folder, topics on some servers, a feeder and a witness.

    Args:
        root: for configuration, state and logs; made here.
        forker: starts the processes.
        seed, rate: of the feeder.

    Attributes:
        slowness: how many times as long as on a quick machine the product's own command took to make the topics.
    """

    def __init__(
        self,
        root: Path,
        servers: Topics,
        forker: Forker,
        names: Names | None = None,
        *,
        seed: int = 0,
        rate: float = 100.0,
        partitions: int = 4,
    ) -> None:
        self.root = root
        self.servers = servers
        self.forker = forker
        self.names = names or Names()
        root.mkdir(parents=True, exist_ok=True)
        self.control = root / "control"
        self.control.mkdir()
        lines = (json.dumps({"id": name, "text": text}) for name, text in GAME_TARGETS.items())
        (root / "games.jsonl").write_text("\n".join(lines) + "\n")
        self.settings = settings_of(root, servers, self.names)
        self.watched: list[Callable[[], None]] = []  # called while something is waited for: may raise
        self.daemons: list[Daemon] = []  # all that were started
        self._count = 0
        began = time.monotonic()
        self.create_topics(partitions)
        self.slowness = min(max((time.monotonic() - began) / QUICK, 1.0), 4.0)
        self.settings = settings_of(root, servers, self.names, slowness=self.slowness)
        shape = len(servers.leaders(self.names.selection)), len(servers.leaders(self.names.revisions))
        self.feeder = Feeder(
            servers.bootstrap,
            self.names.documents,
            self.names.targets,
            partitions=partitions,
            dimension=DIMENSION,
            oversized=OVERSIZED,
            seed=seed,
            rate=rate,
        )
        self.witness = Witness(servers.bootstrap, self.names.selection, self.names.revisions, shape)
        self.witness.start()

    def create_topics(self, partitions: int) -> None:
        """The documents as somebody else makes them, the rest by the product's own command."""
        self.servers.create_topic(self.names.documents, partitions)
        log = self.root / "topics.log"
        status = self.forker.run(["topics", "--create", "--config", str(self.config())], log)
        assert status == 0, log.read_text()

    def config(self, settings: Mapping[str, Any] | None = None) -> Path:
        """A file with these settings, or those of the world."""
        self._count += 1
        path = self.root / f"tsds-{self._count}.toml"
        path.write_text(as_toml(settings or self.settings))
        return path

    def start(self, settings: Mapping[str, Any] | None = None, *arguments: str, hurt: bool = True) -> Daemon:
        """A daemon; `hurt`: with the seams for faults."""
        config = self.config(settings)
        log = self.root / f"daemon-{self._count}.log"
        argv = ["run", "--config", str(config), *arguments]
        self.daemons.append(self.forker.start(argv, log, self.control if hurt else None))
        return self.daemons[-1]

    def second_instance(self) -> Daemon:
        """The same configuration by mistake on another machine, which has a state directory of its own."""
        state = str(self.root / "state-of-the-second")
        settings = {**self.settings, "state": {**self.settings["state"], "directory": state}}
        return self.start(settings, hurt=False)

    def verify(self, *arguments: str, timeout: float = 3 * PATIENCE) -> str:
        """What the auditor's command says. Raises `AssertionError` when it does not agree."""
        log = self.root / "verify.log"
        log.unlink(missing_ok=True)
        status = self.forker.run(["verify", "--config", str(self.config()), *arguments], log, timeout)
        said = log.read_text()
        assert status == 0, f"verify ends with {status}\n{said[-3000:]}"
        return said

    def check(self) -> None:
        """Raises `AssertionError` when something has gone wrong already."""
        self.witness.check()
        self.feeder.check()
        for watch in self.watched:
            watch()

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def publications(self) -> int:
        """Transactions that the witness has seen."""
        return int(self.witness.marks[-1]["publication"]) if self.witness.marks else 0

    def await_publication(self, beyond: int | None = None, timeout: float = PATIENCE) -> int:
        """Return when something was published, and which publication it was."""
        beyond = self.publications if beyond is None else beyond
        deadline = time.monotonic() + timeout
        while self.publications <= beyond:
            self.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing was published in {timeout:.0f} s since publication {beyond}")
            time.sleep(0.01)
        return self.publications

    def await_revisions(self, timeout: float = PATIENCE) -> None:
        """Return when every set has a new revision: of what is selected, something is retracted until there is one."""
        before = {name: self.witness.number(name) for name in (COLOURS["name"], GAMES["name"])}
        deadline, asked = time.monotonic() + timeout, 0.0
        while waiting := [name for name, number in before.items() if self.witness.number(name) <= number]:
            self.check()
            now = time.monotonic()
            if now > deadline:
                raise TimeoutError(f"no new revision of {waiting} in {timeout:.0f} s since {before}")
            if now > asked + 3.0:
                asked = now
                for name in waiting:
                    for member in list(self.witness.members.get(name, ()))[:1]:
                        self.feeder.retract_soon(member)
            time.sleep(0.01)

    def caught_up(self, ledger: Ledger) -> bool:
        """Whether everything that was sent is in effect, and no example waits for the past."""
        if not self.witness.marks:
            return False
        listed = self.witness.records.get("colours")
        if not listed or listed[-1]["pending"]:
            return False
        # The last records may change nothing, and then nothing is published. And what was withdrawn while the past was
        # read is out of force at once: the revision names the positions of what was taken up before.
        wanted, last = as_of(ledger.targets), listed[-1]
        taken = as_of(ledger.targets, last["positions"]["targets"])
        in_force = {name: text for name, text in taken.items() if name in wanted}
        if last["targets_active"] != len(wanted) or in_force != wanted:
            return False
        return committed_offsets(self.servers, self.names.group, self.names.documents) == self._wanted(ledger)

    def await_caught_up(self, ledger: Ledger, timeout: float = PATIENCE) -> None:
        """Return when everything that was sent is in effect; `timeout` counts from the last progress."""
        deadline, before = time.monotonic() + timeout, 0
        while not self.caught_up(ledger):
            done = sum(self.witness.marks[-1]["positions"]["documents"].values()) if self.witness.marks else 0
            if done > before:
                deadline, before = time.monotonic() + timeout, done
            self.check()
            if time.monotonic() > deadline:
                committed = committed_offsets(self.servers, self.names.group, self.names.documents)
                last = (self.witness.records.get("colours") or [{}])[-1]
                told = {name: last.get(name) for name in ("revision", "targets_active", "pending", "positions")}
                wanted = f"sent {self._wanted(ledger)}, examples {sorted(as_of(ledger.targets))}"
                raise TimeoutError(f"not all is in effect: committed {committed}, {wanted}\nlast revision {told}")
            time.sleep(0.1)

    def _wanted(self, ledger: Ledger) -> dict[int, int]:
        return dict.fromkeys(self.servers.leaders(self.names.documents), 0) | ledger.ends

    def audit(self, ledger: Ledger) -> str:
        """Everything that must hold when feeder and daemon have ended; what `verify` says."""
        names = self.names
        within = self.settings["kafka"]["transaction_timeout"] / 2
        check_no_transaction_is_open(self.servers, names.topics.values(), within)
        self.settle()
        mark, offsets = self.witness.marks[-1], committed_offsets(self.servers, names.group, names.documents)
        at = {int(number): offset for number, offset in mark["positions"]["documents"].items()}
        assert at == offsets == self._wanted(ledger), f"mark {at}, offsets {offsets}, sent {self._wanted(ledger)}"
        check_letters(self.servers, names.dead_letters, ledger)
        for name, settings, targets in (("colours", COLOURS, None), ("games", GAMES, GAME_TARGETS)):
            records = self.witness.records[name]
            step = max(1, len(records) // SAMPLE)
            for record in {one["revision"]: one for one in [*records[::-step], records[0]]}.values():
                check_revision(ledger, record, settings, DIMENSION, targets)
        self.witness.check()
        return self.verify("--revisions", "all")

    def settle(self) -> dict[str, int]:
        """The last revision of each set, when the witness has seen everything that is there."""
        self.witness.read_to(ends(self.servers, self.names.selection, committed=False))
        numbers = {name: mark["revision"] for name, mark in self.witness.marks[-1]["sets"].items()}
        self.witness.settle(numbers)
        return numbers

    def published(self, name: str) -> Json:
        """The last revision record of a set that the witness has seen."""
        return self.witness.records[name][-1]

    def close(self) -> None:
        """Let go of the witness. Raises `AssertionError` with what it saw."""
        self.feeder.stop()
        self.witness.stop()


@contextmanager
def switched(control: Path, name: str) -> Iterator[None]:
    """A fault that lasts as long as the block."""
    (control / name).touch()
    try:
        yield
    finally:
        (control / name).unlink()
