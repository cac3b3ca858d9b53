"""How a source reads a topic: told over a topic in memory."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine_fakes import ManualClock
from tests.streams.kafka_in_memory import FakeKafka
from tests.streams.kafka_source_cases import drain, fill, names, offsets, source, source_positions, value
from tsds_stream.codecs import Decoder
from tsds_stream.records import Raw
from tsds_stream.streams.base import Positions, SourceError, SourceUnavailable
from tsds_stream.streams.kafka import topic_look
from tsds_stream.streams.kafka.errors import Refused
from tsds_stream.streams.kafka.source import KafkaSource


@pytest.fixture(autouse=True)
def no_doubts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a log holds in memory is believed at once."""
    monkeypatch.setattr(topic_look, "_DOUBT", 0.0)


class TestPolling:
    def test_a_stream_is_read_from_where_the_logs_begin(self):
        kafka = FakeKafka(2)
        fill(kafka, 5, 0)
        fill(kafka, 3, 1)
        kafka.delete_before(2, 0)
        reader = source(kafka)
        reader.seek(None)
        assert sorted(names(drain(reader))) == ["0-2", "0-3", "0-4", "1-0", "1-1", "1-2"]
        positions = reader.poll(10, 0.0).positions
        assert positions == {
            "documents": {"0": 5, "1": 3},
            "topic": "documents",
            "topic_id": kafka.id,
            "began": {"0": 2, "1": 0},
        }

    def test_reading_goes_on_after_any_positions(self):
        kafka = FakeKafka(2)
        fill(kafka, 5, 0)
        fill(kafka, 5, 1)
        reader = source(kafka)
        first = reader.poll(4, 0.0)
        again = source(kafka)
        again.seek(first.positions)
        assert len(first.documents) == 4
        assert sorted(names(first.documents) + names(drain(again))) == sorted(
            f"{p}-{n}" for p in (0, 1) for n in range(5)
        )

    def test_positions_move_over_what_transactions_leave_in_a_log(self):
        kafka = FakeKafka()
        fill(kafka, 1)
        kafka.put_control()
        kafka.put_control()
        reader = source(kafka)
        assert len(drain(reader)) == 1
        assert offsets(reader.poll(1, 0.0).positions) == {"0": 3}

    def test_open_transactions_are_not_read(self):
        kafka = FakeKafka()
        fill(kafka, 3)
        kafka.logs[0].hidden = 2
        assert names(drain(source(kafka))) == ["0-0"]

    @settings(max_examples=150)
    @given(st.data())
    def test_any_polls_yield_each_record_once_in_order(self, data: st.DataObject):
        kafka = FakeKafka(3)
        for partition in range(3):
            for number, control in enumerate(data.draw(st.lists(st.booleans(), max_size=12))):
                if control:
                    kafka.put_control(partition)
                else:
                    kafka.put(value(f"{partition}/{number}"), partition=partition)
        ends = {str(number): log.end for number, log in kafka.logs.items()}
        reader, seen, positions = source(kafka), [], source_positions(kafka, dict.fromkeys(ends, 0))
        while offsets(positions) != ends:
            until = None
            if data.draw(st.booleans()):
                at = offsets(positions)
                bounds = {number: data.draw(st.integers(at[number], end)) for number, end in ends.items()}
                until = {
                    "documents": bounds,
                    "topic": "documents",
                    "topic_id": kafka.id,
                    "began": dict.fromkeys(ends, 0),
                }
            for _ in range(data.draw(st.integers(1, 4)) if until is None else 100):
                limit = data.draw(st.integers(1, 5))
                batch = reader.poll(limit, 0.0, until)
                assert len(batch.documents) <= limit
                seen += [(one.source["partition"], one.source["offset"]) for one in batch.documents]
                positions = batch.positions
                if until is not None and positions == until:
                    break
                if until is not None:
                    assert all(offset <= bounds[number] for number, offset in offsets(positions).items())
            else:
                assert until is None, "a bounded reading ends"
            if data.draw(st.booleans()):
                reader.rest()
            if data.draw(st.integers(0, 3)) == 0:
                reader = source(kafka)
                reader.seek(positions)
        for number, log in kafka.logs.items():
            mine = [offset for partition, offset in seen if partition == number]
            assert mine == [entry.offset for entry in log.entries if entry is not None], "each once, in order"

    def test_partitions_have_turns(self):
        kafka = FakeKafka(2)
        fill(kafka, 30, 0)
        fill(kafka, 30, 1)
        reader = source(kafka)
        half = names([document for _ in range(10) for document in reader.poll(3, 0.0).documents])
        assert {name[0] for name in half} == {"0", "1"}

    def test_a_rest_reads_nothing_and_loses_nothing(self):
        kafka = FakeKafka()
        fill(kafka, 4)
        reader = source(kafka)
        first = reader.poll(2, 0.0)
        reader.rest()
        reader.rest()
        assert names(first.documents) + names(drain(reader)) == ["0-0", "0-1", "0-2", "0-3"]

    def test_lag_is_what_is_left_and_how_old_the_last_one_was(self):
        kafka, clock = FakeKafka(), ManualClock()
        for _ in range(4):
            kafka.put(value("x"), timestamp=clock.now() - 5000)
        reader = source(kafka, clock)
        reader.seek(None)
        assert reader.lag() == {"records": 4.0, "seconds": 0.0}
        reader.poll(1, 0.0)
        assert reader.lag() == {"records": 3.0, "seconds": 5.0}
        assert reader.partition_lag() == {"documents/0": 3}
        drain(reader)
        assert reader.lag() == {"records": 0.0, "seconds": 0.0}


class TestUntil:
    def reading(self, until: Positions, kafka: FakeKafka, **options: Any) -> tuple[KafkaSource, list[str]]:
        reader = source(kafka, **options)
        reader.seek(None)
        return reader, names(drain(reader, until))

    def test_nothing_is_read_beyond_and_then_reading_goes_on_from_there(self):
        kafka = FakeKafka(2)
        fill(kafka, 5, 0)
        fill(kafka, 5, 1)
        until = source_positions(kafka, {"0": 2, "1": 4})
        reader, before = self.reading(until, kafka)
        assert sorted(before) == ["0-0", "0-1", "1-0", "1-1", "1-2", "1-3"]
        assert reader.exhausted
        assert reader.poll(5, 0.0, until).positions == until
        assert sorted(names(drain(reader))) == ["0-2", "0-3", "0-4", "1-4"]
        assert not reader.exhausted

    def test_what_is_reached_is_said_in_the_same_words(self):
        kafka = FakeKafka()
        fill(kafka, 5)
        kafka.delete_before(1)
        gap = {"partition": 0, "from": 3, "to": 4, "reason": "retention"}
        until = source_positions(kafka, {"0": 4}, began={"0": 2}, gaps=[gap])
        reader = source(kafka)
        reader.seek(None)
        assert offsets(reader.poll(1, 0.0, until).positions) == {"0": 2}
        drain(reader, until)
        assert reader.poll(1, 0.0, until).positions == until
        after = reader.poll(1, 0.0).positions
        assert (after["gaps"], after["began"], offsets(after)) == ([gap], {"0": 2}, {"0": 5})

    def test_partitions_that_it_does_not_know_are_left_alone(self):
        kafka = FakeKafka(2)
        fill(kafka, 2, 0)
        fill(kafka, 2, 1)
        until = source_positions(kafka, {"0": 1})
        reader = source(kafka)
        reader.seek(None)
        first = reader.poll(10, 0.0, until)
        assert names(first.documents) == ["0-0"]
        assert first.positions == until
        assert sorted(names(drain(reader))) == ["0-1", "1-0", "1-1"]

    def test_an_end_before_the_bound_is_an_error(self):
        kafka = FakeKafka()
        fill(kafka, 3)
        reader = source(kafka)
        reader.seek(None)
        with pytest.raises(SourceError, match=r"documents/0 was read up to offset 7, and its log ends at 3"):
            reader.poll(1, 0.0, source_positions(kafka, {"0": 7}))

    def test_what_retention_took_beyond_the_bound_is_no_silent_jump(self):
        kafka = FakeKafka()
        fill(kafka, 9)
        kafka.delete_before(6)
        until = source_positions(kafka, {"0": 4})
        reader, before = self.reading(until, kafka)
        assert before == []
        with pytest.raises(SourceError, match=r"from offset 4 on, and its log begins at 6: up to 2 records"):
            reader.poll(1, 0.0)
        reader, _ = self.reading(until, kafka, accept_gap=True)
        positions = reader.poll(1, 0.0).positions
        assert (offsets(positions), [gap["from"] for gap in positions["gaps"]]) == ({"0": 7}, [0, 4])

    def test_the_past_can_be_read_more_than_once(self):
        kafka = FakeKafka()
        fill(kafka, 3)
        until = source_positions(kafka, {"0": 2})
        reader, first = self.reading(until, kafka)
        reader.seek(None)
        assert not reader.exhausted
        assert names(drain(reader, until)) == first


class TestOutages:
    def test_while_no_broker_answers_nothing_happens(self):
        kafka, clock = FakeKafka(), ManualClock()
        fill(kafka, 4)
        reader = source(kafka, clock)
        first = reader.poll(2, 0.0)
        kafka.down = True
        for _ in range(5):
            clock.move(100.0)
            batch = reader.poll(2, 0.1)
            assert (batch.documents, batch.positions) == ([], first.positions)
            reader.rest()
        kafka.down = False
        assert names(drain(reader)) == ["0-2", "0-3"]

    def test_a_bounded_reading_that_cannot_begin_waits(self):
        kafka = FakeKafka()
        fill(kafka, 2)
        reader = source(kafka)
        reader.seek(None)
        kafka.down = True
        until = source_positions(kafka, {"0": 2})
        assert offsets(reader.poll(2, 0.1, until).positions) == {"0": 0}
        kafka.down = False
        assert len(drain(reader, until)) == 2

    def test_at_start_it_is_unavailable(self):
        kafka = FakeKafka()
        kafka.down = True
        with pytest.raises(SourceUnavailable, match="nobody is there"):
            source(kafka).seek(None)

    def test_a_refusal_names_what_to_check(self, monkeypatch: pytest.MonkeyPatch):
        kafka = FakeKafka()
        reader = source(kafka)
        reader.seek(None)

        def refuse(*_: object) -> None:
            raise Refused("Could not read records (memory): TopicAuthorizationFailedError")

        monkeypatch.setattr(kafka.opened[0], "poll", refuse)
        with pytest.raises(SourceError, match=r"may Read and Describe the topic 'documents'") as error:
            reader.poll(1, 0.0)
        assert not isinstance(error.value, SourceUnavailable)

    def test_the_topic_is_asked_about_now_and_then(self):
        kafka, clock = FakeKafka(), ManualClock()
        reader = source(kafka, clock, topic_check_interval=60.0)
        reader.seek(None)
        assert kafka.asked == [None]  # at the start, for as long as it may take
        for _ in range(100):
            clock.move(3.0)
            reader.poll(1, 0.0)
        assert kafka.asked[1:] == [0.0] * 5  # while it reads, nothing is asked twice: it would not read meanwhile


class TestRecords:
    def test_documents_carry_what_was_read_and_where(self):
        kafka = FakeKafka()
        kafka.put(b'{"text": "a text"}', b"name", headers=[("a", b"1"), ("a", b"2"), ("none", None)], timestamp=77)
        batch = source(kafka).poll(1, 0.0)
        document = batch.documents[0]
        assert (document.id, document.timestamp) == ("name", 77)
        assert document.source == {"topic": "documents", "partition": 0, "offset": 0}
        assert document.raw == Raw(b"name", b'{"text": "a text"}', (("a", b"1"), ("a", b"2")))
        assert batch.size == len(b"name") + len(b'{"text": "a text"}')

    def test_a_record_without_a_value_takes_its_key_away(self):
        kafka = FakeKafka()
        kafka.put(None, b"name")
        document = source(kafka).poll(1, 0.0).documents[0]
        assert (document.id, document.deleted, document.raw) == ("name", True, Raw(b"name", None, ()))

    def test_without_a_key_either_it_is_a_dead_letter(self):
        kafka, clock = FakeKafka(), ManualClock()
        kafka.put(None, None, headers=[("h", b"1")])
        batch = source(kafka, clock).poll(1, 0.0)
        letter = batch.dead_letters[0]
        assert batch.documents == []
        assert (letter.key, letter.value, letter.headers, letter.created) == (None, None, (("h", b"1"),), clock.now())

    def test_records_without_a_time_have_none(self):
        kafka = FakeKafka()
        kafka.put(value("a"), timestamp=-1)
        assert source(kafka).poll(1, 0.0).documents[0].timestamp is None

    def test_what_cannot_be_used_is_told_in_order_and_raw_stays_with_its_document(self):
        kafka = FakeKafka(2)
        values = [value("a"), b"no json", value("b" * 2000), b"\xff", value("c")]
        for one in values:
            kafka.put(one, b"k" + one[:1], partition=1)
        reader = source(kafka)
        batches = [reader.poll(10, 0.0) for _ in range(3)]
        letters = [letter for batch in batches for letter in batch.dead_letters]
        documents = [document for batch in batches for document in batch.documents]
        assert [(letter.source["offset"], letter.reason) for letter in letters] == [
            (1, "decode"),
            (2, "too_large"),
            (3, "encoding"),
        ]
        assert [letter.value for letter in letters] == values[1:4]
        assert letters[1].detail == f"the value has {len(values[2]):,} bytes, source.max_document_bytes is 1,000"
        assert [(document.id, document.raw.value) for document in documents if document.raw] == [
            ("a", values[0]),
            ("c", values[4]),
        ]

    def test_a_value_that_is_too_large_is_not_decoded(self, monkeypatch: pytest.MonkeyPatch):
        kafka, decoder = FakeKafka(), Decoder()
        seen: list[Any] = []
        decode = decoder.documents
        monkeypatch.setattr(decoder, "documents", lambda values, *rest: seen.extend(values) or decode(values, *rest))
        kafka.put(value("a" * 5000))
        kafka.put(value("b"))
        source(kafka, decoder=decoder).poll(2, 0.0)
        assert seen == [value("b")]
