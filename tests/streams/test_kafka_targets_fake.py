"""Target examples from a topic: what is in force is the last record of every key, and nothing else."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

from tests.patience import PATIENCE
from tests.streams.kafka_log import LogReader, Topics
from tsds_stream.codecs import Decoder
from tsds_stream.streams.base import SourceError, SourceUnavailable
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.encoding import Wire
from tsds_stream.streams.kafka.errors import OutOfRange, Partition, Unreachable
from tsds_stream.streams.kafka.targets import TargetTopic

TOPIC = "targets"


class Lines:
    """A log that remembers."""

    def __init__(self):
        self.warnings = []
        self.infos = []

    def debug(self, event, /, **fields): ...

    def info(self, event, /, **fields):
        self.infos.append((event, fields))

    def warning(self, event, /, **fields):
        self.warnings.append((event, fields))

    def error(self, event, /, **fields): ...


class World:
    """A topic of targets, and whoever reads it."""

    def __init__(self, partitions: int = 2):
        self.topics = Topics()
        self.topics.logs = {
            Partition(TOPIC, n): type(next(iter(self.topics.logs.values())))() for n in range(partitions)
        }
        self.log = Lines()

    def send(self, key: str | bytes | None, value: object, *, partition: int = 0, raw: bool = False) -> None:
        log = self.topics.logs[Partition(TOPIC, partition)]
        data = value if raw or value is None else json.dumps(value).encode()
        log.append(Partition(TOPIC, partition), Wire(key.encode() if isinstance(key, str) else key, data))
        log.visible = log.end

    def open(self, *names: str, reader=None, **options) -> TargetTopic:
        topic = TargetTopic(
            Connection("nowhere:1"),
            TOPIC,
            Decoder(),
            names or ("default",),
            self.log,
            open_reader=reader or (lambda connection: LogReader(self.topics)),
            **{"patience": 10.0, **options},
        )
        topic.start()
        return topic


def eventually(happened, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def world():
    return World()


def test_examples_come_in_ascending_order_with_the_positions_that_they_reflect(world):
    world.send("default/b", {"text": "two"}, partition=1)
    world.send("default/a/b", {"text": "one", "weight": 2.0, "id": "something else"})
    world.send("other/x", {"text": "of no interest"})
    topic = world.open()
    reader = topic.reader("default")
    assert [(one.id, one.text, one.weight) for one in reader.read()] == [("a/b", "one", 2.0), ("b", "two", 1.0)]
    assert reader.positions == {"0": 2, "1": 1}
    assert not reader.changed()
    topic.close()


def test_a_null_value_withdraws_and_new_records_are_noticed(world):
    world.send("default/a", {"text": "one"})
    topic = world.open()
    reader = topic.reader("default")
    assert len(reader.read()) == 1
    world.send("default/b", {"text": "two"})
    eventually(reader.changed)
    assert [one.id for one in reader.read()] == ["a", "b"]
    world.send("default/a", None)
    eventually(reader.changed)
    assert [one.id for one in reader.read()] == ["b"]
    world.send("default/b", {"deleted": True})
    eventually(reader.changed)
    assert reader.read() == []
    topic.close()


@pytest.mark.parametrize("value", [b"not json", b'{"weight": 1}', b'{"text": "a", "weight": -1}', b"", b"[1]"])
def test_a_record_that_is_no_example_withdraws_its_key_and_is_told_of_once(world, value):
    world.send("default/a", {"text": "one"})
    world.send("default/b", {"text": "two"})
    world.send("default/a", value, raw=True)
    topic = world.open()
    assert [one.id for one in topic.reader("default").read()] == ["b"]
    ((event, fields),) = world.log.warnings
    assert event == "an unusable target withdraws its key"
    assert (fields["topic"], fields["partition"], fields["offset"]) == (TOPIC, 0, 2)
    assert (fields["set"], fields["id"]) == ("default", "a")
    topic.close()


def test_after_compaction_the_same_examples_are_in_force(world):
    for value in ({"text": "one"}, {"weight": 3}, {"text": "three"}):
        world.send("default/a", value)
        world.send("default/b", {"text": "b"} if value != {"text": "three"} else {"text": ""})
    before = world.open()
    old = [(one.id, one.text) for one in before.reader("default").read()]
    before.close()
    for log in world.topics.logs.values():
        log.compact(tombstones=True)
    after = world.open()
    assert [(one.id, one.text) for one in after.reader("default").read()] == old == [("a", "three")]
    after.close()


@pytest.mark.parametrize("key", [None, b"\xff/a", "default", "/a", "default/", "default/" + "x" * 5000])
def test_a_key_that_names_no_example_is_left_out_with_a_warning(world, key):
    world.send(key, {"text": "one"})
    topic = world.open()
    assert topic.reader("default").read() == []
    assert len(world.log.warnings) == 1
    topic.close()


def test_the_engine_can_wait_until_every_set_has_an_example(world):
    topic = world.open("default", "other")
    world.send("default/a", {"text": "one"})
    calls = []

    def stop() -> bool:
        calls.append(1)
        if len(calls) == 3:
            world.send("other/a", {"text": "one"})
        return False

    assert topic.wait_for_examples(["default", "other"], stop)
    assert any(event == "waiting for target examples" for event, _ in world.log.infos)
    world.send("other/a", None)
    eventually(lambda: topic.reader("other").read() == [])
    assert not topic.wait_for_examples(["other"], lambda: True)
    topic.close()


def test_an_outage_is_borne_and_reading_goes_on_where_it_was(world, monkeypatch):
    monkeypatch.setattr("tsds_stream.streams.kafka.targets._PAUSE", 0.01)
    world.send("default/a", {"text": "one"})
    away = SimpleNamespace(now=True, tries=0)

    class Reader(LogReader):
        def poll(self, timeout, limit):
            if away.now:
                raise Unreachable("no broker answers")
            return super().poll(timeout, limit)

    def opened(connection):
        away.tries += 1
        return Reader(world.topics)

    topic = world.open(reader=opened)
    reader = topic.reader("default")
    eventually(lambda: away.tries > 3)
    assert len(world.log.warnings) == 1
    away.now = False
    assert len(reader.read()) == 1
    away.now = True
    eventually(lambda: away.tries > 6)
    assert not reader.changed()
    world.send("default/b", {"text": "two"})
    away.now = False
    eventually(reader.changed)
    assert [one.id for one in reader.read()] == ["a", "b"]
    topic.close()


def test_a_topic_that_was_cut_off_leaves_the_examples_as_they_are_and_says_so(world):
    world.send("default/a", {"text": "one"})
    cut = SimpleNamespace(now=False)

    class Reader(LogReader):
        def poll(self, timeout, limit):
            if cut.now:
                raise OutOfRange({Partition(TOPIC, 0): 1})
            return super().poll(timeout, limit)

    topic = world.open(reader=lambda connection: Reader(world.topics))
    reader = topic.reader("default")
    assert len(reader.read()) == 1
    cut.now = True

    with pytest.raises(SourceError, match=r"targets/0 at 1.*start again"):
        eventually(reader.changed)
    topic.close()


def test_a_topic_that_does_not_end_in_time_is_an_error_with_a_remedy(world):
    def away(connection):
        raise Unreachable("no broker answers")

    topic = world.open(reader=away, patience=0.05)
    with pytest.raises(SourceUnavailable, match="could not be read to its end"):
        topic.reader("default").read()
    topic.close()


def test_a_missing_topic_is_an_error(world):
    world.topics.logs.clear()
    topic = world.open()
    with pytest.raises(SourceError, match="There is no topic 'targets'"):
        topic.reader("default").read()
    topic.close()
