"""Any source with any sink: the same story has the same end, whoever dies on the way."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import make_store, make_stream
from tests.contract.story import Telling, outcome

SOURCES, SINKS = ("memory", "directory", "kafka"), ("memory", "directory", "kafka")


def pairs(sources: tuple[str, ...]) -> list[Any]:
    return [
        pytest.param(source, sink, marks=[pytest.mark.kafka] if "kafka" in (source, sink) else [])
        for source in sources
        for sink in SINKS
    ]


def telling(
    source: str, sink: str, folder: Path, request: pytest.FixtureRequest, deaths: int = 0, late: bool = True
) -> Telling:
    """Over a new stream and a new store. The deaths are at random commits and points, the same in each run."""
    stream = make_stream(source, folder, request)
    store = make_store(sink, folder, request, getattr(stream, "topic", None))
    request.addfinalizer(stream.close)
    request.addfinalizer(store.close)
    chosen = random.Random(f"{source} {sink}")
    points = {commit: chosen.choice(list(store.points)) for commit in chosen.sample(range(1, 8), deaths)}
    return Telling(stream, store, folder, points, late)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[bool, dict[str, Any]]:
    """How it ends in memory when nobody dies; with a late example and without."""
    ends = {}
    for late in (True, False):
        told = telling("memory", "memory", tmp_path_factory.mktemp("expected"), request, late=late)
        ends[late] = outcome(told.tell())
    assert ends[True]["digests"]["default"] != ends[False]["digests"]["default"]
    assert all(ends[True]["exact"])
    assert len({reason for reason, _ in ends[True]["letters"]}) == 2
    return ends


@pytest.mark.parametrize(("source", "sink"), pairs(SOURCES))
def test_processes_that_die_at_commits_change_nothing_in_the_end(source, sink, expected, tmp_path, request):
    told = telling(source, sink, tmp_path, request, deaths=2 if "kafka" in (source, sink) else 4)
    assert outcome(told.tell()) == expected[True]
    assert told.processes > 1


@pytest.mark.parametrize(("source", "sink"), pairs(("standard input",)))
def test_what_comes_by_only_once_ends_in_the_same_way_where_nobody_dies(source, sink, expected, tmp_path, request):
    told = telling(source, sink, tmp_path, request, late=False)
    assert outcome(told.tell()) == expected[False]
