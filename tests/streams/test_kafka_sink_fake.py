"""The Kafka sink against brokers in memory: every order, and every way to fail."""

from __future__ import annotations

import logging

import orjson
import pytest

from tests.streams.fake_kafka import FakeKafka, Fault
from tests.streams.kafka_publications import TOPIC, Story, positions
from tsds_stream.records import DeadLetter
from tsds_stream.streams.base import Fenced, SinkError, SinkUnavailable
from tsds_stream.streams.kafka.client import Mark
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.dead_letters import TRUNCATED, decode_letter
from tsds_stream.streams.kafka.encoding import decode_change
from tsds_stream.streams.kafka.errors import FencedOff, Partition, Refused, TooLarge, Unreachable
from tsds_stream.streams.kafka.marks import encode_claim, is_mark
from tsds_stream.streams.kafka.sink import KafkaSink


class Alarm:
    """Says whether a limit was running; ends nothing."""

    def __init__(self) -> None:
        self.armed: float | None = None
        self.history: list[float] = []

    def arm(self, seconds: float) -> None:
        self.armed = seconds
        self.history.append(seconds)

    def disarm(self) -> None:
        self.armed = None


@pytest.fixture
def kafka() -> FakeKafka:
    return FakeKafka({TOPIC: 2, "selection": 3, "revisions": 2, "dead-letters": 1})


def sink_of(kafka: FakeKafka, *, recovered: bool = True, **told) -> KafkaSink:
    told = {"documents": TOPIC, "transactional_id": "tsds-0", "group_id": "tsds", **told}
    sink = KafkaSink(
        Connection("nowhere:1"),
        selection="selection",
        revisions="revisions",
        dead_letters="dead-letters",
        clients=kafka.clients,
        alarm=told.pop("alarm", Alarm()),
        **told,
    )
    if recovered:
        sink.recover()
    return sink


def letter(**told) -> DeadLetter:
    source = {"topic": TOPIC, "partition": 1, "offset": 7}
    return DeadLetter(
        **{"reason": "decode", "detail": "no JSON", "source": source, "key": b"k", "value": b"v"} | told, created=5
    )


def documents_of(kafka: FakeKafka) -> list:
    return [record for record in kafka.visible("selection") if not record.key.startswith(b":")]


def test_a_restart_finds_what_was_published(kafka: FakeKafka):
    sink, news, code = sink_of(kafka), Story("news"), Story("code")
    sink.commit([news.publication({"a": 0.5, "b": 0.1}), code.publication({"x": 0.3})], [letter()], positions(3, 4))
    last = news.publication({"c": 0.7}, ("a",))
    sink.commit([last], [], positions(5, 6))
    found = sink_of(kafka, recovered=False).recover()
    assert found.positions == positions(5, 6)
    assert found.members == {"news": news.members, "code": code.members}
    assert found.revisions["news"] == last.revision
    assert found.revisions["code"]["revision"] == 1
    assert kafka.offsets["tsds", Partition(TOPIC, 1)].offset == 6
    assert sink.transactions == 2


def test_nothing_published_is_found_as_nothing(kafka: FakeKafka):
    found = sink_of(kafka, recovered=False).recover()
    assert (found.positions, found.revisions, found.members) == (None, {}, {})


def test_transactions_are_initialised_before_anything_is_asked(kafka: FakeKafka):
    sink_of(kafka)
    assert kafka.calls == ["init_transactions", "begin", "send", "flush", "commit"]


def test_every_transaction_has_the_order_that_loses_nothing(kafka: FakeKafka):
    sink, story = sink_of(kafka), Story()
    kafka.calls.clear()
    sink.commit([story.publication({"a": 0.5})], [letter()], positions(1, 1))
    assert kafka.calls == [
        *["begin", "send", "send", "flush"],
        *["send", "flush", "send", "flush"],
        *["send_offsets", "commit"],
    ]


def test_the_revision_record_names_the_end_of_its_records(kafka: FakeKafka):
    sink, story = sink_of(kafka), Story()
    publication = story.publication({f"d{i}": 0.5 for i in range(20)})
    sink.commit([publication], [], positions(1, 1))
    end = publication.revision["selection_end"]
    assert end.keys() == {"0", "1", "2"}
    for number in range(3):
        places = [record.offset for record in documents_of(kafka) if record.partition == number]
        assert end[str(number)] == max(places) + 1
    sent = [orjson.loads(record.value) for record in kafka.visible("revisions")]
    assert sent == [publication.revision]
    quiet = story.publication({})
    sink.commit([quiet], [], positions(2, 2))
    assert quiet.revision["selection_end"] == end


def test_a_heartbeat_moves_positions_and_nothing_else(kafka: FakeKafka):
    sink, story = sink_of(kafka), Story()
    sink.commit([story.publication({"a": 0.5})], [], positions(1, 1))
    before = documents_of(kafka), kafka.visible("revisions")
    sink.heartbeat(positions(9, 9), 0)
    assert (documents_of(kafka), kafka.visible("revisions")) == before
    assert sink_of(kafka, recovered=False).recover().positions == positions(9, 9)


def test_compaction_does_not_change_what_is_found(kafka: FakeKafka):
    sink, story = sink_of(kafka), Story()
    for round in range(5):
        sink.commit([story.publication({"a": 0.1 + round / 10, f"n{round}": 0.5})], [], positions(round, round))
        kafka.compact("selection")
        assert sink_of(kafka, recovered=False).recover().members == {"news": story.members}
        sink = sink_of(kafka)
    assert sum(is_mark(record.key) for record in kafka.visible("selection")) == 1


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


STEPS = [
    (call, nth, after)
    for call, count in {"begin": 1, "send": 6, "flush": 3, "send_offsets": 1, "commit": 1}.items()
    for nth in range(1, count + 1)
    for after in (False, True)
]


@pytest.mark.parametrize(("call", "nth", "after"), STEPS)
@pytest.mark.parametrize(
    "error", [Unreachable("The broker is away."), KeyboardInterrupt()], ids=["failure", "interrupt"]
)
def test_a_transaction_that_ends_anywhere_is_there_as_a_whole_or_not_at_all(kafka: FakeKafka, call, nth, after, error):
    sink, story = sink_of(kafka), Story()
    sink.commit([story.publication({"a": 0.5, "b": 0.25})], [], positions(1, 1))
    before = dict(story.members)
    kafka.calls.clear()
    kafka.faults.append(Fault(call, error, nth, after))
    publication = story.publication({"a": 0.75, "c": 0.5}, ("b",))
    with pytest.raises(SinkUnavailable if isinstance(error, Unreachable) else KeyboardInterrupt):
        sink.commit([publication], [letter()], positions(2, 2))
    assert not kafka.faults
    with pytest.raises(SinkError, match="this process has to end"):
        sink.commit([], [], positions(3, 3))
    found = sink_of(kafka, recovered=False).recover()
    done = call == "commit" and after
    assert found.members["news"] == (story.members if done else before)
    assert found.positions == (positions(2, 2) if done else positions(1, 1))
    assert found.revisions["news"]["revision"] == (2 if done else 1)
    assert len(kafka.visible("dead-letters")) == done
    assert not kafka.open


def test_a_record_that_fails_after_a_good_flush_ends_the_transaction(kafka: FakeKafka):
    sink, story = sink_of(kafka), Story()
    kafka.refused[b"news/b"] = Unreachable("Could not send a record: NotEnoughReplicasError")
    with pytest.raises(SinkUnavailable, match="NotEnoughReplicas"):
        sink.commit([story.publication({"a": 0.5, "b": 0.5, "c": 0.5})], [], positions(1, 1))
    assert sink_of(kafka, recovered=False).recover().positions is None


def test_of_several_failed_records_the_reason_that_can_be_acted_on_is_told(kafka: FakeKafka):
    sink, story = sink_of(kafka), Story()
    kafka.refused[b"news/a"] = Unreachable("Could not send a record: the transaction was aborted.")
    kafka.refused[b"news/b"] = Refused("Could not send a record: TopicAuthorizationFailedError.")
    with pytest.raises(SinkError, match=r"TopicAuthorization.*put right") as caught:
        sink.commit([story.publication({"a": 0.5, "b": 0.5})], [], positions(1, 1))
    assert not isinstance(caught.value, SinkUnavailable)


def test_a_limit_that_was_lowered_meanwhile_heals_by_a_new_start(kafka: FakeKafka):
    sink, story = sink_of(kafka), Story()
    kafka.refused[b"news/a"] = TooLarge("Could not send a record: MessageSizeTooLargeError")
    with pytest.raises(SinkUnavailable, match=r"'selection'.*max.message.bytes was lowered"):
        sink.commit([story.publication({"a": 0.5})], [], positions(1, 1))


@pytest.mark.parametrize("call", ["flush", "send_offsets", "commit"])
def test_whoever_is_fenced_off_says_who_took_over(kafka: FakeKafka, call: str):
    story = Story()
    first = sink_of(kafka, version="1.0")
    first.commit([story.publication({"a": 0.5})], [], positions(1, 1))
    kafka.calls.clear()

    def take_over(now: str) -> None:
        if now == call:
            kafka.during = lambda _: None
            second = kafka.clients.producer(None, transactional_id="tsds-0", max_request_size=10**6)
            second.init_transactions()
            second.begin()
            claim = encode_claim("tsds-0", {"host": "elsewhere", "pid": 77, "started": 1_700_000_000_000})
            second.send("selection", claim.key, claim.value, partition=0)
            second.flush(1)
            second.commit()

    kafka.during = take_over
    with pytest.raises(
        Fenced, match=r"'tsds-0': process 77 on elsewhere, started 2023-11-14.*must not be started again"
    ):
        first.commit([story.publication({"b": 0.5})], [], positions(2, 2))
    assert sink_of(kafka, recovered=False).recover().positions == positions(1, 1)


def test_whoever_is_fenced_off_by_nobody_may_start_again(kafka: FakeKafka, monkeypatch):
    monkeypatch.setattr("tsds_stream.streams.kafka.fencing._PATIENCE", 0.01)
    sink, story = sink_of(kafka), Story()
    sink.commit([story.publication({"a": 0.5})], [], positions(1, 1))
    kafka.faults.append(Fault("commit", FencedOff("InvalidProducerEpochError")))
    with pytest.raises(SinkUnavailable, match="no other instance says that it has taken over"):
        sink.commit([story.publication({"b": 0.5})], [], positions(2, 2))


def test_a_predecessor_is_not_taken_for_a_successor(kafka: FakeKafka, monkeypatch):
    monkeypatch.setattr("tsds_stream.streams.kafka.fencing._PATIENCE", 0.01)
    sink_of(kafka).heartbeat(positions(1, 1), 0)
    sink = sink_of(kafka)
    kafka.faults.append(Fault("commit", FencedOff("ProducerFencedError")))
    with pytest.raises(SinkUnavailable):
        sink.heartbeat(positions(2, 2), 0)


def test_a_transaction_that_outlived_its_time_says_so(kafka: FakeKafka, monkeypatch):
    monkeypatch.setattr("tsds_stream.streams.kafka.fencing._PATIENCE", 0.01)
    sink = sink_of(kafka, transaction_timeout=0.0)
    kafka.faults.append(Fault("commit", FencedOff("ProducerFencedError")))
    with pytest.raises(SinkUnavailable, match=r"raise kafka\.transaction_timeout"):
        sink.heartbeat(positions(2, 2), 0)


def test_every_call_that_may_hang_runs_under_a_deadline(kafka: FakeKafka):
    alarm, story = Alarm(), Story()
    unguarded: list[str] = []
    kafka.during = lambda call: unguarded.append(call) if alarm.armed is None else None
    sink = sink_of(kafka, alarm=alarm, transaction_timeout=20.0, startup_timeout=30.0)
    assert alarm.armed is None
    sink.commit([story.publication({"a": 0.5})], [], positions(1, 1))
    assert unguarded == []
    assert alarm.armed is None
    assert alarm.history == [65.0, 20.0]


def test_a_document_that_does_not_fit_is_sent_as_a_reference(kafka: FakeKafka, caplog):
    kafka.limits["selection"] = "2000"
    sink, story = sink_of(kafka), Story()
    sink.commit(
        [story.publication({"big": 0.5}, text="x" * 3000), Story("code").publication({"y": 0.5})], [], positions(1, 1)
    )
    sent = {record.key: orjson.loads(record.value) for record in documents_of(kafka)}
    assert "text" not in sent[b"news/big"]
    assert sent[b"news/big"]["source"]["topic"] == TOPIC
    assert sent[b"code/y"]["text"] == "a text"
    assert sink.oversized == 1
    assert "news/big is larger than the topics take" in caplog.text
    assert sink_of(kafka, recovered=False).recover().members["news"] == story.members


def test_references_are_sent_on_request(kafka: FakeKafka):
    sink, story = sink_of(kafka, payload="reference"), Story()
    sink.commit([story.publication({"a": 0.5})], [], positions(1, 1))
    (record,) = documents_of(kafka)
    change = decode_change(record.key, record.value, record.headers)
    assert change.record is not None
    assert not {"text", "meta"} & change.record.keys()


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({"value": b"v" * 3000}, {"key": b"k", "headers": (("h", b"1"), (TRUNCATED, b"1"))}),
        ({"key": b"k" * 3000}, {"key": None, "headers": ((TRUNCATED, b"1"),)}),
        ({"headers": (("h", b"x" * 3000),)}, {"key": None, "headers": ((TRUNCATED, b"1"),)}),
    ],
    ids=["value", "key", "headers"],
)
def test_a_dead_letter_that_does_not_fit_keeps_what_does(kafka: FakeKafka, told, kept):
    kafka.limits["dead-letters"] = "2000"
    sink = sink_of(kafka)
    sink.commit([], [letter(**{"headers": (("h", b"1"),)} | told)], positions(1, 1))
    (record,) = kafka.visible("dead-letters")
    found = decode_letter(record.key, record.value, record.headers)
    assert (found.value, found.reason, found.source["offset"]) == (None, "decode", 7)
    assert {"key": found.key, "headers": found.headers} == kept


def test_a_revision_record_that_does_not_fit_says_what_to_raise(kafka: FakeKafka):
    kafka.limits["revisions"] = "1000"
    sink, story = sink_of(kafka), Story()
    publication = story.publication({"a": 0.5})
    publication.revision["more"] = "x" * 2000
    with pytest.raises(SinkError, match=r"'revisions'.*Raise max\.message\.bytes"):
        sink.commit([publication], [], positions(1, 1))


def test_two_revisions_of_one_set_are_refused_before_anything_is_sent(kafka: FakeKafka):
    sink, story = sink_of(kafka), Story()
    with pytest.raises(SinkError, match="two revisions"):
        sink.commit([story.publication({"a": 0.5}), story.publication({"b": 0.5})], [], positions(1, 1))
    sink.heartbeat(positions(1, 1), 0)


def test_positions_of_another_topic_are_refused(kafka: FakeKafka):
    with pytest.raises(SinkError, match="not of the topic 'documents'"):
        sink_of(kafka).heartbeat(positions(1, topic="other"), 0)


def test_a_sink_of_files_commits_no_offsets(kafka: FakeKafka):
    sink = sink_of(kafka, documents=None)
    sink.heartbeat({"a.jsonl": [1, 2]}, 0)
    assert kafka.offsets == {}
    assert sink_of(kafka, recovered=False, documents=None).recover().positions == {"a.jsonl": [1, 2]}
    with pytest.raises(SinkError, match="selection from files, but the configured documents come from the Kafka topic"):
        sink_of(kafka)


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


def test_a_sink_is_recovered_once(kafka: FakeKafka):
    sink = sink_of(kafka, recovered=False)
    with pytest.raises(SinkError, match="recovered before"):
        sink.heartbeat(positions(1, 1), 0)
    sink.recover()
    with pytest.raises(SinkError, match="new one"):
        sink.recover()
    sink.close()
    with pytest.raises(SinkError, match="closed"):
        sink.heartbeat(positions(1, 1), 0)


def test_many_records_are_delivered_in_parts(kafka: FakeKafka, monkeypatch):
    monkeypatch.setattr("tsds_stream.streams.kafka.outbox._FULL", 10_000)
    sink, story = sink_of(kafka), Story()
    publication = story.publication({f"d{i}": 0.5 for i in range(100)}, text="x" * 500)
    sink.commit([publication], [], positions(1, 1))
    assert kafka.calls.count("flush") > 5
    assert publication.revision["selection_end"] == {
        str(number): max(r.offset for r in documents_of(kafka) if r.partition == number) + 1 for number in range(3)
    }
    assert sink_of(kafka, recovered=False).recover().members == {"news": story.members}
