"""The Kafka sink against brokers in memory: every order, and every way to fail."""

from __future__ import annotations

import orjson
import pytest

from tests.streams.fake_kafka import FakeKafka, Fault
from tests.streams.kafka_publications import TOPIC, Story, positions
from tests.streams.kafka_sink_cases import Alarm, brokers, documents_of, letter, sink_of
from tsds_stream.streams.base import Fenced, SinkError, SinkUnavailable
from tsds_stream.streams.kafka.dead_letters import TRUNCATED, decode_letter
from tsds_stream.streams.kafka.encoding import decode_change
from tsds_stream.streams.kafka.errors import FencedOff, Partition, Refused, TooLarge, Unreachable
from tsds_stream.streams.kafka.marks import encode_claim, is_mark


@pytest.fixture
def kafka() -> FakeKafka:
    return brokers()


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


def test_a_transaction_that_was_waited_for_says_that_it_has_succeeded(kafka: FakeKafka, monkeypatch, caplog):
    sink = sink_of(kafka)
    sink.heartbeat(positions(1, 1), 0)
    assert "has succeeded" not in caplog.text
    monkeypatch.setattr("tsds_stream.streams.kafka.sink._SLOW", 0.0)
    sink.heartbeat(positions(2, 2), 0)
    assert "seconds, and has succeeded" in caplog.text


def test_compaction_does_not_change_what_is_found(kafka: FakeKafka):
    sink, story = sink_of(kafka), Story()
    for round in range(5):
        sink.commit([story.publication({"a": 0.1 + round / 10, f"n{round}": 0.5})], [], positions(round, round))
        kafka.compact("selection")
        assert sink_of(kafka, recovered=False).recover().members == {"news": story.members}
        sink = sink_of(kafka)
    assert sum(is_mark(record.key) for record in kafka.visible("selection")) == 1


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
