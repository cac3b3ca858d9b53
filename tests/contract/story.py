"""One story, told by engines over any source and any sink: processes die at commits, and others go on."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from tests.contract.ledger import check_numbers
from tests.contract.stores import Crash, Seen, Store
from tests.contract.streams import Put, Stream, broken, gone, new
from tests.engine_fakes import ListLog, ManualClock, WordEmbedder, target
from tests.engine_stories import HastyDisk, ListedTargets, join_checkpoint_threads
from tsds_stream.checkpoint import CheckpointStore
from tsds_stream.engine import Engine, Options
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.payloads import PayloadStore
from tsds_stream.records import DeadLetter
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.streams.base import Batch, Committed, Positions, Publication, Sink, Source

WORDS = ["red", "green", "blue", "cat", "dog", "bird", "stone", "sea", "sky", "tree", "house", "river"]
FIRST = [target("t1", "red cat"), target("t2", "blue sea"), target("t3", "green stone sky")]
LATE = target("late", "dog bird stone")
CONFIGS = {
    "default": SelectorConfig(budget=4, max_k=16, slack=16, sigma=0.8),
    "other": SelectorConfig(budget=7, max_k=12, slack=20, sigma=0.6),
}
COUNT = 90
OPTIONS = Options(interval=0.0, publish_share=1.0, checkpoint_interval=0.0, targets_interval=0.0, batch=8)


def records() -> list[Put]:
    """Arrivals, versions, retractions, poison and what cannot be decoded."""
    chosen, told = random.Random(3), list[Put]()
    for i in range(COUNT):
        kind, name, text = chosen.random(), f"d{chosen.randrange(i + 1):03d}", " ".join(chosen.choices(WORDS, k=3))
        if kind < 0.05:
            told.append(broken(f"key {i}", f"broken {i}"))
        elif kind < 0.1:
            told.append(new(f"p{i:03d}", f"poison {text}"))
        elif kind < 0.25:
            told.append(gone(name))
        else:
            told.append(new(name if kind < 0.45 else f"d{i:03d}", f"{text} {i}"))
    return told


class Ending(Source):
    """A source that tells what it has read, and ends where the test has put the last record."""

    def __init__(self, source: Source, stream: Stream, tell: Callable[[int], None]) -> None:
        self._source = source
        self._stream = stream
        self._tell = tell
        self._ended = False
        self.rewindable = source.rewindable

    def seek(self, positions: Positions | None) -> None:
        self._source.seek(positions)

    def poll(self, limit: int, timeout: float, until: Positions | None = None) -> Batch:
        batch = self._source.poll(limit, timeout, until)
        if until is None:
            self._tell(len(batch.documents))
            self._ended = not self._stream.ends and self._stream.at_end(batch.positions)
        return batch

    @property
    def exhausted(self) -> bool:
        return self._ended or self._source.exhausted

    def unreachable(self, state: Positions | None, committed: Positions) -> str | None:
        return self._source.unreachable(state, committed)

    def reaches_back(self, positions: Positions) -> bool:
        return self._source.reaches_back(positions)

    def rest(self) -> None:
        self._source.rest()

    def lag(self) -> Mapping[str, float]:
        return self._source.lag()

    def close(self) -> None:
        self._source.close()


class Mortal(Sink):
    """A sink whose process dies, at the given commits (of all processes together), in one of the ways of its store."""

    def __init__(self, sink: Sink, told: Telling) -> None:
        self._sink = sink
        self._told = told

    def recover(self) -> Committed:
        return self._sink.recover()

    def commit(
        self, publications: Sequence[Publication], dead_letters: Sequence[DeadLetter], positions: Positions
    ) -> None:
        told = self._told
        told.commits += 1
        if told.commits in told.deaths:
            told.store.arm(self._sink, told.deaths[told.commits])
        self._sink.commit(publications, dead_letters, positions)

    def heartbeat(self, positions: Positions, now: int) -> None:
        self._sink.heartbeat(positions, now)

    def close(self) -> None:
        self._sink.close()


class Telling:
    """The story over one source and one sink.

    Args:
        deaths: number of the commit -> point at which its process dies.
        late: examples that come when half of the documents have been read; None: the first ones stay.
    """

    def __init__(self, stream: Stream, store: Store, folder: Path, deaths: Mapping[int, str], late: bool) -> None:
        self.stream, self.store, self.deaths = stream, store, deaths
        self.commits = self.processes = 0
        self._folder = folder
        self._late = late
        self._read = 0
        self._clock, self.log = ManualClock(), ListLog()
        self._targets = {name: ListedTargets(FIRST) for name in CONFIGS}

    def tell(self) -> Seen:
        """To the end, through all deaths; what readers see then."""
        for one in records():
            self.stream.put([one], crc32(one.id.encode()) % self.stream.lanes)
        self.stream.finish()
        while True:
            self.processes += 1
            assert self.processes <= len(self.deaths) + 1, self.log.lines[-3:]
            try:
                assert self._engine().run() is ExitStatus.OK
            except (Crash, CommandError):
                if self.processes == 2:
                    shutil.rmtree(self._folder / "checkpoints", ignore_errors=True)  # the next one reads all again
            else:
                break
            finally:
                join_checkpoint_threads()
        seen = self.store.seen()
        check_numbers(seen)
        return seen

    def _engine(self) -> Engine:
        """A new process."""
        return Engine(
            open_source=lambda: Ending(self.stream.open(), self.stream, self._note),
            sink=Mortal(self.store.open(), self),
            embedder=WordEmbedder(),
            configs=CONFIGS,
            readers=dict(self._targets),
            checkpoints=CheckpointStore(self._folder / "checkpoints", disk=HastyDisk()),
            payloads=PayloadStore(self._folder / "payloads.sqlite"),
            options=OPTIONS,
            clock=self._clock,
            log=self.log,
        )

    def _note(self, documents: int) -> None:
        before, self._read = self._read, self._read + documents
        if self._late and before < COUNT // 2 <= self._read:
            self._targets["default"].write([*FIRST[1:], LATE])


def outcome(seen: Seen) -> dict[str, Any]:
    """What all tellings have in common at their end."""
    return {
        "digests": {name: revisions[-1]["digest"] for name, revisions in seen.revisions.items()},
        "exact": [revisions[-1]["exact"] for revisions in seen.revisions.values()],
        "members": {name: sorted(held) for name, held in seen.members.items()},
        "targets": {name: revisions[-1]["targets_active"] for name, revisions in seen.revisions.items()},
        "letters": sorted(map(_essence, seen.letters)),
    }


def _essence(letter: DeadLetter) -> tuple[str, bytes | None]:
    """The value of a broken record; the id of a poisonous one, whose value the source may not have kept."""
    return ("refused", letter.key) if letter.reason == "refused" else ("broken", letter.value)
