"""What becomes of positions whose records or whose topic are gone: told over a topic in memory."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.engine_fakes import ManualClock
from tests.streams.kafka_in_memory import FakeKafka
from tests.streams.kafka_source_cases import drain, fill, names, offsets, source, source_positions, value
from tsds_stream.streams.base import SourceError
from tsds_stream.streams.kafka import topic_look


@pytest.fixture(autouse=True)
def no_doubts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a log holds in memory is believed at once."""
    monkeypatch.setattr(topic_look, "_DOUBT", 0.0)


class TestTopics:
    def test_a_missing_topic_says_how_to_make_it(self):
        kafka = FakeKafka()
        kafka.delete()
        with pytest.raises(SourceError, match=r"no topic 'documents'.*tsds-stream topics --create"):
            source(kafka).seek(None)

    def test_new_partitions_are_taken_up_while_reading(self):
        kafka = FakeKafka()
        fill(kafka, 2)
        reader = source(kafka)
        drain(reader)
        kafka.logs[1] = type(kafka.logs[0])()
        fill(kafka, 2, 1)
        assert names(drain(reader)) == ["1-0", "1-1"]
        assert offsets(reader.poll(1, 0.0).positions) == {"0": 2, "1": 2}

    def test_new_partitions_since_the_positions_are_read_from_their_beginning(self):
        kafka = FakeKafka(2)
        fill(kafka, 2, 0)
        fill(kafka, 2, 1)
        reader = source(kafka)
        reader.seek(source_positions(kafka, {"0": 1}))
        assert sorted(names(drain(reader))) == ["0-1", "1-0", "1-1"]

    def test_a_deleted_topic_ends_the_run_when_it_stays_away(self):
        kafka, clock = FakeKafka(), ManualClock()
        reader = source(kafka, clock)
        fill(kafka, 2)
        drain(reader)
        kafka.exists = False
        assert reader.poll(1, 0.0).documents == []
        kafka.exists = True
        clock.move(5.0)
        reader.poll(1, 0.0)
        kafka.exists = False
        for _ in range(3):
            reader.poll(1, 0.0)
            clock.move(1.0)
        with pytest.raises(SourceError, match=r"been deleted; it was read up to 0 at 2.*topics --create.*accept-gap"):
            reader.poll(1, 0.0)

    @pytest.mark.parametrize("count", [1, 9], ids=["shorter", "longer"])
    def test_a_topic_that_was_made_again_is_not_read_on_silently(self, count: int):
        kafka = FakeKafka()
        fill(kafka, 4)
        reader = source(kafka)
        drain(reader)
        old = kafka.id
        kafka.recreate()
        fill(kafka, count, prefix="new ")
        message = rf"documents/0 was read up to offset 4 in a topic that was deleted \(id {old}\).*--accept-gap"
        with pytest.raises(SourceError, match=message):
            reader.poll(1, 0.0)
        reader = source(kafka)
        with pytest.raises(SourceError, match=message):
            reader.seek(source_positions(kafka, {"0": 4}, topic_id=old))

    @pytest.mark.parametrize("count", [1, 9], ids=["shorter", "longer"])
    def test_with_leave_a_topic_that_was_made_again_is_read_from_its_beginning(self, count: int):
        kafka = FakeKafka()
        fill(kafka, 4)
        reader = source(kafka, accept_gap=True)
        drain(reader)
        kafka.recreate(2)
        fill(kafka, count, prefix="new ")
        found = names(drain(reader))
        assert found == [f"new 0-{number}" for number in range(count)]
        positions = reader.poll(1, 0.0).positions
        assert positions["gaps"] == [{"partition": 0, "from": 4, "to": 0, "reason": "recreated"}]
        assert (positions["topic_id"], positions["began"]) == (kafka.id, {"0": 0, "1": 0})

    def test_with_leave_a_bounded_reading_of_the_old_topic_ends_at_once(self):
        kafka = FakeKafka()
        fill(kafka, 4)
        state, until = source_positions(kafka, {"0": 2}), source_positions(kafka, {"0": 4})
        kafka.recreate()
        fill(kafka, 2, prefix="new ")
        reader = source(kafka, accept_gap=True)
        reader.seek(state)
        assert reader.poll(5, 0.0, until).positions == until
        assert reader.exhausted
        assert names(drain(reader)) == ["new 0-0", "new 0-1"]
        assert reader.poll(1, 0.0).positions["topic_id"] == kafka.id

    def test_positions_of_something_else_are_refused(self):
        kafka = FakeKafka()
        with pytest.raises(SourceError, match="another source than Kafka"):
            source(kafka).seek({"files": {}, "finished": [0, ""]})
        with pytest.raises(SourceError, match=r"of the topic 'others', and kafka.topics.documents is 'documents'"):
            source(kafka).seek({**source_positions(kafka, {"0": 0}), "topic": "others"})


class TestGaps:
    def test_every_partition_that_lost_records_is_named_with_what_to_do(self):
        kafka = FakeKafka(3)
        for partition in range(3):
            fill(kafka, 10, partition)
        kafka.delete_before(6, 0)
        kafka.cut_at(3, 2)
        with pytest.raises(SourceError) as error:
            source(kafka).seek(source_positions(kafka, {"0": 2, "1": 5, "2": 8}))
        assert re.search(
            r"documents/0 has to be read from offset 2 on, and its log begins at 6: up to 4 records", str(error.value)
        )
        assert re.search(
            r"documents/2 was read up to offset 8, and its log ends at 3.*up to 5 records", str(error.value)
        )
        assert "documents/1" not in str(error.value)
        assert "--accept-gap" in str(error.value)

    def test_with_leave_it_goes_on_and_notes_the_gaps(self, caplog: pytest.LogCaptureFixture):
        kafka = FakeKafka(2)
        fill(kafka, 10, 0)
        fill(kafka, 10, 1)
        kafka.delete_before(6, 0)
        kafka.cut_at(3, 1)
        reader = source(kafka, accept_gap=True)
        reader.seek(source_positions(kafka, {"0": 2, "1": 8}))
        kafka.put(value("new"), partition=1)
        assert sorted(names(drain(reader))) == ["0-6", "0-7", "0-8", "0-9", "new"]
        assert reader.poll(1, 0.0).positions["gaps"] == [
            {"partition": 0, "from": 2, "to": 6, "reason": "retention"},
            {"partition": 1, "from": 8, "to": 3, "reason": "truncated"},
        ]
        assert len([line for line in caplog.messages if "a gap is accepted" in line]) == 2

    def test_an_open_transaction_is_no_lost_end(self):
        kafka = FakeKafka()
        fill(kafka, 5)
        kafka.logs[0].hidden = 3
        reader = source(kafka)
        reader.seek(source_positions(kafka, {"0": 4}))
        kafka.logs[0].hidden = 0
        assert names(drain(reader)) == ["0-4"]

    def test_retention_that_overtakes_the_reader_is_noticed(self):
        kafka = FakeKafka()
        fill(kafka, 10)
        reader = source(kafka)
        reader.poll(2, 0.0)
        kafka.delete_before(7)
        with pytest.raises(SourceError, match=r"from offset 2 on, and its log begins at 7: up to 5 records"):
            reader.poll(2, 0.0)

    def test_with_leave_it_goes_on_where_the_log_begins(self):
        kafka = FakeKafka()
        fill(kafka, 10)
        reader = source(kafka, accept_gap=True)
        reader.poll(2, 0.0)
        kafka.delete_before(7)
        reader.poll(2, 0.0)
        assert names(drain(reader)) == ["0-7", "0-8", "0-9"]
        assert reader.poll(1, 0.0).positions["gaps"][0]["to"] == 7

    def test_a_past_that_is_read_again_without_its_beginning_notes_the_gap(self, caplog: pytest.LogCaptureFixture):
        """There was no checkpoint to go on from."""
        kafka = FakeKafka(2)
        fill(kafka, 10)
        fill(kafka, 3, 1)
        committed = source_positions(kafka, {"0": 8, "1": 2})
        kafka.delete_before(4)
        reader = source(kafka, accept_gap=True)
        assert reader.unreachable(None, committed) is None
        reader.seek(None)
        assert sorted(names(drain(reader, committed))) == ["0-4", "0-5", "0-6", "0-7", "1-0", "1-1"]
        assert sorted(names(drain(reader))) == ["0-8", "0-9", "1-2"]
        gap = {"partition": 0, "from": 0, "to": 4, "reason": "retention"}
        assert reader.poll(1, 0.0).positions["gaps"] == [gap]
        assert len([line for line in caplog.messages if "a gap is accepted" in line]) == 1

    @pytest.mark.parametrize("accepted", [False, True])
    def test_a_log_that_was_cut_off_and_has_grown_again_is_noticed(self, accepted: bool):
        kafka = FakeKafka()
        fill(kafka, 4)
        reader = source(kafka, accept_gap=accepted)
        drain(reader)
        kafka.cut_at(2)
        kafka.logs[0].cut = 2
        fill(kafka, 3, prefix="new ")
        if accepted:
            reader.poll(1, 0.0)
            assert names(drain(reader)) == ["new 0-0", "new 0-1", "new 0-2"]
            gap = {"partition": 0, "from": 4, "to": 2, "reason": "truncated"}
            assert reader.poll(1, 0.0).positions["gaps"] == [gap]
        else:
            with pytest.raises(SourceError, match=r"lost what came after 2 .*written other records in its place"):
                reader.poll(1, 0.0)

    def test_a_cut_beyond_what_was_read_is_no_loss(self):
        kafka = FakeKafka()
        fill(kafka, 4)
        reader = source(kafka)
        reader.poll(1, 0.0)
        kafka.logs[0].cut = 1
        assert reader.poll(1, 0.0).documents == []
        assert names(drain(reader)) == ["0-1", "0-2", "0-3"]

    def test_records_of_a_topic_made_again_that_came_with_the_news_are_left_out(self):
        kafka = FakeKafka()
        fill(kafka, 4)
        reader = source(kafka)
        drain(reader)
        poll = kafka.opened[0].poll

        def changing(timeout: float, limit: int) -> Any:
            kafka.recreate()
            fill(kafka, 9, prefix="new ")
            return poll(timeout, limit)

        kafka.opened[0].poll = changing  # type: ignore[method-assign]
        batch = reader.poll(5, 0.0)
        assert (batch.documents, offsets(batch.positions)) == ([], {"0": 4})
        with pytest.raises(SourceError, match="read up to offset 4 in a topic that was deleted"):
            reader.poll(5, 0.0)


class TestQuestions:
    def test_a_state_that_is_ahead_or_of_another_topic_leads_nowhere(self):
        kafka = FakeKafka(2)
        fill(kafka, 5, 0)
        fill(kafka, 5, 1)
        reader = source(kafka)
        at = source_positions(kafka, {"0": 3, "1": 3})
        ahead, other = source_positions(kafka, {"0": 2, "1": 4}), source_positions(kafka, {"0": 1}, topic_id="old")
        assert "ahead of what is committed: documents/1 at 4 against 3" in str(reader.unreachable(ahead, at))
        assert "of another topic 'documents'" in str(reader.unreachable(other, at))
        assert reader.unreachable(at, at) is None
        assert reader.unreachable(source_positions(kafka, {"0": 3}), at) is None

    def test_a_state_whose_next_records_are_gone_leads_nowhere(self):
        kafka = FakeKafka(2)
        fill(kafka, 9, 0)
        fill(kafka, 9, 1)
        kafka.delete_before(5, 0)
        behind, at = source_positions(kafka, {"0": 3, "1": 3}), source_positions(kafka, {"0": 8, "1": 8})
        reason = source(kafka).unreachable(behind, at)
        assert "documents/0 has to be read from offset 3 on" in str(reason)
        assert "documents/1" not in str(reason)
        assert source(kafka, accept_gap=True).unreachable(behind, at) is None
        level = source_positions(kafka, {"0": 3, "1": 8})
        assert source(kafka).unreachable(source_positions(kafka, {"0": 3, "1": 3}), level) is None

    def test_records_of_a_partition_that_came_after_the_state_count_too(self):
        kafka = FakeKafka(2)
        fill(kafka, 9, 0)
        fill(kafka, 9, 1)
        kafka.delete_before(5, 1)
        at = source_positions(kafka, {"0": 8, "1": 8})
        reason = source(kafka).unreachable(source_positions(kafka, {"0": 3}), at)
        assert "documents/1 has to be read from offset 0 on" in str(reason)

    def test_without_a_state_all_of_the_past_is_needed(self):
        kafka = FakeKafka()
        fill(kafka, 9)
        kafka.delete_before(5)
        reader = source(kafka)
        lost, whole = source_positions(kafka, {"0": 8}), source_positions(kafka, {"0": 8}, began={"0": 5})
        assert "documents/0 began at 0 and now begins at 5" in str(reader.unreachable(None, lost))
        assert reader.unreachable(None, whole) is None
        assert source(kafka, accept_gap=True).unreachable(None, lost) is None

    def test_it_reaches_back_when_nothing_is_missing(self):
        kafka = FakeKafka()
        fill(kafka, 9)
        kafka.delete_before(5)
        reader = source(kafka)
        gap = {"partition": 0, "from": 6, "to": 7, "reason": "retention"}
        assert reader.reaches_back(source_positions(kafka, {"0": 8}, began={"0": 5}))
        assert not reader.reaches_back(source_positions(kafka, {"0": 8}))
        assert not reader.reaches_back(source_positions(kafka, {"0": 8}, began={"0": 5}, gaps=[gap]))
        assert not reader.reaches_back(source_positions(kafka, {"0": 8}, began={"0": 5}, topic_id="old"))
