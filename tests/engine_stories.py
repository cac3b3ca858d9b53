"""Running engines over a world until the story is told: a crash ends one process, and the next one goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.engine_fakes import CrashError, ListLog, MemorySink, MemorySource, WordEmbedder, World, vector_of
from tests.patience import PATIENCE
from tsds_stream.checkpoint import Checkpoint, CheckpointStore
from tsds_stream.durable import Disk
from tsds_stream.embedding.base import Embedder
from tsds_stream.engine import Engine, Options
from tsds_stream.engine.stop import Stop
from tsds_stream.exit_status import ExitStatus
from tsds_stream.payloads import PayloadStore
from tsds_stream.records import Document, Json, Target
from tsds_stream.selection.selector import Selector
from tsds_stream.selection.settings import SelectorConfig

CONFIG = SelectorConfig(budget=4, max_k=16, slack=16, sigma=0.8)
EAGER = Options(interval=0.0, publish_share=1.0, checkpoint_interval=0.0, targets_interval=0.0)


class ListedTargets:
    """A target file in memory."""

    positions = None
    tolerant = False

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = list(targets)
        self._new = False

    def read(self) -> list[Target]:
        self._new = False
        return list(self._targets)

    def changed(self) -> bool:
        return self._new

    def write(self, targets: Sequence[Target]) -> None:
        """Somebody edits the file."""
        self._targets = list(targets)
        self._new = True


class HastyDisk(Disk):
    """Nothing is really synced: the machine of these tests never loses power."""

    def sync(self, path: Path) -> None: ...
    def sync_directory(self, path: Path) -> None: ...


class CrashingStore(CheckpointStore):
    """Checkpoints on a real disk; the process may die before or after the n-th save."""

    def __init__(self, directory: Path, world: World, at: tuple[str, int] | None, count: list[int]) -> None:
        super().__init__(directory, disk=HastyDisk())
        self._world = world
        self._at = at
        self._count = count

    def save(self, write: Callable[[Path], object], meta: Json) -> Checkpoint:
        self._count[0] += 1
        if self._at == ("before", self._count[0]):
            self._world.dead = True
            raise CrashError
        checkpoint = super().save(write, meta)
        if self._at == ("after", self._count[0]):
            self._world.dead = True
        return checkpoint


@dataclass
class Story:
    """What outlives crashes, and how each process is started."""

    world: World
    directory: Path
    targets: dict[str, ListedTargets]
    configs: dict[str, SelectorConfig]
    options: Options = EAGER
    embedder: Callable[[], Embedder] = WordEmbedder
    crash_at_save: tuple[str, int] | None = None
    log: ListLog = field(default_factory=ListLog)
    crashes: int = 0
    saves: list[int] = field(default_factory=lambda: [0])

    def engine(self, stop: Stop | None = None) -> Engine:
        """A new process."""
        self.world.dead = False
        engine = Engine(
            open_source=lambda: MemorySource(self.world),
            sink=MemorySink(self.world),
            embedder=self.embedder(),
            configs=self.configs,
            readers=dict(self.targets),
            checkpoints=CrashingStore(self.directory / "checkpoints", self.world, self.crash_at_save, self.saves),
            payloads=PayloadStore(self.directory / "payloads.sqlite"),
            options=self.options,
            clock=self.world.clock,
            log=self.log,
            stop=stop,
        )
        numbers = engine.statistics
        self.world.idle = lambda: numbers.documents_applied >= numbers.documents_read
        return engine

    def tell(self) -> Engine:
        """Run to the end of the stream, through all crashes; the last process."""
        while True:
            engine = self.engine()
            try:
                assert engine.run() is ExitStatus.OK
            except CrashError:
                self.crashes += 1
                join_checkpoint_threads()
                assert self.crashes < 50, "it never gets anywhere"
            else:
                return engine

    def digests(self, name: str = "default") -> list[str]:
        """Of all revisions, oldest first."""
        return [publication.revision["digest"] for publication in self.world.history.get(name, [])]

    def last(self, name: str = "default") -> Json:
        """The last revision record."""
        return self.world.history[name][-1].revision

    def check(self, name: str = "default") -> None:
        """Every revision is the selection of its prefix, computed from scratch."""
        records = [publication.revision for publication in self.world.history[name]]
        assert all(record["exact"] for record in records)
        for record in records:
            listed = self.targets[name].read()
            expected = from_scratch(self.world.prefix(record["positions"]), listed, self.configs[name], name)
            assert record["digest"] == expected, f"revision {record['revision']}"


def join_checkpoint_threads() -> None:
    """A dead process has no threads; here they are left to end."""
    for thread in threading.enumerate():
        if thread.name == "tsds-checkpoint":
            thread.join(PATIENCE)


def story(
    items: Sequence[object],
    directory: Path,
    targets: Sequence[Target],
    config: SelectorConfig = CONFIG,
    **more: object,
) -> Story:
    """A story of one target set."""
    world_options = {name: more.pop(name) for name in ("follow", "rewindable", "batch") if name in more}
    world = World(list(items), **world_options)  # type: ignore[arg-type]
    return Story(world, directory, {"default": ListedTargets(targets)}, {"default": config}, **more)  # type: ignore[arg-type]


def from_scratch(
    documents: Sequence[Document], targets: Sequence[Target], config: SelectorConfig, name: str = "default"
) -> str:
    """The digest of a fresh selector that is fed with the last record per id, all at once."""
    last = {document.id: document for document in documents}
    live = [document for document in last.values() if not document.deleted and "poison" not in (document.text or "")]
    vectors = np.array([vector_of(t.text or "") for t in targets])
    selector = Selector(vectors, config, [t.id for t in targets], [t.weight for t in targets], name)
    selector.add([d.id for d in live], np.array([vector_of(d.text or "") for d in live]))
    revision = selector.refresh()
    assert revision is not None
    return revision.digest
