"""Whatever bytes arrive, they become a document, a target, or a reason."""

from __future__ import annotations

import gc
import math
import weakref
from contextlib import suppress
from hashlib import blake2b

import msgpack
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsds_stream.codecs import Decoder, RecordError, content_id, count_tokens
from tsds_stream.records import Document

NOW = 1_800_000_000_000
HOUR = 3_600_000

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
texts = words.filter(lambda text: bool(text) and not text.isspace())
ids = words.filter(lambda text: 0 < len(text.encode()) <= 1024)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4), max_leaves=12
)
finite = st.floats(-1e6, 1e6, width=32)
records = st.fixed_dictionaries(
    {"id": ids, "text": texts},
    optional={
        "embedding": st.lists(finite, min_size=4, max_size=4).filter(any),
        "tokens": st.integers(0, 10**9),
        "timestamp": st.integers(-NOW, NOW),
        "meta": st.dictionaries(words, json_values, max_size=4),
    },
)


def json(**fields: object) -> bytes:
    return orjson.dumps(fields)


def packed(**fields: object) -> bytes:
    return msgpack.packb(fields)  # type: ignore[no-any-return]


def reason(value: bytes | None, decoder: Decoder | None = None, key: bytes | None = None) -> str:
    with pytest.raises(RecordError) as caught:
        (decoder or Decoder()).document(value, key)
    assert caught.value.detail
    return caught.value.reason


@given(records, st.sampled_from([orjson.dumps, msgpack.packb]))
def test_what_was_written_is_read(record, write):
    document = Decoder(dimension=4).document(write(record))
    assert document.id == record["id"]
    assert document.text == record["text"]
    assert document.tokens == record.get("tokens", math.ceil(len(record["text"].encode()) / 4))
    assert document.timestamp == record.get("timestamp")
    assert document.meta == record.get("meta", {})
    if "embedding" in record:
        assert document.embedding.dtype == np.float32
        assert document.embedding.tolist() == record["embedding"]
    else:
        assert document.embedding is None


@given(st.lists(records, max_size=8), st.data())
def test_a_batch_is_its_records_one_by_one(batch, data):
    decoder = Decoder(dimension=4)
    values = []
    for record in batch:
        if "embedding" in record and data.draw(st.booleans()):
            kind = data.draw(st.sampled_from(["<f4", "<f2"]))
            with np.errstate(over="ignore"):
                values.append(packed(**{**record, "embedding": np.array(record["embedding"]).astype(kind).tobytes()}))
        else:
            values.append(data.draw(st.sampled_from([json(**record), packed(**record), b"{", b"\x81", b""])))
    documents, errors = decoder.documents(values)
    bad = {position for position, _ in errors}
    assert [position for position, _ in errors] == sorted(bad)
    assert len(documents) + len(errors) == len(values)
    remaining = iter(documents)
    for position, value in enumerate(values):
        if position in bad:
            with pytest.raises(RecordError):
                decoder.document(value)
        else:
            again, once = decoder.document(value), next(remaining)
            assert (again.id, again.text, again.tokens, again.meta) == (once.id, once.text, once.tokens, once.meta)
            np.testing.assert_array_equal(again.embedding, once.embedding)


@given(st.binary(max_size=200), st.none() | st.binary(max_size=20))
def test_random_bytes_raise_nothing_but_a_record_error(value, key):
    for format in ("auto", "json", "msgpack"):
        decoder = Decoder(dimension=4, clock=lambda: NOW, format=format)
        with suppress(RecordError):
            assert isinstance(decoder.document(value, key), Document)


@given(records, st.sampled_from([orjson.dumps, msgpack.packb]), st.data())
def test_mutated_records_raise_nothing_but_a_record_error(record, write, data):
    value = bytearray(write(record))
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    value = bytes(value[: data.draw(st.integers(0, len(value)))])
    decoder = Decoder(dimension=4, clock=lambda: NOW)
    for decode in (decoder.document, decoder.target):
        with suppress(RecordError):
            decode(value)


@given(st.dictionaries(st.sampled_from(["id", "text", "embedding", "tokens", "timestamp", "meta", "deleted", "x"]),
                       json_values | st.binary(max_size=16)))  # fmt: skip
def test_fields_of_any_type_raise_nothing_but_a_record_error(fields):
    try:
        document = Decoder(dimension=4, clock=lambda: NOW).document(msgpack.packb(fields))
    except RecordError:
        return
    orjson.dumps([document.id, document.text, document.tokens, document.timestamp, document.meta])


def test_the_id_falls_back_to_the_key_and_then_to_the_content():
    decoder = Decoder()
    assert decoder.document(json(id="a", text="t"), b"key").id == "a"
    assert decoder.document(json(text="t"), b"key").id == "key"
    assert decoder.document(json(id=None, text="é"), b"").id == blake2b("é".encode(), digest_size=16).hexdigest()
    assert decoder.document(json(id=17, text="t")).id == "17"
    vector = np.array([1, 2], np.float32)
    assert decoder.document(packed(embedding=vector.tobytes())).id == content_id(vector)
    assert Decoder(dimension=2).document(packed(embedding=vector.tobytes())).id == content_id(vector)
    assert decoder.document(json(embedding=[1, 2])).id == content_id(vector)


def test_null_and_deleted_retract_an_id():
    decoder = Decoder()
    assert decoder.document(None, b"gone") == Document("gone", deleted=True)
    assert decoder.document(json(id="gone", deleted=True)).deleted
    assert not decoder.document(json(id="here", text="t", deleted=False)).deleted
    assert reason(None) == "id"
    assert reason(json(deleted=True)) == "id"


def test_other_fields_are_kept_in_meta_and_meta_wins():
    document = Decoder().document(json(text="t", url="u", meta={"url": "better", "lang": "en"}))
    assert document.meta == {"url": "better", "lang": "en"}
    assert Decoder().document(json(text="t", meta="free")).meta == {"meta": "free"}


def test_raw_embeddings_are_float32_or_float16_by_the_dimension():
    values = np.array([0.5, -1, 2, 0.25])
    for kind in ("<f4", "<f2"):
        assert Decoder(dimension=4).document(packed(embedding=values.astype(kind).tobytes())).embedding.tolist() == [
            0.5, -1, 2, 0.25,
        ]  # fmt: skip
    assert Decoder().document(packed(embedding=values.astype("<f4").tobytes())).embedding.tolist() == values.tolist()


@pytest.mark.parametrize(
    "embedding",
    [[0, 0], [1], [1, 2, 3], [], "12", [1, "2"], [1, None], [True, False], [[1, 2]], {"a": 1}, 3, [1e300, 1],
     [0.0, -0.0]],
)  # fmt: skip
def test_an_embedding_that_is_not_usable_is_a_dead_letter(embedding):
    assert reason(json(text="t", embedding=embedding), Decoder(dimension=2)) == "embedding"


@pytest.mark.parametrize("row", [[0, 0], [math.nan, 1], [math.inf, 1], [-math.inf, 1]])
@pytest.mark.parametrize("kind", ["<f4", "<f2"])
def test_raw_embeddings_are_checked_like_lists(row, kind):
    assert reason(packed(id="a", embedding=np.array(row).astype(kind).tobytes()), Decoder(dimension=2)) == "embedding"
    assert reason(packed(id="a", embedding=b"abc"), Decoder(dimension=2)) == "embedding"
    assert reason(packed(id="a", embedding=b"abc")) == "embedding"
    assert reason(packed(id="a", embedding=b"")) == "embedding"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", "decode"),
        (b"   ", "decode"),
        (b"{", "decode"),
        (b'{"text": "a"} x', "decode"),
        (b'{"text": NaN}', "decode"),
        (b'{"text": "\\ud800"}', "decode"),
        (b"plain words", "decode"),
        (b"\x81\xa4text\xa1a\x00", "decode"),
        (b"\xdf\xff\xff\xff\xff", "decode"),
        (b"\x81\xa4text\xdd\xff\xff\xff\xff", "decode"),
        (b'{"text": "\xff"}', "encoding"),
        (b"\x81\xa4text\xa1\xff", "encoding"),
        (b"[1]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"null", "not_an_object"),
        (b"{}", "no_text"),
        (b'{"text": ""}', "no_text"),
        (b'{"text": " \\n\\u2003"}', "no_text"),
        (b'{"text": null}', "no_text"),
        (b'{"text": 7}', "text"),
        (b'{"text": "t", "id": ""}', "id"),
        (b'{"text": "t", "id": 1.5}', "id"),
        (b'{"text": "t", "id": true}', "id"),
        (b'{"text": "t", "id": ["a"]}', "id"),
        (json(text="t", id="x" * 1025), "id"),
        (json(text="t", id="é" * 513), "id"),
        (json(text="t", tokens=-1), "tokens"),
        (json(text="t", tokens=1.5), "tokens"),
        (json(text="t", tokens=True), "tokens"),
        (json(text="t", tokens=2**62), "tokens"),
        (json(text="t", timestamp=2**63), "timestamp"),
        (json(text="t", timestamp=-(2**63)), "timestamp"),
        (json(text="t", timestamp="yesterday"), "timestamp"),
        (json(text="t", timestamp=1.5), "timestamp"),
        (json(text="t", timestamp=NOW + HOUR + 1), "timestamp"),
        (packed(text="t", meta={"raw": b"bytes"}), "meta"),
        (packed(text="t", meta={b"key": 1}), "meta"),
        (b'{"text": "t", "meta": ' + b"[" * 150 + b"]" * 150 + b"}", "nesting"),
        (b'{"text": "t", "meta": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nesting"),
        (b"\x82\xa4text\xa1t\xa4meta" + b"\x91" * 150 + b"\x00", "nesting"),
        (b"\x82\xa4text\xa1t\xa4meta" + b"\x91" * 5000 + b"\x00", "nesting"),
    ],
)  # fmt: skip
def test_each_fault_has_its_reason(value, expected):
    assert reason(value, Decoder(clock=lambda: NOW)) == expected


def test_what_a_stream_needs_is_asked_for():
    assert reason(json(text="t"), Decoder(needs="embedding")) == "no_embedding"
    assert reason(json(id="a", embedding=[1, 2]), Decoder(needs="text")) == "no_text"
    assert reason(json(text="t"), None, b"\xff") == "id"


def test_time_stamps_are_milliseconds_or_iso_8601():
    decoder = Decoder(clock=lambda: NOW)
    for stated, expected in [
        (NOW + HOUR, NOW + HOUR),
        (-5, -5),
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01 00:00:00.250", 250),
    ]:
        assert decoder.document(json(text="t", timestamp=stated)).timestamp == expected
    assert decoder.document(json(text="t"), timestamp=77).timestamp == 77
    assert decoder.document(json(text="t", timestamp=5), timestamp=77).timestamp == 5


def test_a_byte_order_mark_and_white_space_are_passed_over():
    assert Decoder().document(b'\xef\xbb\xbf {"text": "t"}\r').text == "t"


def test_tokens_are_utf8_bytes_over_four_rounded_up():
    assert [count_tokens(text) for text in ("", "a", "abcd", "abcde", "é" * 4)] == [0, 1, 1, 2, 2]


def test_targets_have_weight_and_group():
    target = Decoder().target(json(id="t", text="x", weight=2, group="g", note="ignored"))
    assert (target.id, target.text, target.weight, target.group) == ("t", "x", 2.0, "g")
    assert Decoder().target(json(text="x")).id == content_id("x")
    assert Decoder().target(json(text="x"), "key").id == "key"
    assert Decoder(dimension=2).target(packed(embedding=np.ones(2, "<f4").tobytes())).embedding.tolist() == [1, 1]
    assert Decoder().target(None, "key").deleted
    for fields, expected in [
        ({"text": "x", "weight": 0}, "weight"),
        ({"text": "x", "weight": "2"}, "weight"),
        ({"text": "x", "weight": True}, "weight"),
        ({"text": "x", "group": 3}, "group"),
        ({"weight": 1}, "no_text"),
        ({"deleted": True}, "id"),
    ]:
        with pytest.raises(RecordError) as caught:
            Decoder().target(json(**fields))
        assert caught.value.reason == expected
    with pytest.raises(RecordError):
        Decoder().target(packed(text="x", weight=math.inf))


@pytest.mark.parametrize(("kind", "pattern"), [("<u4", 0x7F800001), ("<u2", 0x7C01)], ids=["float32", "float16"])
def test_a_signalling_nan_is_a_reason_and_no_warning(kind: str, pattern: int):
    vector = np.array([pattern, 1, 1, 1], kind).tobytes()
    assert reason(packed(text="red", embedding=vector), Decoder(dimension=4)) == "embedding"


class Place(dict):  # type: ignore[type-arg]
    """Where a record was read; one that can be watched."""


@pytest.mark.parametrize("bad", [b'{"text": ', b"[]", b'{"text": 1}', b"\xff"])
def test_a_batch_with_a_bad_record_is_freed_with_its_last_user(bad: bytes):
    """No error may hold on to it: the search for cycles is rare while a stream runs."""
    places = [Place(), Place()]
    watched = [weakref.ref(place) for place in places]
    gc.disable()
    try:
        documents, errors = Decoder().documents([b'{"id": "a", "text": "good"}', bad], sources=places)
        assert [len(documents), len(errors)] == [1, 1]
        del documents, errors, places
        assert [watch() for watch in watched] == [None, None]
    finally:
        gc.enable()
