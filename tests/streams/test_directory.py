"""The snapshot directory holds every revision whole."""

from __future__ import annotations

import subprocess
import sys
import threading

import orjson
import pytest

from tests.streams.directory_cases import FIRST, SECOND, TIGHT, opened, published
from tests.streams.stories import Story, letter, publication, sent
from tsds_stream.digests import digest_of
from tsds_stream.sealed import unseal
from tsds_stream.streams.base import Publication, SinkError
from tsds_stream.streams.compaction import Compaction
from tsds_stream.streams.directory import DirectorySink
from tsds_stream.streams.revisions import (
    NoSuchRevisionError,
    difference,
    latest_revision,
    list_revisions,
    open_revision,
    target_sets,
)


def test_a_new_directory_holds_nothing(tmp_path):
    sink = opened(tmp_path / "deep" / "selection")
    sink.close()
    assert target_sets(tmp_path / "deep" / "selection") == []
    assert target_sets(tmp_path / "nowhere") == []


def test_revisions_are_read_back_as_they_were(tmp_path):
    story = published(tmp_path, FIRST, SECOND)
    story.check(tmp_path)
    assert target_sets(tmp_path) == ["a"]
    records, damages = list_revisions(tmp_path, "a")
    assert [record["size"] for record in records] == [3, 3]
    assert damages == []
    first = open_revision(tmp_path, "a", 1)
    assert first.ids == ["x", "y", "ä"]
    assert first[1]["text"] == "text of y"
    assert first.find("ä") == 2
    assert first.find("b") is None
    assert first.sent[2] == sent(FIRST)["ä"]
    assert first.record["digest"] == digest_of(first.ids, first.probabilities, first.weights)
    with pytest.raises(IndexError):
        first[3]


def test_the_difference_between_two_revisions(tmp_path):
    published(tmp_path, FIRST, SECOND)
    change = difference(open_revision(tmp_path, "a", 1), open_revision(tmp_path, "a", 2))
    assert change.added == ["b"]
    assert change.removed == ["y"]
    assert change.changed == [("ä", sent(FIRST)["ä"], sent(SECOND)["ä"])]


def test_exact_values_are_kept_where_consumers_hold_older_ones(tmp_path):
    sink = opened(tmp_path)
    one = publication("a", 1, {}, FIRST)
    sink.commit([one], [], {"documents": 1})
    exact = [0.5000001, 0.25, 0.2499999]
    record = {**one.revision, "revision": 2, "digest": digest_of(["x", "y", "ä"], exact, [1.0, 2.0, 2.0])}
    sink.commit([Publication("a", record, [], [], [], (["x", "y", "ä"], exact, [1.0, 2.0, 2.0]))], [], {"documents": 2})
    assert sink.recover().members["a"] == sent(FIRST)
    revision = open_revision(tmp_path, "a")
    revision.verify()
    assert revision.probabilities.tolist() == exact
    assert revision[0]["probability"] == 0.5000001
    assert len(list((tmp_path / "a" / "segments").iterdir())) == 2
    sink.close()


def test_positions_alone_are_a_commit(tmp_path):
    story = published(tmp_path, FIRST)
    sink = opened(tmp_path, story)
    story, arguments = story.after({}, [], {"documents": 77, "deep": [1, {"a": None}]})
    sink.commit(*arguments)
    assert story.is_what(sink.recover())
    sink.close()


def test_an_empty_revision_can_be_published_and_followed(tmp_path):
    published(tmp_path, FIRST, {}, SECOND).check(tmp_path)
    assert len(open_revision(tmp_path, "a", 2)) == 0
    open_revision(tmp_path, "a", 2).verify()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda one: one.revision.update(revision=3),
        lambda one: one.removed.append("not there"),
        lambda one: one.members[0].append("zz"),
        lambda one: one.upserts.pop(),
        lambda one: one.members[0].reverse(),
    ],
    ids=["number", "unknown", "extra", "missing", "order"],
)
def test_a_publication_that_does_not_follow_is_refused(tmp_path, spoil):
    story = published(tmp_path, FIRST)
    sink = opened(tmp_path, story)
    wrong = publication("a", 2, FIRST, SECOND)
    spoil(wrong)
    with pytest.raises(SinkError):
        sink.commit([wrong], [letter("late")], {"documents": 9})
    assert story.is_what(sink.recover())
    sink.commit([publication("a", 2, FIRST, SECOND)], [], {"documents": 9})
    sink.close()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "é", "commit.json", "writer.lock", "x" * 201])
def test_a_set_with_an_impossible_name_is_refused(tmp_path, name):
    sink = opened(tmp_path / "s")
    with pytest.raises(SinkError, match="cannot be named"):
        sink.commit([publication(name, 1, {}, FIRST)], [], {})
    assert Story().is_what(sink.recover())
    sink.close()


def test_a_second_writer_is_told_who_is_first(tmp_path):
    sink = opened(tmp_path)
    with pytest.raises(SinkError, match=rf"The directory {tmp_path} has a writer already: process \d+ on "):
        DirectorySink(tmp_path)
    sink.close()
    opened(tmp_path).close()


def test_the_lock_of_a_killed_writer_is_free(tmp_path):
    code = "import sys, time; from tsds_stream.streams.directory import DirectorySink\n"
    code += "sink = DirectorySink(sys.argv[1]); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(SinkError, match=f"process {child.pid} on "):
            DirectorySink(tmp_path)
        child.kill()
    opened(tmp_path).close()


def test_the_heartbeat_tells_time_and_positions(tmp_path):
    sink = opened(tmp_path)
    sink.heartbeat({"documents": 3}, 1_700_000_000_000)
    assert unseal(tmp_path / "heartbeat.json", "") == {"positions": {"documents": 3}, "time": 1_700_000_000_000}
    sink.close()


def test_dead_letters_come_back_byte_by_byte_and_may_be_moved_away(tmp_path):
    letters = [
        letter("decode", b"\xff\x00\n"),
        letter("empty", b""),
        letter("none", None),
        letter("text", "é".encode()),
    ]
    story, sink = Story(), opened(tmp_path)
    story, arguments = story.after({}, letters, {"documents": 1})
    sink.commit(*arguments)
    story.check(tmp_path)
    sink.close()
    (tmp_path / "dead-letters.jsonl").rename(tmp_path / "handled.jsonl")
    story.letters = []
    for reason in ("next", "last"):
        sink = opened(tmp_path, story)
        story, arguments = story.after({}, [letter(reason)], {"documents": 2})
        sink.commit(*arguments)
        story.check(tmp_path)
        sink.close()


def test_dead_letters_that_lost_their_end_are_reported(tmp_path):
    story, sink = Story(), opened(tmp_path)
    sink.commit(*story.after({}, [letter("one"), letter("two")], {})[1])
    sink.close()
    path = tmp_path / "dead-letters.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    sink = DirectorySink(tmp_path)
    with pytest.raises(SinkError, match=r"dead-letters.jsonl has \d+ bytes, and \d+ were committed.*move it away"):
        sink.recover()
    sink.close()


def test_one_file_for_people_is_best_first(tmp_path):
    published(tmp_path, FIRST, SECOND, selection_file=True)
    lines = [orjson.loads(line) for line in (tmp_path / "a" / "selection.jsonl").read_bytes().splitlines()]
    assert [line["id"] for line in lines] == ["x", "ä", "b"]
    assert [line["weight"] for line in lines] == [1.0, 1.5, 4.0]


def test_ties_in_the_file_for_people_go_by_id(tmp_path):
    published(tmp_path, FIRST, selection_file=True)
    lines = (tmp_path / "a" / "selection.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line)["id"] for line in lines] == ["x", "y", "ä"]


def test_what_is_not_there_is_named_with_what_is(tmp_path):
    published(tmp_path, *[FIRST, SECOND] * 3, keep_revisions=3)
    with pytest.raises(NoSuchRevisionError, match="no revision of a target set 'b': it has a"):
        latest_revision(tmp_path, "b")
    with pytest.raises(NoSuchRevisionError, match="does not hold revision 2; it keeps 3 of them, from 4 to 6"):
        open_revision(tmp_path, "a", 2)
    with pytest.raises(NoSuchRevisionError, match="nothing was published there yet"):
        open_revision(tmp_path / "none", "a")


def test_kept_and_pinned_revisions_stay_whole_and_others_go(tmp_path):
    pins = {2, 5}
    story = Story()
    sink = opened(tmp_path, keep_revisions=3, pinned=lambda name: pins if name == "a" else (), compaction=TIGHT)
    history = {}
    for step in range(1, 16):
        members = {f"{i:02d}": (0.01, 1.0, step if i % 5 == 0 else 1) for i in range(step, step + 12)}
        story, arguments = story.after({"a": members}, [], {"documents": step})
        sink.commit(*arguments)
        history[step] = members
        if step == 9:
            pins.discard(2)
    kept = [record["revision"] for record in list_revisions(tmp_path, "a")[0]]
    assert kept == [5, 13, 14, 15]
    for number in kept:
        revision = open_revision(tmp_path, "a", number)
        revision.verify()
        assert dict(zip(revision.ids, revision.sent, strict=True)) == sent(history[number])
    files = {path.name for path in (tmp_path / "a" / "segments").iterdir()}
    assert story.is_what(sink.recover())
    assert {path.name for path in (tmp_path / "a" / "segments").iterdir()} == files
    sink.close()


def test_neither_dead_rows_nor_segments_pile_up(tmp_path):
    story, sink = Story(), opened(tmp_path, keep_revisions=1)
    held = {f"{i:04d}": (0.001, 1.0, 1) for i in range(300)}
    for step in range(120):
        held = {**held, f"{1000 + step:04d}": (0.001, 1.0, 1)}
        held.pop(min(held))
        story, arguments = story.after({"a": dict(held)}, [], {"documents": step})
        sink.commit(*arguments)
    story.check(tmp_path)
    manifest = open_revision(tmp_path, "a").manifest
    assert len(manifest.segments) <= 18
    assert sum(info.rows for info in manifest.segments) <= 2 * len(held) + 20
    sink.close()


def test_a_large_revision_is_spread_over_segments(tmp_path):
    members = {f"{i:03d}": (0.001, 1.0, 1) for i in range(50)}
    story = published(tmp_path, members, compaction=Compaction(large=16))
    story.check(tmp_path)
    assert [info.rows for info in open_revision(tmp_path, "a").manifest.segments] == [16, 16, 16, 2]


def test_a_reader_beside_the_writer_always_finds_a_whole_revision(tmp_path):
    sink = opened(tmp_path, keep_revisions=1, compaction=TIGHT)
    sink.commit([publication("a", 1, {}, FIRST)], [], {})
    done = threading.Event()

    def publish():
        try:
            for number in range(2, 80, 2):
                sink.commit([publication("a", number, FIRST, SECOND)], [], {})
                sink.commit([publication("a", number + 1, SECOND, FIRST)], [], {})
        finally:
            done.set()

    writer = threading.Thread(target=publish)
    writer.start()
    seen = []
    while not done.is_set():
        revision = open_revision(tmp_path, "a")
        assert [document["id"] for document in revision] == sorted(SECOND if revision.number % 2 == 0 else FIRST)
        seen.append(revision.number)
        assert list_revisions(tmp_path, "a")[1] == []
    writer.join()
    sink.close()
    assert seen == sorted(seen)
