"""Audits of stories in memory: the log is the world's list of items, and what is published is what its sink holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.engine_fakes import DIMENSION, Bad, ListLog, ManualClock, WordEmbedder, World
from tests.engine_stories import Story
from tsds_stream.engine.preparation import Preparer
from tsds_stream.engine.statistics import Statistics
from tsds_stream.engine.stop import Stop
from tsds_stream.records import DeadLetter, Document, Json, Target
from tsds_stream.streams.base import Batch, Positions
from tsds_stream.streams.kafka.positions import KafkaPositions
from tsds_stream.verification.audit import Case, Wanted, audit
from tsds_stream.verification.evidence import Current, Place, Published
from tsds_stream.verification.examples import Oracles
from tsds_stream.verification.report import Report
from tsds_stream.verification.topic_steps import gone_back, told_between

HOUR = 3_600_000


def located(source: Json) -> Json:
    """Where an item of a world stands, as a topic would say it."""
    return {"topic": "items", "partition": 0, "offset": source["item"]}


class WorldLog:
    """Reads the items of a world once."""

    def __init__(self, world: World) -> None:
        self.thinned = ""
        self._items = world.items
        self._at = 0
        self.lost: str | None = None

    def unreadable(self, positions: Positions) -> str | None:
        return self.lost

    def progress(self, positions: Positions) -> int:
        return int(positions["item"])

    def told_between(self, before: Positions, after: Positions) -> str | None:
        return None

    def gone_back(self, before: Positions, after: Positions) -> str | None:
        return "an earlier item" if after["item"] < before["item"] else None

    def amount(self, positions: Positions) -> int | None:
        return int(positions["item"])

    def covers(self, place: Place) -> bool:
        return place.offset < self._at

    def batches(self, until: Positions) -> Iterator[Batch]:
        while self._at < until["item"]:
            end = min(self._at + 7, until["item"])
            documents: list[Document] = []
            letters: list[DeadLetter] = []
            for offset in range(self._at, end):
                item, source = self._items[offset], {"topic": "items", "partition": 0, "offset": offset}
                if isinstance(item, Document):
                    copy = Document(item.id, item.text, item.embedding, item.tokens, item.timestamp)
                    copy.deleted, copy.source = item.deleted, source
                    documents.append(copy)
                elif isinstance(item, Bad):
                    letters.append(DeadLetter("decode", "not a record", source, None, None, 0))
            self._at = end
            yield Batch(documents, letters, {"item": end})

    def close(self) -> None: ...


class Steps:
    """What orders positions of a topic, without the topic."""

    told_between = staticmethod(told_between)
    gone_back = staticmethod(gone_back)


def series(*positions: Json) -> list[Json]:
    """Revision records of these positions, with nothing else wrong."""
    return [
        {"revision": number, "size": 0, "added": 0, "removed": 0, "positions": one}
        for number, one in enumerate(positions, 1)
    ]


def offsets(*documents: int, topic_id: str = "one", gaps: Sequence[Json] = ()) -> Json:
    """Positions of a topic, partition by partition."""
    held = dict(enumerate(documents))
    return KafkaPositions("documents", topic_id, held, dict.fromkeys(held, 0), tuple(gaps)).as_positions()


@dataclass
class Listed:
    """Examples that do not change."""

    targets: list[Target]

    def at(self, positions: Json | None) -> list[Target]:
        return self.targets


def published(story: Story) -> Published:
    """What the sink of a story holds, to be tampered with."""
    world = story.world
    revisions = {name: [dict(one.revision) for one in history] for name, history in world.history.items()}
    current = {name: Current(len(world.history[name]), dict(sent)) for name, sent in world.committed.members.items()}
    letters = [
        DeadLetter(one.reason, one.detail, located(one.source), one.key, one.value, one.created)
        for one in world.dead_letters
    ]
    return Published(revisions, True, current, world.committed.positions, letters)


def audited(
    story: Story, found: Published | None = None, wanted: Wanted = "all", log: WorldLog | None = None
) -> Report:
    """The report on a story that was told."""
    embedder = WordEmbedder()
    preparer = Preparer(embedder, ManualClock(), Statistics(), ListLog(), Stop())
    readers = {name: Listed(listed.read()) for name, listed in story.targets.items()}
    case = Case(
        log=log or WorldLog(story.world),
        published=found or published(story),
        oracle=Oracles(story.configs, readers, preparer, embedder.fingerprint, DIMENSION),
        preparer=preparer,
        dimension=DIMENSION,
        weight_change=story.options.weight_change,
        max_future=HOUR,
        now=story.world.clock.now(),
    )
    return audit(case, wanted)
