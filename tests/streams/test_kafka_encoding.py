"""Records in topics: what is written is what is read, for whatever a document can hold."""

from __future__ import annotations

from math import inf, isfinite, nan

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsds_stream.records import DeadLetter
from tsds_stream.streams.kafka.dead_letters import TRUNCATED, decode_letter, encode_letter, encode_references
from tsds_stream.streams.kafka.encoding import (
    decode_change,
    decode_revision,
    encode_removal,
    encode_revision,
    encode_upsert,
    selection_key,
    split_selection_key,
)
from tsds_stream.streams.kafka.marks import (
    OffsetNote,
    PublisherMark,
    SetMark,
    decode_mark,
    decode_note,
    encode_claim,
    is_mark,
    publisher_of,
)

texts = st.text(st.characters(exclude_categories=["Cs"]))
ids = texts.filter(bool)
names = st.from_regex(r"[A-Za-z0-9_.-]+", fullmatch=True)
numbers = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**63), 2**63 - 1)
values = st.recursive(
    st.none() | st.booleans() | whole | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
points = st.binary(min_size=16, max_size=16)
maybe = st.none() | st.binary(max_size=50)
headers = st.lists(
    st.tuples(st.sampled_from(["h", "", "tsds-reason", "tsds-null", "tsds-truncated"]) | texts, st.binary(max_size=9)),
    max_size=4,
)
records = st.fixed_dictionaries(
    {
        "set": names,
        "id": ids,
        "revision": st.integers(1, 2**62),
        "probability": numbers,
        "weight": numbers,
        "multiplicity": st.integers(1, 2**40),
        "text": st.none() | texts,
        "meta": st.dictionaries(texts, values, max_size=3),
        "source": st.dictionaries(texts, values, max_size=2),
    }
)


@given(records, points)
def test_a_selected_document_is_read_as_it_was_written(record, point):
    wire = encode_upsert(record, point)
    assert decode_change(*wire) == (record["set"], record["id"], record["revision"], record, point)


@given(records, points)
def test_a_reference_lacks_text_and_meta_and_nothing_else(record, point):
    wire = encode_upsert(record, point, reference=True)
    assert decode_change(*wire).record == {
        name: value for name, value in record.items() if name not in ("text", "meta")
    }


@given(names, ids, st.integers(1, 2**62))
def test_a_removal_is_read_as_it_was_written(name, identifier, revision):
    assert decode_change(*encode_removal(name, identifier, revision)) == (name, identifier, revision, None, b"")


@given(names, ids)
def test_keys_are_taken_apart_whatever_the_id_holds(name, identifier):
    assert split_selection_key(selection_key(name, identifier)) == (name, identifier)


@given(names, ids, names, ids)
def test_different_documents_have_different_keys(name, identifier, other_name, other):
    same = (name, identifier) == (other_name, other)
    assert (selection_key(name, identifier) == selection_key(other_name, other)) == same


@given(
    st.none() | st.binary(max_size=40), maybe, st.lists(st.tuples(st.sampled_from(["revision", "point", "x"]), maybe))
)
def test_what_is_no_record_of_a_selection_is_refused_with_a_value_error(key, value, more):
    try:
        change = decode_change(key, value, more)
    except ValueError:
        return
    assert selection_key(change.name, change.id) == key


def test_numbers_that_json_does_not_have_become_null():
    record = {"set": "a", "id": "b", "revision": 1, "nearest": [["t", inf]], "meta": {"x": nan}}
    change = decode_change(*encode_upsert(record, b"p" * 16))
    assert change.record is not None
    assert change.record["nearest"] == [["t", None]]
    assert change.record["meta"] == {"x": None}


@given(st.floats(0, 1, exclude_min=True), st.floats(allow_nan=False, allow_infinity=False))
def test_probabilities_are_read_bit_for_bit(probability, weight):
    record = {"set": "a", "id": "b", "revision": 1, "probability": probability, "weight": weight}
    told = decode_change(*encode_upsert(record, b"p" * 16)).record
    assert told is not None
    assert isfinite(weight)
    assert (told["probability"], told["weight"]) == (probability, weight)


@given(names, st.integers(1, 2**60), st.dictionaries(texts, values, max_size=3))
def test_a_revision_record_is_read_as_it_was_written(name, revision, more):
    record = more | {"set": name, "revision": revision}
    assert decode_revision(*encode_revision(record)[:2]) == record


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"{}"),
        (b"a", None),
        (b"a", b"[]"),
        (b"a", b'{"set":"b","revision":1}'),
        (b"a", b"{"),
        (b"\xff", b'{"set":"a"}'),
    ],
)
def test_what_is_no_revision_record_is_refused_with_a_value_error(key, value):
    with pytest.raises(ValueError):  # noqa: PT011 - the reason differs
        decode_revision(key, value)


@given(texts, st.dictionaries(names, st.tuples(st.integers(1), st.integers(0, 99), st.integers(0)), max_size=3))
def test_a_mark_is_read_as_it_was_written(transactional_id, sets):
    marks = {
        name: SetMark(revision, "d", (partition, at))
        for name, (revision, partition, at) in sets.items()
        if at < 2**62 and revision < 2**62
    }
    mark = PublisherMark(transactional_id, 7, {"documents": {"0": 1}}, 5, {"host": "h"}, marks)
    wire = mark.encoded()
    assert is_mark(wire.key)
    assert decode_mark(wire.key, wire.value) == mark
    assert publisher_of(transactional_id, wire.key, wire.value) == {"host": "h"}
    with pytest.raises(ValueError, match="document"):
        split_selection_key(wire.key)


@given(st.binary(max_size=60))
def test_what_is_no_mark_is_refused_with_a_value_error(value):
    with pytest.raises(ValueError):  # noqa: PT011 - the reason differs
        decode_mark(b":published:x", value)


def test_a_claim_is_of_one_transactional_id():
    wire = encode_claim("a", {"pid": 1})
    assert publisher_of("a", wire.key, wire.value) == {"pid": 1}
    assert publisher_of("b", wire.key, wire.value) is None
    assert not is_mark(wire.key)


def test_the_note_beside_an_offset_is_far_below_what_brokers_take():
    note = OffsetNote(2**62, "A" * 22, 2**62)
    assert len(note.encoded()) < 200
    assert decode_note(note.encoded()) == note
    for other in ("", "{", "[]", "null", '{"publication": []}', "\ud800"):
        assert decode_note(other) is None


@given(maybe, maybe, headers, st.dictionaries(texts, values, max_size=3), ids, texts, st.integers(0, 2**50))
def test_a_dead_letter_is_read_as_it_was_written(key, value, more, source, reason, detail, created):
    letter = DeadLetter(reason, detail[:900], source, key, value, created, tuple(more))
    wire = encode_letter(letter)
    assert wire.key is not None or wire.value is not None
    assert all(isinstance(data, bytes) for _, data in wire.headers)
    assert decode_letter(*wire) == letter


@given(maybe, maybe, headers)
def test_a_truncated_dead_letter_says_so(key, value, more):
    letter = DeadLetter("too_large", "x", {"offset": 3}, key, value, 1, tuple(more))
    most, least = (decode_letter(*wire) for wire in encode_references(letter))
    assert (most.key, most.value, most.headers) == (key, None, (*more, (TRUNCATED, b"1")))
    assert (least.key, least.value, least.headers) == (None, None, ((TRUNCATED, b"1"),))
    assert most.source == least.source == {"offset": 3}


def test_a_dead_letter_shows_what_was_null():
    wire = encode_letter(DeadLetter("id", "no id", {}, None, None, 1))
    assert (wire.key, wire.value, dict(wire.headers)["tsds-null"]) == (None, b"", b"key,value")
    wire = encode_letter(DeadLetter("id", "no id", {}, b"", b"", 1))
    assert "tsds-null" not in dict(wire.headers)


def test_text_that_utf_8_cannot_hold_does_not_stop_a_dead_letter():
    wire = encode_letter(DeadLetter("id", "half a pair \ud800", {}, b"k", None, 1))
    assert decode_letter(*wire).detail == "half a pair \\ud800"


@pytest.mark.parametrize("drop", ["tsds-reason", "tsds-detail", "tsds-source", "tsds-created"])
def test_what_is_no_dead_letter_is_refused_with_a_value_error(drop):
    wire = encode_letter(DeadLetter("a", "b", {}, b"k", b"v", 1))
    with pytest.raises(ValueError, match="not a dead letter"):
        decode_letter(wire.key, wire.value, [pair for pair in wire.headers if pair[0] != drop])
    assert orjson.loads(dict(wire.headers)["tsds-source"]) == {}
