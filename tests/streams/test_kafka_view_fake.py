"""A view of the selection never shows half of a revision, however partitions, markers and compaction interleave."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.streams.kafka_log import SELECTION, LogReader, Topics
from tsds_stream.streams.kafka.selection_feed import DamagedSelectionError
from tsds_stream.streams.kafka.view import SelectionView

IDS = "abcdef"
MEMBERS = st.dictionaries(st.sampled_from(IDS), st.tuples(*[st.sampled_from([0.25, 0.5])] * 2, st.just(1)))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.dictionaries(st.sampled_from(["default", "other"]), MEMBERS)),
        st.tuples(st.sampled_from(["show", "compact", "poll", "abort", "all", "add partition"]), st.none()),
    ),
    max_size=60,
)


def play(topics: Topics, step: str, argument) -> None:
    logs = list(topics.logs.values())
    if step == "publish":
        topics.publish(argument)
    elif step == "show":
        topics.random.choice(logs).show()
    elif step == "compact":
        topics.random.choice([log for one, log in topics.logs.items() if one.topic == SELECTION]).compact()
    elif step == "abort":
        topics.abort()
    elif step == "all":
        topics.show_all()
    elif step == "add partition" and len(logs) < 5:
        topics.add_partition()


def rest(view: SelectionView) -> list[int]:
    """What a view gives when everything is visible; the fake gives nothing at many polls."""
    numbers = []
    for _ in range(400):
        found = view.poll(0)
        if found is not None:
            numbers.append(found.revision["revision"])
    return numbers


@settings(max_examples=150)
@given(
    steps=STEPS,
    partitions=st.integers(1, 3),
    seed=st.integers(0, 1 << 16),
    every=st.booleans(),
    verify=st.booleans(),
)
def test_what_a_view_shows_is_always_a_whole_revision_and_at_last_the_newest(steps, partitions, seed, every, verify):
    topics = Topics(partitions, seed)
    compactions = any(step == "compact" for step, _ in steps)
    with SelectionView("", every=every and verify, verify=verify, reader=LogReader(topics)) as view:
        shown = []

        def look() -> None:
            found = view.poll(0)
            if found is not None:
                assert found.documents == topics.truth["default", found.revision["revision"]]
                assert view.current is found
                shown.append(found.revision["revision"])

        for step, argument in steps:
            play(topics, step, argument)
            if step == "poll":
                look()
        topics.show_all()
        for _ in range(200):
            look()
        assert shown == sorted(set(shown))
        newest = topics.numbers.get("default")
        assert shown[-1:] == ([] if newest is None else [newest])
        if every and verify and not compactions and shown:
            assert shown == list(range(shown[0], shown[-1] + 1))


def test_a_view_that_starts_late_on_a_compacted_topic_shows_the_newest_revision_first():
    topics = Topics(partitions=3)
    for number in range(50):
        topics.publish({"default": {IDS[number % 6]: (0.5, 1.0, 1), "z": (number / 100, 1.0, 1)}})
    topics.show_all()
    for log in list(topics.logs.values())[:-1]:
        log.compact()
    with SelectionView("", every=True, reader=LogReader(topics)) as view:
        assert rest(view) == [50]
        assert view.current is not None
        assert view.current.documents == topics.truth["default", 50]


def test_revisions_that_compaction_has_emptied_are_left_out_and_counted():
    topics = Topics()
    topics.publish({"default": {"a": (0.5, 1.0, 1)}})
    topics.show_all()
    with SelectionView("", every=True, reader=LogReader(topics)) as view:
        assert rest(view) == [1]
        for p in (0.1, 0.2, 0.3):
            topics.publish({"default": {"a": (p, 1.0, 1)}})
        topics.show_all()
        next(iter(topics.logs.values())).compact()
        assert rest(view) == [4]
        assert view.skipped == 2


def test_a_reader_that_missed_tombstones_reads_everything_again():
    topics = Topics()
    topics.publish({"default": {"a": (0.5, 1.0, 1), "b": (0.5, 1.0, 1)}})
    topics.show_all()
    reader = LogReader(topics)
    with SelectionView("", reader=reader) as view:
        assert rest(view) == [1]
        topics.publish({"default": {"b": (0.5, 1.0, 1)}})
        topics.publish({"default": {"b": (0.5, 1.0, 1), "c": (0.5, 1.0, 1)}})
        topics.show_all()
        next(iter(topics.logs.values())).compact(tombstones=True)
        assert rest(view) == [3]
        assert view.current is not None
        assert sorted(view.current.documents) == ["b", "c"]


def test_a_digest_that_never_fits_is_an_error_that_names_both():
    topics = Topics()
    topics.publish({"default": {"a": (0.5, 1.0, 1)}})
    topics.forged()
    topics.show_all()
    view = SelectionView("", reader=LogReader(topics))
    with pytest.raises(DamagedSelectionError, match=r"revision 1 of 'default' has the published_digest f{32} .* gives"):
        rest(view)


def test_topics_that_are_made_anew_are_read_from_their_beginning():
    topics = Topics()
    for number in range(5):
        topics.publish({"default": {"a": (0.5, 1.0, number + 1)}})
    topics.show_all()
    reader = LogReader(topics)
    with SelectionView("", reader=reader) as view:
        assert rest(view) == [5]
        reader.topics = topics = Topics()
        topics.publish({"default": {"b": (0.5, 1.0, 1)}})
        topics.show_all()
        assert rest(view) == [1]
        assert view.current is not None
        assert sorted(view.current.documents) == ["b"]


def test_the_newest_revision_is_found_behind_thousands_of_another_set_without_reading_them_all():
    topics = Topics()
    for _ in range(3000):
        topics.publish({"other": {"x": (0.5, 1.0, 1)}})
    topics.publish({"default": {"a": (0.5, 1.0, 1)}})
    for _ in range(100):
        topics.publish({"other": {"x": (0.5, 1.0, 1)}})
    topics.show_all()
    for log in list(topics.logs.values())[:-1]:
        log.compact()
    reader = LogReader(topics)
    with SelectionView("", reader=reader) as view:
        assert rest(view) == [1]
        assert reader.assigned == 3  # two windows at the end of the revisions, and then both topics


def test_the_view_knows_when_its_publisher_was_last_alive():
    topics = Topics()
    topics.publish({"default": {"a": (0.5, 1.0, 1)}})
    topics.publish({})
    topics.show_all()
    with SelectionView("", reader=LogReader(topics), fields={"id"}) as view:
        rest(view)
        assert view.heartbeat is not None
        assert (view.heartbeat.time, view.heartbeat.positions) == (2, {"n": 2})
        assert view.current is not None
        assert view.current.documents == {"a": {"id": "a"}}


def test_every_revision_needs_digests():
    with pytest.raises(ValueError, match="verify=True"):
        SelectionView("", every=True, verify=False, reader=LogReader(Topics()))
