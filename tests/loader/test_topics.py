"""A selection in topics is read through a copy that is exact, revision by revision, and kept up to date."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.streams.kafka_log import LogReader, Topics
from tsds_stream.loader.errors import DamagedRevisionError, RevisionError
from tsds_stream.loader.leases import Leases
from tsds_stream.loader.revisions import Revisions
from tsds_stream.loader.topics import Address, TopicPlace

ADDRESS = Address("a:9092,b:9092", "selection", "revisions")


def copy_of(topics: Topics, cache: Path, name: str = "default", timeout: float = PATIENCE) -> Revisions:
    place = TopicPlace(ADDRESS, name, cache, timeout=timeout, reader=lambda: LogReader(topics))
    return Revisions(place, name, Leases(place.leases, "reader"))


@pytest.fixture
def topics() -> Topics:
    topics = Topics(partitions=2)
    grow(topics, 0, 3)
    return topics


def grow(topics: Topics, start: int, end: int) -> None:
    for n in range(start, end):
        members = {f"d{i}": (0.1 * (1 + (i + n) % 5), 1.0, 1) for i in range(n, n + 6)}
        topics.publish({"default": members, "other": {"x": (0.5, float(n), 1)}})
    topics.show_all()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def check(topics: Topics, revisions: Revisions) -> None:
    """Every revision of the copy is exactly what was published."""
    for number in revisions.numbers():
        revision = revisions.at(number)
        revision.verify()
        assert {one["id"]: one for one in revision} == topics.truth[revisions.target_set, number]


def test_a_copy_follows_the_topics_and_holds_whole_revisions_only(topics: Topics, tmp_path: Path) -> None:
    with copy_of(topics, tmp_path) as revisions:
        assert revisions.newest() == 3
        first = revisions.latest()
        assert first.record["values"] == "published"
        for n in range(3, 12):
            grow(topics, n, n + 1)
            eventually(lambda n=n: revisions.newest() == n + 1)
            check(topics, revisions)
        assert {one["id"]: one for one in first} == topics.truth["default", 3]
        assert revisions.numbers() == list(range(3, 13))
        assert "other" not in [path.name for path in tmp_path.rglob("*")]


def test_a_copy_that_is_dropped_without_being_closed_ends_its_thread(topics: Topics, tmp_path: Path) -> None:
    before = threading.active_count()
    copy_of(topics, tmp_path).latest()
    gc.collect()
    eventually(lambda: threading.active_count() <= before)  # others may end meanwhile


def test_two_target_sets_and_two_readers_share_a_cache(topics: Topics, tmp_path: Path) -> None:
    opened = [copy_of(topics, tmp_path, name) for name in ("default", "other", "default")]
    assert [revisions.newest() for revisions in opened] == [3, 3, 3]
    opened[0].close()  # which wrote the copy that the last one reads
    grow(topics, 3, 5)
    for revisions in opened[1:]:
        eventually(lambda revisions=revisions: revisions.newest() == 5)
        check(topics, revisions)
        revisions.close()


def test_a_restart_goes_on_with_the_copy(topics: Topics, tmp_path: Path) -> None:
    with copy_of(topics, tmp_path) as revisions:
        revisions.hold(revisions.newest(), "checkpoint", 60.0)
    grow(topics, 3, 40)
    with copy_of(topics, tmp_path) as revisions:
        eventually(lambda: revisions.numbers() == [3, *range(21, 41)])  # what is let go of goes after what comes
        check(topics, revisions)


def test_other_processes_read_the_copy_and_start_no_thread(topics: Topics, tmp_path: Path) -> None:
    with copy_of(topics, tmp_path) as revisions:
        revision = revisions.latest()
        threads = threading.active_count()
        there = pickle.loads(pickle.dumps(revision))  # noqa: S301
        assert list(there) == list(revision)
        assert threading.active_count() == threads
        code = "import pickle, sys; print(len(pickle.load(sys.stdin.buffer)), 'kafka' in sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code], input=pickle.dumps(revision), capture_output=True, check=True
        )
        assert done.stdout.split() == [b"6", b"False"]


def test_a_set_that_is_not_published_is_an_error_in_time(topics: Topics, tmp_path: Path) -> None:
    revisions = copy_of(topics, tmp_path, "nothing", timeout=0.3)
    with pytest.raises(
        RevisionError, match=r"No revision of target set 'nothing' has come from kafka://a:9092,b:9092/"
    ):
        revisions.newest()
    revisions.close()


def test_a_damaged_copy_is_told_with_what_to_do(topics: Topics, tmp_path: Path) -> None:
    with copy_of(topics, tmp_path) as revisions:
        revisions.newest()
        path = next(tmp_path.rglob("00000001.jsonl"))
        path.write_bytes(path.read_bytes().replace(b"d3", b"d9"))
        with pytest.raises(DamagedRevisionError, match=r"00000001\.jsonl is damaged .*made anew from the topics"):
            revisions.latest().verify()


@pytest.mark.parametrize(
    "url",
    [
        "kafka://host:9092",
        "kafka:///selection",
        "kafka://host:9092/a/b",
        "kafka://host:9092/selection?revision=x",
        "kafka://user:secret@host:9092/selection",
    ],
)
def test_a_url_that_names_no_topics_is_told_how_to_be_written(url: str, tmp_path: Path) -> None:
    with pytest.raises(RevisionError, match=r"write kafka://HOST:PORT/SELECTION_TOPIC\?revisions=") as caught:
        Revisions.open(url, cache=tmp_path)
    assert "secret" not in str(caught.value)
    with pytest.raises(RevisionError, match="say where with cache=DIR"):
        Revisions.open("kafka://host:9092/selection")
    assert os.listdir(tmp_path) == []


def test_topics_are_named_by_a_url() -> None:
    assert Address.of("kafka://a:1,b:2/selection") == Address("a:1,b:2", "selection", "revisions")
    assert Address.of(str(ADDRESS)) == ADDRESS
