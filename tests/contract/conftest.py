"""Every stream and every store, by name. Those of Kafka are on the server of the test run."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.local_stores import DirectoryStore, MemoryStore
from tests.contract.local_streams import ChainedStream, FileStream, MemoryStream, PipedStream
from tests.contract.stores import Store
from tests.contract.streams import Stream, fill

KAFKA = pytest.param("kafka", marks=pytest.mark.kafka)
THREE = ("a.jsonl", "b.jsonl.gz", "c.jsonl")
LOCAL: dict[str, Callable[[Path], Stream]] = {
    "memory": MemoryStream,
    "memory followed": lambda folder: MemoryStream(folder, follow=True),
    "file": FileStream,
    "directory": lambda folder: FileStream(folder, THREE),
    "directory followed": lambda folder: FileStream(folder, ("a.jsonl", "b.jsonl", "c.ndjson"), follow=True),
    "files in a row": lambda folder: ChainedStream(folder, THREE),
    "standard input": PipedStream,
}
REWINDABLE = [name for name in LOCAL if name != "standard input"]
FOLLOWED = [name for name in LOCAL if name.endswith("followed")]


def named() -> Callable[[str], str]:
    """`fresh` for what lives longer than one test."""
    mark = uuid.uuid4().hex[:10]
    return lambda name: f"{name}-{mark}"


def make_stream(kind: str, folder: Path, request: pytest.FixtureRequest) -> Stream:
    """An empty one."""
    if kind != "kafka":
        return LOCAL[kind](folder)
    from tests.contract.kafka_stream import KafkaStream

    return KafkaStream(request.getfixturevalue("broker"), named())


def make_store(kind: str, folder: Path, request: pytest.FixtureRequest, documents: str | None = None) -> Store:
    """An empty one; `documents`: the topic of the source, if that is one."""
    if kind != "kafka":
        return {"memory": MemoryStore, "directory": DirectoryStore}[kind](folder)
    from tests.contract.kafka_store import KafkaStore

    return KafkaStore(request.getfixturevalue("broker"), named(), documents)


class Shared:
    """Filled streams that tests only read: each is made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Stream] = {}

    def get(self, kind: str, request: pytest.FixtureRequest) -> Stream:
        if kind not in self._made:
            folder = self._folder / kind.replace(" ", "-")
            folder.mkdir()
            self._made[kind] = make_stream(kind, folder, request)
            fill(self._made[kind])
        return self._made[kind]

    def close(self) -> None:
        for stream in self._made.values():
            stream.close()


@pytest.fixture(scope="session")
def shared_streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    shared = Shared(tmp_path_factory.mktemp("streams"))
    yield shared
    shared.close()


def lent(kind: str, shared: Shared, request: pytest.FixtureRequest) -> Iterator[Stream]:
    stream = shared.get(kind, request)
    stream.begin()
    yield stream
    stream.leave()


@pytest.fixture(params=[*LOCAL, KAFKA])
def stream(request: pytest.FixtureRequest, shared_streams: Shared) -> Iterator[Stream]:
    """A filled stream of each kind, to be read."""
    yield from lent(request.param, shared_streams, request)


@pytest.fixture(params=[*REWINDABLE, KAFKA])
def rewindable(request: pytest.FixtureRequest, shared_streams: Shared) -> Iterator[Stream]:
    """The same, of kinds that can be read again."""
    yield from lent(request.param, shared_streams, request)


@pytest.fixture(params=[*FOLLOWED, KAFKA])
def followed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stream]:
    """An empty stream of each kind that never ends, to be written to."""
    stream = make_stream(request.param, tmp_path, request)
    yield stream
    stream.close()
