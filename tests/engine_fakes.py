"""A source, a sink, an embedder and a clock in memory: the world as engine tests tell it.

A stream is a list of items. A crash is an item, so is the passing of time: `[doc("a"), CRASH, doc("b"), Wait(5.0)]`.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tsds_stream.digests import digest_of
from tsds_stream.embedding.base import Embedder, EmbedderUnavailable, EmbedResult, Failure
from tsds_stream.records import DeadLetter, Document, Json, Target
from tsds_stream.streams.base import Batch, Committed, Positions, Publication, Sent, SinkError, Source, SourceError

DIMENSION = 16


class CrashError(Exception):
    """The process dies here."""


@dataclass(eq=False)
class CrashItem:
    """A crash that happens once, when the reader comes to it."""

    happened: bool = False


@dataclass(frozen=True)
class Wait:
    """So many seconds pass on the test's clock."""

    seconds: float


@dataclass(frozen=True)
class Bad:
    """A record that cannot be decoded."""

    value: bytes


@dataclass
class Do:
    """Something happens in the world, once."""

    action: Callable[[], None]
    happened: bool = False


Item = Document | CrashItem | Wait | Bad | Do


def doc(name: str, text: str | None = None, **more: Any) -> Document:
    """A document whose text is its name unless told otherwise."""
    return Document(id=name, text=name if text is None else text, **more)


def gone(name: str) -> Document:
    """The retraction of a document."""
    return Document(id=name, deleted=True)


def target(name: str, text: str | None = None, weight: float = 1.0) -> Target:
    """A target example whose text is its name unless told otherwise."""
    return Target(id=name, text=name if text is None else text, weight=weight)


class ManualClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def now(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds

    def move(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class World:
    """What outlives a crash: the stream, and what the sink has committed."""

    items: list[Item]
    clock: ManualClock = field(default_factory=ManualClock)
    follow: bool = False
    rewindable: bool = True
    batch: int = 4
    committed: Committed = field(default_factory=Committed)
    history: dict[str, list[Publication]] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    heartbeats: int = 0
    commits: int = 0
    # Called with "before" or "after" and the number of the commit; raising is a crash at that point.
    at_commit: Callable[[str, int], None] = lambda when, number: None
    dead: bool = False  # the process has died: whatever it still tries to do fails
    writer: object = None  # the sink that has recovered last, and alone may publish

    at_idle: Callable[[], None] = lambda: None  # called by a poll that finds nothing
    idle: Callable[[], bool] = lambda: True  # the engine has applied everything that it has read

    def settle(self) -> None:
        """Let the engine catch up with its reader, so that time passes for both."""
        for _ in range(1000):
            if self.idle():
                break
            threading.Event().wait(0.001)
        threading.Event().wait(0.001)

    def live(self) -> None:
        """Raise unless the process is alive."""
        if self.dead:
            raise CrashError

    def prefix(self, positions: Positions) -> list[Document]:
        """The documents up to some positions."""
        return [item for item in self.items[: positions["item"]] if isinstance(item, Document)]


class MemorySource(Source):
    """Reads a world's items; its position is the number of items read."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._at = 0
        self._until: int | None = None
        self.rewindable = world.rewindable
        self.closed = False

    def seek(self, positions: Positions | None) -> None:
        at = 0 if positions is None else positions.get("item", -1)
        if not 0 <= at <= len(self._world.items):
            raise SourceError(f"position {at} is not in the stream")
        self._at = at

    def poll(self, limit: int, timeout: float, until: Positions | None = None) -> Batch:
        self._world.live()
        self._until = None if until is None else until["item"]
        end = len(self._world.items) if self._until is None else self._until
        if self._at > end:
            raise SourceError(f"item {self._at} lies behind {end}, where reading was to end")
        documents: list[Document] = []
        letters: list[DeadLetter] = []
        while self._at < end and len(documents) + len(letters) < min(limit, self._world.batch):
            item = self._world.items[self._at]
            if isinstance(item, CrashItem) and not item.happened:
                if documents or letters:
                    break
                item.happened = True
                raise CrashError
            source = {"item": self._at}
            self._at += 1
            if isinstance(item, Document):
                documents.append(item)
            elif isinstance(item, Bad):
                now = self._world.clock.now()
                letters.append(DeadLetter("decode", "not a record", source, None, item.value, now))
            elif isinstance(item, Wait | Do):
                if documents or letters:
                    self._at -= 1
                    break
                self._world.settle()
                if isinstance(item, Wait):
                    self._world.clock.move(item.seconds)
                elif not item.happened:
                    item.happened = True
                    item.action()
                break
        if not documents and not letters and self._at >= end and self._world.follow:
            self._world.settle()
            self._world.at_idle()
        size = sum(len(document.text or "") for document in documents)
        return Batch(documents, letters, {"item": self._at}, size)

    @property
    def exhausted(self) -> bool:
        end = len(self._world.items) if self._until is None else self._until
        return self._at >= end and (not self._world.follow or self._until is not None)

    def unreachable(self, state: Positions | None, committed: Positions) -> str | None:
        return None

    def reaches_back(self, positions: Positions) -> bool:
        return self.rewindable

    def rest(self) -> None: ...

    def lag(self) -> Mapping[str, float]:
        return {"records": float(len(self._world.items) - self._at)}

    def close(self) -> None:
        self.closed = True


class MemorySink:
    """Applies publications as a consumer would, and refuses everything that a consumer could not make sense of."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._broken = False

    def recover(self) -> Committed:
        self._world.writer = self
        held = self._world.committed
        members = {name: dict(sent) for name, sent in held.members.items()}
        return Committed(held.positions, dict(held.revisions), members)

    def commit(
        self, publications: Sequence[Publication], dead_letters: Sequence[DeadLetter], positions: Positions
    ) -> None:
        world = self._world
        world.live()
        if self._broken or world.writer is not self:
            raise SinkError("a commit has failed before, or another sink publishes: only a restart settles that")
        if len({publication.name for publication in publications}) < len(publications):
            raise SinkError("two revisions of one set")
        world.commits += 1
        self._broken = True
        world.at_commit("before", world.commits)
        for publication in publications:
            self._apply(publication, positions)
        world.dead_letters += dead_letters
        before = world.committed.positions
        assert before is None or positions.get("item", 0) >= before.get("item", 0), "positions went back"
        world.committed.positions = dict(positions)
        world.at_commit("after", world.commits)
        self._broken = False

    def heartbeat(self, positions: Positions, now: int) -> None:
        self._world.live()
        self._world.heartbeats += 1

    def close(self) -> None:
        self._broken = True

    def _apply(self, publication: Publication, positions: Positions) -> None:
        world, record = self._world, publication.revision
        history = world.history.setdefault(publication.name, [])
        assert record["revision"] == len(history) + 1, "numbers are consecutive"
        assert record["positions"] == positions
        held = world.committed.members.setdefault(publication.name, {})
        for name in publication.removed:
            del held[name]
        added = 0
        for upsert, key in zip(publication.upserts, publication.keys, strict=True):
            added += upsert["id"] not in held
            held[upsert["id"]] = Sent(upsert["probability"], upsert["weight"], key, upsert["multiplicity"])
        assert (record["added"], record["removed"]) == (added, len(publication.removed))
        ids, probabilities, weights = publication.members
        assert list(ids) == sorted(held), "applying the difference gives exactly the revision's members"
        assert record["size"] == len(ids)
        assert record["digest"] == digest_of(ids, probabilities, weights)
        sent = [held[name] for name in sorted(held)]
        published = digest_of(sorted(held), [s.probability for s in sent], [s.weight for s in sent])
        assert record["published_digest"] == published
        world.committed.revisions[publication.name] = dict(record)
        history.append(publication)


class WordEmbedder(Embedder):
    """Counts words into hashed buckets; the same text always gets the same vector.

    Args:
        outages: so many calls fail as an outage before the embedder works.
    """

    def __init__(self, outages: int = 0, name: str = "words") -> None:
        self.outages = outages
        self.calls = 0
        self.texts: list[str] = []
        self._name = name

    @property
    def dimension(self) -> int:
        return DIMENSION

    @property
    def fingerprint(self) -> str:
        return f"{self._name}-{DIMENSION}"

    @property
    def batch_independent(self) -> bool:
        return True

    def embed_all(self, texts: Sequence[str]) -> EmbedResult:
        self.calls += 1
        if self.outages > 0:
            self.outages -= 1
            raise EmbedderUnavailable("the model is being loaded", retry_after=0.001)
        self.texts += texts
        result = EmbedResult(np.zeros((len(texts), DIMENSION), np.float32))
        for i, text in enumerate(texts):
            if "poison" in text:
                result.failures[i] = Failure("refused", "the text is poison")
                continue
            result.vectors[i] = vector_of(text)
        return result


def vector_of(text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(16,) float32: a sum of one direction per word and a little of the whole text."""
    vector = np.zeros(DIMENSION)
    for word in text.split():
        vector += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(DIMENSION)
    vector += 0.3 * np.random.default_rng(zlib.crc32(text.encode()) + 1).standard_normal(DIMENSION)
    return vector.astype(np.float32)


class ListLog:
    """Keeps events for tests to look at."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, Json]] = []

    def debug(self, event: str, /, **fields: object) -> None:
        self.lines.append(("debug", event, fields))

    def info(self, event: str, /, **fields: object) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, /, **fields: object) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, /, **fields: object) -> None:
        self.lines.append(("error", event, fields))

    def events(self, level: str | None = None) -> list[str]:
        """Names of the events, of one level if given."""
        return [event for at, event, _ in self.lines if level is None or at == level]
