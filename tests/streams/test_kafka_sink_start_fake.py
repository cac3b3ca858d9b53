"""What the Kafka sink finds at a start, in topics that are whole, moved, damaged or shared."""

from __future__ import annotations

import logging

import pytest

from tests.streams.fake_kafka import FakeKafka, Fault, Log
from tests.streams.kafka_publications import TOPIC, Story, positions
from tests.streams.kafka_sink_cases import brokers, sink_of
from tsds_stream.streams.base import Fenced, SinkError, SinkUnavailable
from tsds_stream.streams.kafka.client import Mark
from tsds_stream.streams.kafka.errors import FencedOff, Partition, Unreachable
from tsds_stream.streams.kafka.marks import encode_claim


@pytest.fixture
def kafka() -> FakeKafka:
    return brokers()


def test_nothing_published_is_found_as_nothing(kafka: FakeKafka):
    found = sink_of(kafka, recovered=False).recover()
    assert (found.positions, found.revisions, found.members) == (None, {}, {})


def test_transactions_are_initialised_before_anything_is_asked(kafka: FakeKafka):
    sink_of(kafka)
    assert kafka.calls == ["init_transactions", "begin", "send", "flush", "commit"]


def test_only_the_last_revision_record_of_a_set_is_read(kafka: FakeKafka, monkeypatch):
    sink, busy, quiet = sink_of(kafka), Story("busy"), Story("quiet")
    sink.commit([quiet.publication({"q": 0.5})], [], positions(0, 0))
    for n in range(50):
        sink.commit([busy.publication({"b": 0.1 + n / 100})], [], positions(n, n))
    kafka.during = lambda call: reads.append(call) if call == "poll" else None
    reads: list[str] = []
    found = sink_of(kafka, recovered=False).recover()
    assert {name: one["revision"] for name, one in found.revisions.items()} == {"busy": 50, "quiet": 1}
    assert len(reads) <= 4


def test_a_selection_of_another_topic_is_not_gone_on_with(kafka: FakeKafka):
    sink_of(kafka).heartbeat(positions(1, 1), 0)
    with pytest.raises(SinkError, match=r"selection from the Kafka topic 'documents'.*come from files"):
        sink_of(kafka, documents=None)


def test_missing_topics_are_named_together(kafka: FakeKafka):
    del kafka.logs[Partition("dead-letters", 0)]
    kafka.logs = {partition: log for partition, log in kafka.logs.items() if partition.topic != "revisions"}
    with pytest.raises(
        SinkError, match=r"no topic 'revisions' and no topic 'dead-letters'; `tsds-stream topics --create"
    ):
        sink_of(kafka)


def test_brokers_that_do_not_answer_at_a_start_may_answer_at_the_next(kafka: FakeKafka):
    kafka.faults.append(Fault("init_transactions", Unreachable("Could not begin to write transactions (nowhere:1).")))
    with pytest.raises(SinkUnavailable, match="nowhere:1"):
        sink_of(kafka)
    sink_of(kafka)


def test_an_open_transaction_of_somebody_else_is_waited_for(kafka: FakeKafka):
    stranger = kafka.clients.producer(None, transactional_id="stranger", max_request_size=10**6)
    stranger.init_transactions()
    stranger.begin()
    stranger.send("selection", b"other/x", None, (("revision", b"1"),), partition=0)
    stranger.flush(1)
    story = Story()
    sink, looks = sink_of(kafka, recovered=False), []

    def end_it(call: str) -> None:
        if call == "ends":
            looks.append(call)
            if len(looks) == 5:
                stranger.commit()

    kafka.during = end_it
    sink.recover()
    assert len(looks) >= 5
    sink.commit([story.publication({"a": 0.5})], [], positions(1, 1))


def test_an_open_transaction_that_does_not_end_is_told_with_its_place(kafka: FakeKafka, monkeypatch):
    monkeypatch.setattr("tsds_stream.streams.kafka.sink._MARGIN", 0.0)
    stranger = kafka.clients.producer(None, transactional_id="stranger", max_request_size=10**6)
    stranger.init_transactions()
    stranger.begin()
    stranger.send("selection", b"other/x", b"{}", partition=2)
    stranger.flush(1)
    with pytest.raises(SinkError, match=r"selection/2 for more than 0 seconds.*find-hanging"):
        sink_of(kafka, transaction_timeout=0.05)


class TestAuthority:
    def published(self, kafka: FakeKafka) -> None:
        sink_of(kafka).commit([Story().publication({"a": 0.5})], [], positions(10, 20))

    def test_offsets_that_an_operator_moved_are_honoured(self, kafka: FakeKafka, caplog):
        self.published(kafka)
        kafka.offsets["tsds", Partition(TOPIC, 1)] = Mark(5, "")
        assert sink_of(kafka, recovered=False).recover().positions == positions(10, 5)
        assert "were moved since the last publication (partition 1 from 20 to 5)" in caplog.text

    def test_without_offsets_the_mark_tells_the_positions(self, kafka: FakeKafka, caplog):
        self.published(kafka)
        kafka.offsets.clear()
        assert sink_of(kafka, recovered=False).recover().positions == positions(10, 20)
        assert "has no committed offsets" in caplog.text

    def test_without_a_mark_the_offsets_tell_the_positions(self, kafka: FakeKafka, caplog):
        self.published(kafka)
        kafka.delete("selection")
        kafka.delete("revisions")
        found = sink_of(kafka, recovered=False).recover()
        assert (found.positions, found.revisions) == (positions(10, 20), {})
        assert "the selection will be that of the documents up to them" in caplog.text

    def test_offsets_of_somebody_else_are_taken_from_the_beginning_of_the_log(self, kafka: FakeKafka):
        kafka.offsets["tsds", Partition(TOPIC, 1)] = Mark(5, "not ours")
        kafka.logs[Partition(TOPIC, 0)].beginning = 3
        found = sink_of(kafka, recovered=False).recover().positions
        assert found == positions(3, 5) | {"began": {"0": 3, "1": 0}}

    def test_nothing_is_warned_of_when_all_agrees(self, kafka: FakeKafka, caplog):
        self.published(kafka)
        sink_of(kafka)
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

    def test_a_new_transactional_id_goes_on_with_a_warning(self, kafka: FakeKafka, caplog):
        self.published(kafka)
        sink = sink_of(kafka, recovered=False, transactional_id="tsds-1")
        found = sink.recover()
        assert found.positions == positions(10, 20)
        assert "'tsds-0'" in caplog.text
        assert "not fenced off" in caplog.text
        sink.heartbeat(positions(11, 20), 0)
        caplog.clear()
        assert sink_of(kafka, recovered=False, transactional_id="tsds-1").recover().positions == positions(11, 20)
        assert caplog.text == ""


class TestDamage:
    def published(self, kafka: FakeKafka) -> Story:
        story, sink = Story(), sink_of(kafka)
        sink.commit([story.publication({"a": 0.5, "b": 0.5})], [], positions(1, 1))
        sink.commit([story.publication({"c": 0.5})], [], positions(2, 2))
        return story

    def test_a_record_that_is_gone_is_noticed(self, kafka: FakeKafka):
        self.published(kafka)
        for partition in kafka.partitions("selection"):
            log = kafka.logs[partition]
            log.records = [pair for pair in log.records if pair[0].key != b"news/a"]
        with pytest.raises(SinkError, match=r"does not hold what revision 2 of 'news' says.*topics --create"):
            sink_of(kafka)

    def test_a_record_of_somebody_else_is_noticed(self, kafka: FakeKafka):
        self.published(kafka)
        kafka.append(Partition("selection", 0), b"news/z", b"{}", [("revision", b"1"), ("point", b"x" * 16)])
        with pytest.raises(SinkError, match=r"offset \d+ of selection/0 is not one that this program has written"):
            sink_of(kafka)

    def test_records_that_concern_nobody_are_counted(self, kafka: FakeKafka, caplog):
        story = self.published(kafka)
        kafka.append(Partition("selection", 0), b"hello", b"world")
        kafka.append(Partition("selection", 0), None, b"world")
        assert sink_of(kafka, recovered=False).recover().members == {"news": story.members}
        assert "2 records in the topic selection are not of this program" in caplog.text

    @pytest.mark.parametrize("topic", ["selection", "revisions"])
    def test_one_topic_made_again_is_noticed(self, kafka: FakeKafka, topic: str):
        self.published(kafka)
        kafka.delete(topic)
        with pytest.raises(SinkError, match="delete the topics 'selection' and 'revisions'"):
            sink_of(kafka)

    def test_an_expired_revision_record_is_noticed(self, kafka: FakeKafka):
        self.published(kafka)
        for partition in kafka.partitions("revisions"):
            log = kafka.logs[partition]
            log.records, log.beginning = [], log.end
        with pytest.raises(SinkError, match=r"does not hold its record at offset \d+.*retention\.ms=-1"):
            sink_of(kafka)

    def test_a_second_instance_with_another_id_is_noticed(self, kafka: FakeKafka):
        story = self.published(kafka)
        first = sink_of(kafka)
        other = Story()
        second = sink_of(kafka, recovered=False, transactional_id="tsds-1")
        other.follow(second.recover())
        second.commit([other.publication({"d": 0.5})], [], positions(3, 3))
        second.close()
        first.commit([story.publication({"e": 0.5})], [], positions(3, 3))
        with pytest.raises(SinkError, match="'news'"):
            sink_of(kafka)

    def test_sets_of_other_publishers_do_not_matter(self, kafka: FakeKafka):
        story = self.published(kafka)
        other = Story("code")
        sink = sink_of(
            kafka, recovered=False, transactional_id="other", documents=None, group_id="other", sets=["code"]
        )
        assert sink.recover().positions is None
        sink.commit([other.publication({"x": 0.5})], [], {"file": 1})
        kafka.append(Partition("selection", 0), b"code/damaged", b"{}")
        found = sink_of(kafka, recovered=False, sets=["news"]).recover()
        assert found.members == {"news": story.members}
        assert found.positions == positions(2, 2)


def test_a_set_that_was_left_out_for_a_while_is_found_again(kafka: FakeKafka):
    news, code = Story("news"), Story("code")
    sink_of(kafka).commit([news.publication({"a": 0.5}), code.publication({"x": 0.5})], [], positions(1, 1))
    sink_of(kafka, sets=["news"]).commit([news.publication({"b": 0.5})], [], positions(2, 2))
    assert sink_of(kafka, recovered=False).recover().members == {"news": news.members, "code": code.members}


@pytest.mark.parametrize("removed", [False, True])
def test_a_key_that_lies_in_two_partitions_counts_as_it_was_sent_last(kafka: FakeKafka, removed: bool):
    """As after partitions were added to the selection topic; nobody says in which order partitions are read."""
    story, names = Story(), [f"d{n}" for n in range(12)]
    sink_of(kafka).commit([story.publication(dict.fromkeys(names, 0.5))], [], positions(1, 1))
    for number in (3, 4):
        kafka.logs[Partition("selection", number)] = Log()
    sink = sink_of(kafka)
    kafka.logs = dict(sorted(kafka.logs.items(), reverse=True))  # the new ones are given first
    if removed:
        sink.commit([story.publication({}, tuple(names))], [], positions(2, 2))
    else:
        sink.commit([story.publication(dict.fromkeys(names, 0.25))], [], positions(2, 2))
    kafka.compact("selection")
    found = sink_of(kafka, recovered=False).recover()
    assert found.members == {"news": story.members}


@pytest.mark.parametrize(("started", "becomes"), [(2**45, Fenced), (1, SinkUnavailable)])
def test_fenced_off_before_it_could_say_that_it_is_there(kafka: FakeKafka, monkeypatch, started: int, becomes: type):
    """Whoever started later has taken over; a predecessor has not."""
    monkeypatch.setattr("tsds_stream.streams.kafka.fencing._PATIENCE", 0.01)
    other = kafka.clients.producer(None, transactional_id="tsds-0", max_request_size=10**6)
    other.init_transactions()
    other.begin()
    claim = encode_claim("tsds-0", {"host": "elsewhere", "pid": 77, "started": started})
    other.send("selection", claim.key, claim.value, partition=0)
    other.flush(1)
    other.commit()
    kafka.faults.append(Fault("flush", FencedOff("InvalidProducerEpochError")))
    with pytest.raises(becomes):
        sink_of(kafka, recovered=False).recover()
