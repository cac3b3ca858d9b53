"""A copy of the selection is whole on disk at every moment, whatever happens to the process that writes it."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.faulty_disk import CRASHES, Crash, FaultyDisk
from tests.streams.kafka_log import LogReader, Topics
from tests.streams.stories import publication
from tsds_stream.streams.base import SinkError
from tsds_stream.streams.compaction import Compaction
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.kafka.mirror import SelectionMirror
from tsds_stream.streams.revisions import list_revisions, open_revision

IDLE = 30  # polls without a record, after which everything was read


class EndingReader(LogReader):
    """Asks for the end when nothing is left."""

    def __init__(self, topics, mirror):
        super().__init__(topics)
        self.mirror = mirror
        self.idle = 0

    def poll(self, timeout, limit):
        found = super().poll(timeout, limit)
        self.idle = 0 if found else self.idle + 1
        if self.idle > IDLE:
            self.mirror.stop()
        return found


def copied(topics: Topics, root, disk=None, **options) -> None:
    """Run a mirror until it has read everything."""

    def sink() -> DirectorySink:
        return DirectorySink(root, keep_revisions=3, disk=disk or FaultyDisk(), compaction=Compaction(large=4, many=2))

    mirror = SelectionMirror(
        "",
        "selection",
        root,
        sets=("default", "other"),
        reader=lambda: EndingReader(topics, mirror),
        sink=sink,
        **options,
    )
    mirror.serve()


def check(topics: Topics, root, name: str = "default") -> list[int]:
    """Every revision that is kept is exactly what was published; their numbers."""
    records, damages = list_revisions(root, name)
    assert not damages
    for record in records:
        revision = open_revision(root, name, record["revision"])
        revision.verify()
        assert {one["id"]: one for one in revision} == topics.truth[name, record["revision"]]
    return [record["revision"] for record in records]


def grow(topics: Topics, start: int, end: int) -> None:
    for n in range(start, end):
        members = {f"d{i}": (0.1 * (1 + (i + n) % 5), 1.0, 1) for i in range(n, n + 6)}
        topics.publish({"default": members, **({"other": {"x": (0.5, float(n), 1)}} if n % 2 else {})})
    topics.show_all()


def test_a_copy_has_the_newest_revision_and_goes_on_where_it_was_left(tmp_path):
    topics = Topics(partitions=2)
    grow(topics, 0, 5)
    copied(topics, tmp_path)
    assert check(topics, tmp_path) == [5]
    assert check(topics, tmp_path, "other") == [2]
    grow(topics, 5, 9)
    copied(topics, tmp_path, every=True)
    assert check(topics, tmp_path) == [7, 8, 9]
    grow(topics, 9, 20)
    copied(topics, tmp_path)
    assert check(topics, tmp_path) == [8, 9, 20]


def test_revisions_say_that_their_values_are_those_that_were_published(tmp_path):
    topics = Topics()
    grow(topics, 0, 1)
    copied(topics, tmp_path)
    revision = open_revision(tmp_path, "default")
    assert revision.record["values"] == "published"
    assert revision.record["digest"] == "0" * 32  # of the exact values, which are not here


def test_a_copy_survives_the_loss_of_what_compaction_has_removed(tmp_path):
    topics = Topics(partitions=2)
    grow(topics, 0, 3)
    copied(topics, tmp_path)
    grow(topics, 3, 12)
    for log in topics.logs.values():
        log.compact(tombstones=True)
    copied(topics, tmp_path)
    assert check(topics, tmp_path)[-1] == 12


@pytest.mark.parametrize("fault", CRASHES)
def test_a_copy_is_whole_wherever_its_process_dies(tmp_path, fault):
    counted = FaultyDisk()
    topics = Topics(partitions=2)
    grow(topics, 0, 2)
    copied(topics, tmp_path / "counted", counted)
    for at in range(0, len(counted.operations) + 1, 3):
        topics, root = Topics(partitions=2), tmp_path / str(at)
        grow(topics, 0, 2)
        with suppress(Crash):
            copied(topics, root, FaultyDisk(at, fault))
        grow(topics, 2, 4)
        copied(topics, root)
        assert check(topics, root)[-1] == 4


def test_a_full_disk_is_an_error_after_which_the_copy_goes_on(tmp_path):
    topics = Topics()
    grow(topics, 0, 2)
    with pytest.raises(SinkError, match="no space is left"):
        copied(topics, tmp_path, FaultyDisk(12, "full"))
    copied(topics, tmp_path)
    assert check(topics, tmp_path) == [2]


def test_topics_that_were_made_anew_do_not_overwrite_a_copy(tmp_path):
    old = topics = Topics()
    grow(topics, 0, 5)
    copied(topics, tmp_path)
    topics = Topics()
    topics.publish({"default": {"a": (0.5, 1.0, 1)}})
    topics.show_all()
    with pytest.raises(SinkError, match="revision 5 of 'default', and the newest of the topics is revision 1"):
        copied(topics, tmp_path)
    assert check(old, tmp_path) == [5]


def test_a_directory_that_its_publisher_wrote_is_not_taken_for_a_copy(tmp_path):
    sink = DirectorySink(tmp_path)
    sink.recover()
    sink.commit([publication("default", 1, {}, {"a": (0.5, 1.0, 1)})], [], {})
    sink.close()
    with pytest.raises(SinkError, match="Choose another directory"):
        copied(Topics(), tmp_path)
