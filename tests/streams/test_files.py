"""Reading files once: every form, every fault, in bounded memory."""

from __future__ import annotations

import gzip
import os
import random
import tracemalloc

import msgpack
import numpy as np
import orjson
import pyarrow
import pyarrow.parquet
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.streams.files_at_hand import drain, ids, lines, numbered, open_files
from tsds_stream.streams import parquet
from tsds_stream.streams.base import SourceError


def compress(kind: str, data: bytes) -> bytes:
    return {"": bytes, "gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress}[kind](data)


def reasons(batch):
    return [letter.reason for letter in batch.dead_letters]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json", "a.jsonl.gz", "a.jsonl.zst"])
def test_a_file_of_lines_is_read_in_order(tmp_path, name):
    kind = name.rpartition(".")[2]
    (tmp_path / name).write_bytes(compress(kind if kind in ("gz", "zst") else "", lines(*numbered(0, 2500))))
    source = open_files(tmp_path / name)
    batch = drain(source, limit=700)
    assert ids(batch) == numbered(0, 2500)
    assert source.exhausted
    assert source.lag() == {"bytes": 0}
    assert batch.documents[1].source == {"path": name, "position": len(lines("d0"))}


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_several_members_are_one_stream(tmp_path, kind):
    data = lines(*numbered(0, 30))
    pieces = [data[:100], data[100:101], b"", data[101:]]
    (tmp_path / f"a.jsonl.{kind}").write_bytes(b"".join(compress(kind, piece) for piece in pieces))
    assert ids(drain(open_files(tmp_path))) == numbered(0, 30)


def test_padding_behind_gzip_data_is_passed_over(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines("a")) + b"\0" * 512)
    batch = drain(open_files(tmp_path))
    assert (ids(batch), batch.dead_letters) == (["a"], [])


def test_a_directory_is_read_in_the_order_of_its_paths(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    packed = b"".join(msgpack.packb({"id": name, "text": "t"}) for name in ("f", "g"))
    contents = {
        "b.jsonl": lines("b"),
        "a.jsonl.gz": gzip.compress(lines("a")),
        "sub/c.msgpack": packed,
        "sub/d.msgpack.zst": zstandard.ZstdCompressor().compress(packed),
        "t.txt": b"Ein Text",
        "z.md": b"\xef\xbb\xbf# Title\r\n",
        "empty.jsonl": b"",
        "empty.txt": b"",
        ".hidden/x.jsonl": lines("no"),
        ".x.jsonl": lines("no"),
        "_x.jsonl": lines("no"),
        "x.jsonl.tmp": lines("no"),
        "x.tmp.jsonl": lines("no"),
        "x.jsonl~": lines("no"),
        "x.csv": lines("no"),
        "b.jsonl.1": lines("no"),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    table = pyarrow.table({"id": ["p"], "text": ["t"]})
    pyarrow.parquet.write_table(table, tmp_path / "p.parquet")
    batch = drain(open_files(tmp_path))
    assert ids(batch) == ["a", "b", "p", "f", "g", "f", "g", "t.txt", "z.md"]
    assert batch.dead_letters == []
    assert batch.documents[-1].text == "# Title\r\n"


def test_only_a_newline_byte_ends_a_line(tmp_path):
    text = "one\u2028two\u2029three\x85four\x0bfive\x0csix"
    raw = orjson.dumps({"id": "a", "text": text})
    (tmp_path / "a.jsonl").write_bytes(raw + b"\r\n" + b"\n \r\n\n" + lines("b"))
    batch = drain(open_files(tmp_path))
    assert ids(batch) == ["a", "b"]
    assert batch.documents[0].text == text
    assert batch.dead_letters == []


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + lines("a"))
    (tmp_path / "b.jsonl").write_bytes(b"\xef\xbb\xbf\n" + lines("b"))
    (tmp_path / "c.jsonl").write_bytes(b"\xef\xbb\xbf")
    batch = drain(open_files(tmp_path))
    assert (ids(batch), batch.dead_letters) == (["a", "b"], [])


def test_a_last_line_without_newline_counts(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(lines("a", "b")[:-1])
    batch = drain(open_files(tmp_path))
    assert ids(batch) == ["a", "b"]


def test_bad_lines_become_dead_letters_with_file_line_and_reason(tmp_path):
    bad = [b"\0\0\0\0", b'{"text": "\xff"}', b"{broken", b"[1]", b'{"id": "x"}']
    data = lines("a") + b"\n" + b"".join(line + b"\n" for line in bad) + lines("b")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.jsonl").write_bytes(data)
    batch = drain(open_files(tmp_path))
    assert ids(batch) == ["a", "b"]
    assert reasons(batch) == ["decode", "encoding", "decode", "not_an_object", "no_text"]
    assert [letter.value for letter in batch.dead_letters] == bad
    assert [letter.source["line"] for letter in batch.dead_letters] == [3, 4, 5, 6, 7]
    assert {letter.source["path"] for letter in batch.dead_letters} == {"sub/a.jsonl"}
    assert all(data[letter.source["position"] :].startswith(letter.value) for letter in batch.dead_letters)
    assert all(letter.detail and letter.created == 2_000_000_000_000 for letter in batch.dead_letters)


@pytest.mark.parametrize("kind", ["", "gz", "zst"])
def test_a_huge_line_is_passed_over_without_being_held(tmp_path, kind):
    huge = b'{"id": "huge", "text": "' + b"x" * 150_000_000 + b'"}\n'
    path = tmp_path / f"a.jsonl{'.' * bool(kind)}{kind}"
    path.write_bytes(compress(kind, lines("a") + huge + lines("b")))
    del huge
    source = open_files(tmp_path)
    tracemalloc.start()
    batch = drain(source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ids(batch) == ["a", "b"]
    (letter,) = batch.dead_letters
    assert letter.reason == "too_large"
    assert "150000026 bytes" in letter.detail
    assert len(letter.value) == 65536
    assert letter.source["line"] == 2
    assert peak < 48_000_000


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.booleans(), st.integers(1, 9))
@settings(max_examples=60)
def test_oversized_lines_are_told_from_others_at_any_length(tmp_path_factory, sizes, ended, limit):
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    data = [orjson.dumps({"id": str(i), "text": "t" * size}) for i, size in enumerate(sizes)]
    path.write_bytes(b"\n".join(data) + b"\n" * ended)
    batch = drain(open_files(path, max_document_bytes=50), limit)
    assert ids(batch) == [str(i) for i, line in enumerate(data) if len(line) <= 50]
    assert [letter.value for letter in batch.dead_letters] == [line for line in data if len(line) > 50]


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_damaged_compressed_data_ends_its_file_and_not_the_stream(tmp_path, kind):
    names = numbered(0, 4000)
    generator = random.Random(0)
    data = b"".join(orjson.dumps({"id": n, "text": str(generator.getrandbits(200))}) + b"\n" for n in names)
    whole = compress(kind, data)
    (tmp_path / f"a.jsonl.{kind}").write_bytes(whole[: len(whole) // 2])
    (tmp_path / f"b.jsonl.{kind}").write_bytes(whole[:60_000] + b"\xff" * 2000 + whole[62_000:])
    (tmp_path / f"c.jsonl.{kind}").write_bytes(b"no compressed data at all")
    (tmp_path / "d.jsonl").write_bytes(lines("d"))
    batch = drain(open_files(tmp_path))
    assert ids(batch)[-1] == "d"
    faulty = {letter.source["path"] for letter in batch.dead_letters}
    assert faulty == {f"{name}.jsonl.{kind}" for name in "abc"}


def test_msgpack_files_hold_embeddings(tmp_path):
    vectors = np.arange(1, 9, dtype="<f4").reshape(2, 4)
    data = b"".join(msgpack.packb({"id": str(i), "embedding": row.tobytes()}) for i, row in enumerate(vectors))
    (tmp_path / "a.msgpack").write_bytes(data)
    batch = drain(open_files(tmp_path))
    np.testing.assert_array_equal([document.embedding for document in batch.documents], vectors)


def test_a_msgpack_file_is_given_up_where_it_is_damaged(tmp_path):
    good, large = msgpack.packb({"id": "a", "text": "t"}), msgpack.packb({"id": "l", "text": "x" * 5000})
    (tmp_path / "a.msgpack").write_bytes(good + b"\x81\xa1a\x01" + large + good + b"\xc1" + good)
    (tmp_path / "b.msgpack").write_bytes(good + good[:-1])
    batch = drain(open_files(tmp_path, max_document_bytes=1000))
    assert ids(batch) == ["a", "a", "a"]
    assert sorted(reasons(batch)) == ["decode", "decode", "no_text", "too_large"]


@pytest.mark.parametrize("size", [3_000_000, 40_000_000])
def test_a_large_msgpack_record_does_not_stop_the_stream(tmp_path, size):
    (tmp_path / "a.msgpack").write_bytes(msgpack.packb({"id": "l", "text": "x" * size}))
    (tmp_path / "b.jsonl").write_bytes(lines("b"))
    batch = drain(open_files(tmp_path))
    assert ids(batch) == ["b"]
    assert len(batch.dead_letters) == 1


def test_parquet_rows_are_documents(tmp_path):
    n = 2500
    vectors = np.random.default_rng(0).standard_normal((n, 4)).astype(np.float32)
    common = {
        "id": numbered(0, n),
        "text": [f"text {i}" for i in range(n)],
        "tokens": pyarrow.array([None if i % 2 else i for i in range(n)], pyarrow.int32()),
        "timestamp": pyarrow.array(range(n), pyarrow.timestamp("us")),
        "meta": [{"n": i, "when": None} for i in range(n)],
        "day": pyarrow.array([0] * n, pyarrow.date32()),
    }
    forms = {
        "fixed": pyarrow.FixedSizeListArray.from_arrays(vectors.reshape(-1), 4),
        "list": pyarrow.array(vectors.tolist(), pyarrow.list_(pyarrow.float32())),
        "bytes": pyarrow.array([row.tobytes() for row in vectors], pyarrow.binary()),
    }
    for form, column in forms.items():
        path = tmp_path / f"{form}.parquet"
        pyarrow.parquet.write_table(pyarrow.table({**common, "embedding": column}), path, row_group_size=700)
        batch = drain(open_files(path), limit=333)
        assert batch.dead_letters == []
        assert ids(batch) == numbered(0, n)
        np.testing.assert_array_equal([document.embedding for document in batch.documents], vectors)
        document = batch.documents[2001]
        assert (document.text, document.timestamp, document.tokens) == ("text 2001", 2, 3)
        assert document.meta == {"n": 2001, "when": None, "day": "1970-01-01"}
        assert document.source == {"path": f"{form}.parquet", "position": 2001}


def test_parquet_faults_are_dead_letters(tmp_path):
    ragged = pyarrow.array([[1.0, 2.0], None, [1.0], [0.0, 0.0]], pyarrow.list_(pyarrow.float64()))
    table = pyarrow.table({"id": ["a", "b", "c", "d"], "embedding": ragged, "text": ["t", None, "t", "x" * 99]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 not really")
    batch = drain(open_files(tmp_path, max_document_bytes=50))
    assert ids(batch) == ["a", "c"]
    assert sorted(reasons(batch)) == ["decode", "no_text", "too_large"]


def test_without_pyarrow_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"")
    with pytest.raises(SourceError, match=r'extra "parquet"'):
        drain(open_files(tmp_path))


def test_texts_are_documents_and_faulty_ones_dead_letters(tmp_path):
    (tmp_path / "a.txt").write_bytes("é".encode("latin-1"))
    (tmp_path / "b.txt").write_bytes(b"x" * 101)
    (tmp_path / "c.txt").write_bytes(b"fine")
    batch = drain(open_files(tmp_path, max_document_bytes=100))
    assert ids(batch) == ["c.txt"]
    assert sorted(reasons(batch)) == ["encoding", "too_large"]


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        open_files(tmp_path / "nowhere.jsonl")
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(SourceError, match="neither a file nor a directory"):
        open_files(tmp_path / "pipe.jsonl")
