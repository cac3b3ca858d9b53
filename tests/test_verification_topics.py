"""What the auditor reads of topics, on a reader in memory: positions, targets, and what a sink holds."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import pytest

pytest.importorskip("kafka")

from tsds_stream.codecs import Decoder
from tsds_stream.digests import digest_of
from tsds_stream.records import DeadLetter, Json
from tsds_stream.streams.kafka.dead_letters import encode_letter
from tsds_stream.streams.kafka.documents import DocumentReader
from tsds_stream.streams.kafka.encoding import Wire, encode_removal, encode_revision, encode_upsert
from tsds_stream.streams.kafka.marks import PublisherMark, SetMark
from tsds_stream.verification.evidence import Place
from tsds_stream.verification.topic_examples import SetExamples, TopicExamples
from tsds_stream.verification.topic_log import TopicLog
from tsds_stream.verification.topic_sink import SinkReader


@dataclass(frozen=True)
class Stored:
    """A record in a topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple = ()
    timestamp: int = 7
    topic: str = "t"


class Reader:
    """A `TopicReader` of one partition that holds all from `begins` on; `later` appear one by one, at each look."""

    def __init__(self, topic: str, wires: list[Wire], begins: int = 0, later: list[Wire] | None = None) -> None:
        self.topic = topic
        self.beginnings = {0: begins}
        self.positions = {0: begins}
        self.later = list(later or [])
        self._records: list[Stored] = []
        for wire in wires:
            self.append(wire)

    def append(self, wire: Wire) -> None:
        self._records.append(Stored(0, self.beginnings[0] + len(self._records), *wire))

    def start(self, positions: dict[int, int]) -> None:
        self.positions = dict(positions)

    def ends(self) -> dict[int, int]:
        if self.later:
            self.append(self.later.pop(0))
        return {0: self.beginnings[0] + len(self._records)}

    def read(self, until: dict[int, int]):
        found = [one for one in self._records if self.positions[0] <= one.offset < until[0]]
        self.positions[0] = max(self.positions[0], until[0])
        if found:
            yield {0: found}


def positions(documents: int, **more: object) -> Json:
    return {"documents": {"0": documents}, "topic": "t", "topic_id": "one", "began": {"0": 0}, **more}


def log(reader: Reader, newest: Json, topic_id: str = "one") -> TopicLog:
    documents = DocumentReader("t", Decoder(), 1000, lambda: 0)
    return TopicLog(reader, topic_id, documents, newest, "", nullcontext)  # type: ignore[arg-type]


def test_documents_are_read_part_by_part_up_to_positions_and_not_beyond():
    wires = [Wire(b"%d" % i, b'{"text": "x"}') for i in range(5)]
    wires[2], wires[3] = Wire(b"2", b"{torn"), Wire(b"3", b"z" * 2000)
    made = log(Reader("t", wires), positions(5))
    first = list(made.batches(positions(2)))
    assert [document.id for batch in first for document in batch.documents] == ["0", "1"]
    assert made.covers(Place("t", 0, 1))
    assert not made.covers(Place("t", 0, 2))
    rest = list(made.batches(positions(5)))
    assert [document.id for batch in rest for document in batch.documents] == ["4"]
    assert [letter.reason for batch in rest for letter in batch.dead_letters] == ["decode", "too_large"]
    assert made.progress(positions(5)) > made.progress(positions(2))
    assert made.amount(positions(5)) == 5


@pytest.mark.parametrize(
    ("found", "part"),
    [
        ({"files": {}}, "was read from files"),
        (positions(3, topic="other"), "were read from topic 'other'"),
        (positions(3, topic_id="two"), "deleted and made again"),
        (positions(3, gaps=[{"partition": 0, "from": 1, "to": 2, "reason": "r"}]), "partition 0 from 1 to 2"),
        (positions(3, began={"0": 1}), "was begun at 1"),
        (positions(3, began={"0": 0, "9": 0}), "partition 9 of 't'"),
        (positions(9), "ends at 4, and its documents were read up to 9"),
    ],
)
def test_positions_that_cannot_be_verified_say_why(found: Json, part: str):
    wires = [Wire(b"%d" % i, b"{}") for i in range(4)]
    made = log(Reader("t", wires), positions(4))
    assert made.unreadable(positions(4)) is None
    assert part in str(made.unreadable(found))


def test_records_deleted_by_retention_are_counted():
    made = log(Reader("t", [Wire(b"k", b"{}")] * 3, begins=5), positions(7))
    assert "5 offsets were deleted by retention" in str(made.unreadable(positions(7)))


def test_targets_are_those_of_the_positions_of_a_revision():
    wires = [
        Wire(b"s/a", b'{"text": "one"}'),
        Wire(b"s/b", b'{"id": "ignored", "text": "two"}'),
        Wire(b"other/c", b'{"text": "three"}'),
        Wire(b"s/a", None),
        Wire(b"s/b", b"{torn"),
        Wire(b"\xff", b"{}"),
        Wire(None, b"{}"),
    ]
    examples = SetExamples(TopicExamples(Reader("t", wires), Decoder()), "s")  # type: ignore[arg-type]
    assert [target.id for target in examples.at({"0": 3})] == ["a", "b"]
    assert [target.id for target in examples.at({"0": 4})] == ["b"]
    assert examples.at(None) == [], "an example that cannot be used takes the one before it away"


def revision(number: int, end: int, digest: str = "d") -> Json:
    return {
        "set": "s",
        "revision": number,
        "selection_end": {"0": end},
        "published_digest": digest,
        "positions": positions(number),
        "created": number,
    }


def upsert(name: str, number: int) -> Wire:
    record = {"set": "s", "id": name, "revision": number, "probability": 0.5, "weight": 1.0, "multiplicity": 1}
    return encode_upsert(record, name.encode() * 16)


def mark(number: int, digest: str = "d", transactional_id: str = "me") -> Wire:
    sets = {"s": SetMark(number, digest, (0, number - 1))}
    return PublisherMark(transactional_id, number, positions(number), 0, {}, sets).encoded()


def letter() -> Wire:
    return encode_letter(
        DeadLetter("decode", "", {"topic": "t", "partition": 0, "offset": 0}, b"k", b"v", 1, (("a", b"b"),))
    )


def test_what_a_sink_holds_is_put_together_from_its_topics():
    selection = [upsert("a", 1), upsert("b", 1), mark(1), encode_removal("s", "a", 2), mark(2)]
    revisions = [encode_revision(revision(1, 2)), encode_revision(revision(2, 4))]
    found = SinkReader(Reader("s", selection), Reader("r", revisions), Reader("d", [letter()]), "me").read()  # type: ignore[arg-type]
    assert found.faults == []
    assert [record["revision"] for record in found.revisions["s"]] == [1, 2]
    assert (found.current["s"].revision, list(found.current["s"].members)) == (2, ["b"])
    assert found.positions == positions(2)
    assert [one.reason for one in found.letters] == ["decode"]
    assert (found.whole, found.letters_whole) == (True, True)


def test_a_publication_that_appears_topic_after_topic_is_waited_for():
    """The mark of a transaction may be visible before its revision is, and the other way round."""
    first = Reader("s", [upsert("a", 1), mark(1), upsert("b", 2)], later=[mark(1), mark(2)])
    second = Reader("r", [encode_revision(revision(1, 1))], later=[encode_revision(revision(2, 3))])
    found = SinkReader(first, second, Reader("d", []), "me").read()  # type: ignore[arg-type]
    assert found.faults == []
    assert (found.current["s"].revision, sorted(found.current["s"].members)) == (2, ["a", "b"])


def test_a_record_that_compaction_took_is_replaced_by_the_revision_that_comes():
    whole = digest_of(["a", "b"], [0.5, 0.5], [1.0, 1.0])
    selection = Reader("s", [upsert("b", 1), mark(1)], later=[mark(1), upsert("a", 2), mark(2)])
    first, second = revision(1, 2, whole), revision(2, 4, whole)
    revisions = Reader("r", [encode_revision(first)], later=[encode_revision(second)])
    revisions.later.insert(0, encode_revision({**first, "set": "other", "selection_end": {}}))
    found = SinkReader(selection, revisions, Reader("d", []), "me").read()  # type: ignore[arg-type]
    assert (found.current["s"].revision, sorted(found.current["s"].members)) == (2, ["a", "b"])


def test_what_does_not_belong_into_the_topics_is_told():
    selection = [upsert("a", 1), mark(2), mark(1), mark(9, transactional_id="another"), Wire(b"s/x", b"[]")]
    revisions = [encode_revision(revision(1, 1)), Wire(b"s", b"{torn")]
    letters = Reader("d", [Wire(b"k", b"v")], begins=3)
    found = SinkReader(Reader("s", selection), Reader("r", revisions), letters, "me").read()  # type: ignore[arg-type]
    assert [kind for kind, _, _ in found.faults].count("unreadable") == 3
    assert "publication 1 follows 2" in " ".join(sentence for _, sentence, _ in found.faults)
    assert "the mark speaks of revision 2" in " ".join(sentence for _, sentence, _ in found.faults)
    assert any("another publisher" in note for note in found.notes)
    assert not found.letters_whole


def test_a_selection_without_a_revision_is_a_fault():
    found = SinkReader(Reader("s", [upsert("a", 1)]), Reader("r", []), Reader("d", []), "me").read()  # type: ignore[arg-type]
    assert [kind for kind, _, _ in found.faults] == ["selection"]
    assert found.positions is None
