"""What every source keeps to, whatever it reads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from tests.contract.local_streams import PipedStream
from tests.contract.reading import Counts, Reading, read, stored
from tests.contract.streams import Stream, broken, gone, new
from tsds_stream.streams.base import Positions, Source, SourceError


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_every_record_comes_once_in_the_order_of_its_lane_and_never_more_than_asked_for(stream: Stream, limit: int):
    assert read(stream.open(), Reading(stream), limit=limit).complete


def test_dead_letters_say_where_why_and_what(stream: Stream):
    source, letters = stream.open(), []
    reading = Reading(stream)
    while not reading.complete:
        batch = source.poll(100, 0.02)
        reading.take(batch)
        letters += batch.dead_letters
    places = [repr(letter.source) for letter in letters]
    assert len(places) == len(set(places)) >= 3
    assert all(letter.reason and letter.detail and letter.created > 0 for letter in letters)
    assert all((letter.key is not None) == stream.keyed for letter in letters)


def test_positions_are_equal_exactly_where_the_same_records_were_read(stream: Stream):
    """Except for what is no record: it may move positions, too."""
    readings = []
    for limit in (1, 5, 1000):
        stream.begin()
        stream.leave()
        readings.append(read(stream.open(), Reading(stream), limit=limit))
    assert all(one.positions == readings[0].positions for one in readings)
    known: dict[str, Counts] = {}
    for reading in readings:
        for positions, counts in reading.marks:
            assert known.setdefault(repr(positions), counts) == counts


def test_a_poll_that_brings_nothing_stays_where_it_is(stream: Stream):
    source = stream.open()
    reading = read(source, Reading(stream))
    again = source.poll(10, 0.0)
    assert (again.documents, again.dead_letters, stored(again.positions)) == ([], [], reading.positions)


def test_a_new_process_goes_on_exactly_where_any_positions_are(rewindable: Stream):
    whole = read(rewindable.open(), Reading(rewindable))
    for positions, counts in whole.some(5):
        rewindable.leave()
        source = rewindable.open()
        source.seek(positions)
        assert read(source, Reading(rewindable, counts), limit=9).complete


def test_a_source_can_be_sent_back_to_the_beginning_at_any_time(rewindable: Stream):
    source = rewindable.open()
    for polls in (0, 1, 4):
        source.seek(None)
        partial = Reading(rewindable)
        for _ in range(polls):
            partial.take(source.poll(5, 0.02))
    source.seek(None)
    assert read(source, Reading(rewindable)).complete


def test_a_bounded_reading_ends_exactly_at_its_bound_and_goes_on_behind_it(rewindable: Stream):
    marks = read(rewindable.open(), Reading(rewindable)).some(5)
    rewindable.leave()
    source = rewindable.open()
    for bound, counts in marks:
        source.seek(None)
        reading = bounded(source, rewindable, None, bound)
        assert reading.counts == counts
        assert read(source, Reading(rewindable, counts)).complete
    for (begin, before), (bound, counts) in pairwise(marks):
        source.seek(begin)
        assert bounded(source, rewindable, before, bound).counts == counts


def bounded(source: Source, stream: Stream, begin: Counts | None, bound: Positions) -> Reading:
    reading = read(source, Reading(stream, begin), until=bound, limit=5)
    assert reading.positions == bound
    assert source.exhausted
    return reading


def test_what_is_ahead_of_a_bound_is_told_and_not_passed_over(rewindable: Stream):
    """By `unreachable`, or by the reading itself: nothing may look as if the bound had been reached."""
    (_, _), (early, _), (late, _) = read(rewindable.open(), Reading(rewindable)).some(3)
    rewindable.leave()
    source = rewindable.open()
    if source.unreachable(late, early) is None:
        source.seek(late)
        with pytest.raises(SourceError):
            source.poll(10, 0.02, early)


def test_a_whole_stream_reaches_back_and_every_earlier_state_leads_to_the_later_ones(rewindable: Stream):
    marks = read(rewindable.open(), Reading(rewindable)).some(4)
    rewindable.leave()
    source = rewindable.open()
    assert source.rewindable
    end = marks[-1][0]
    assert source.unreachable(None, end) is None
    for positions, _ in marks:
        assert source.unreachable(positions, end) is None
        assert source.unreachable(positions, positions) is None
        assert source.reaches_back(positions)


def test_positions_of_another_source_are_refused_with_a_sentence(stream: Stream):
    with pytest.raises(SourceError, match=r"\w+ \w+ \w+"):
        stream.open().seek({"of nothing": 1})


def test_one_process_may_read_the_past_while_it_follows_the_present(rewindable: Stream):
    live, present = rewindable.open(), Reading(rewindable)
    while sum(present.counts) < 20:
        present.take(live.poll(5, 0.02))
    beside, past = rewindable.open(), Reading(rewindable)
    beside.seek(None)
    bound, counts = present.marks[-1]
    while not beside.exhausted:
        past.take(beside.poll(3, 0.02, bound))
        present.take(live.poll(4, 0.02))
    assert (past.positions, past.counts) == (bound, counts)
    beside.close()
    assert read(live, present).complete


def test_rest_loses_nothing_and_any_one_thread_may_read(stream: Stream):
    source = stream.open()
    source.rest()

    def poll() -> Reading:
        return read(source, Reading(stream), beside=source.rest)

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(poll).result(20).complete


def test_a_source_knows_whether_it_is_at_the_end(stream: Stream):
    source, reading = stream.open(), Reading(stream)
    reading.take(source.poll(1, 0.02))
    assert not source.exhausted
    read(source, reading)
    assert source.exhausted == stream.ends
    assert source.lag().get("records", 0) == source.lag().get("bytes", 0) == 0


def test_close_may_be_called_at_any_time_and_twice(stream: Stream):
    stream.open().close()
    source = stream.open()
    source.poll(3, 0.02)
    source.close()
    source.close()
    stream.leave()
    assert read(stream.open(), Reading(stream)).complete


def test_what_comes_later_comes_as_well(followed: Stream):
    source = followed.open()
    reading = read(source, Reading(followed))
    for n in range(4):
        lane = n % followed.lanes
        followed.put([new(f"n{n}", f"text {n}"), broken(f"k{n}", f"broken {n}"), gone(f"n{n}")], lane)
        reading = read(source, Reading(followed, reading.counts))
        assert not source.exhausted
        if n == 1:
            positions = reading.positions
            source.close()
            followed.leave()
            source = followed.open()
            source.seek(positions)


def test_standard_input_comes_by_once_and_goes_on_with_what_is_piped_in_next(tmp_path):
    stream = PipedStream(tmp_path)
    stream.put([new("a", "one"), broken("", "{"), gone("a")])
    reading = read(stream.open(), Reading(stream))
    end = reading.positions
    stream.forget()
    stream.put([new("b", "two")])
    source = stream.open()
    assert not source.rewindable
    assert not source.reaches_back(end)
    assert source.unreachable(end, end) is None
    assert "cannot be read again" in str(source.unreachable(None, end))
    source.seek(end)
    assert stored(source.poll(5, 0.0, end).positions) == end
    later = read(source, Reading(stream))
    assert later.complete
    assert later.positions != end
    stream.close()
