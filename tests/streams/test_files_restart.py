"""Positions: from every one of them, the rest of the stream is exactly what was not given out yet."""

from __future__ import annotations

import gzip
import os
import shutil

import msgpack
import orjson
import pyarrow
import pyarrow.parquet
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.streams.files_at_hand import drain, ids, lines, numbered, open_files
from tsds_stream.streams.base import SourceError
from tsds_stream.streams.file_positions import NAME


def mixed(folder):
    """A directory of every form with 60 documents and some faults."""
    names = numbered(0, 60)
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(lines(*names[:7]) + b"broken\n\n" + lines(*names[7:10])[:-1])
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(lines(*names[10:15])) + gzip.compress(lines(*names[15:20])))
    (folder / "c.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(lines(*names[20:30])))
    (folder / "d.msgpack").write_bytes(b"".join(msgpack.packb({"id": n, "text": "t"}) for n in names[30:40]))
    (folder / "e.parquet").parent.mkdir(exist_ok=True)
    table = pyarrow.table({"id": names[40:50], "text": ["t"] * 10})
    pyarrow.parquet.write_table(table, folder / "e.parquet", row_group_size=4)
    (folder / "f.jsonl").write_bytes(b"x" * 200 + b"\n" + lines(*names[50:60]))
    (folder / "g.txt").write_bytes(b"plain")
    return [*names, "g.txt"]


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_from_every_position_exactly_the_rest_remains(tmp_path, limit):
    names = mixed(tmp_path / "documents")
    source = open_files(tmp_path / "documents", tmp_path / "state", max_document_bytes=100)
    given_out, stops = [], []
    while not source.exhausted:
        batch = source.poll(limit, 0.0)
        given_out += ids(batch)
        stops.append((orjson.loads(orjson.dumps(batch.positions)), len(given_out)))
    assert given_out == names
    final = stops[-1][0]
    for positions, count in stops:
        # A crash: another process goes on with the newest state directory and older positions.
        shutil.copytree(tmp_path / "state", tmp_path / "again", dirs_exist_ok=True)
        again = open_files(tmp_path / "documents", tmp_path / "again", max_document_bytes=100)
        again.seek(positions)
        rest = drain(again, limit)
        assert ids(rest) == names[count:]
        assert rest.positions == final


def test_replay_reads_up_to_published_positions_and_not_beyond(tmp_path):
    names = mixed(tmp_path / "documents")
    source = open_files(tmp_path / "documents", tmp_path / "state", max_document_bytes=100)
    given_out, stops = [], [(None, 0)]
    while not source.exhausted:
        given_out += ids(batch := source.poll(4, 0.0))
        stops.append((orjson.loads(orjson.dumps(batch.positions)), len(given_out)))
    for i, (begin, already) in enumerate(stops):
        for until, count in stops[max(1, i) :: 3]:
            again = open_files(tmp_path / "documents", tmp_path / "state", max_document_bytes=100)
            again.seek(begin)
            replayed = drain(again, 5, until)
            assert ids(replayed) == names[already:count]
            assert replayed.positions == until
            assert again.exhausted
    # And on from there, in one of them: the journal is cut to what was replayed, and grows again.
    again = open_files(tmp_path / "documents", tmp_path / "state", max_document_bytes=100)
    drain(again, 5, stops[7][0])
    rest = drain(again)
    assert ids(rest) == names[stops[7][1] :]
    assert rest.positions == stops[-1][0]


rows = st.sampled_from(
    [b'{"id":"a","text":"t"}', b"", b"\r", b"broken", b"z" * 61, b'{"id":"b","text":"' + b"y" * 80 + b'"}']
)


@given(st.lists(rows, max_size=12), st.booleans(), st.integers(1, 4), st.sampled_from(["", "gz", "zst"]))
@settings(max_examples=60)
def test_positions_split_any_lines_without_loss(tmp_path_factory, rows, ended, limit, kind):
    folder = tmp_path_factory.mktemp("lines")
    data = b"\n".join(rows) + b"\n" * ended
    compressed = {"": bytes, "gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress}[kind](data)
    (folder / f"a.jsonl{'.' * bool(kind)}{kind}").write_bytes(compressed)
    source = open_files(folder, max_document_bytes=60)
    whole = drain(open_files(folder, max_document_bytes=60))
    first, positions = source.poll(limit, 0.0), None
    positions = first.positions
    again = open_files(folder, max_document_bytes=60)
    again.seek(positions)
    rest = drain(again, limit)
    assert ids(first) + ids(rest) == ids(whole)
    assert [x.value for x in first.dead_letters + rest.dead_letters] == [x.value for x in whole.dead_letters]
    assert rest.positions == whole.positions


def test_many_finished_files_are_one_number_and_one_digest(tmp_path):
    for i in range(40):
        (tmp_path / f"{i:03}.jsonl").write_bytes(lines(f"d{i}"))
    source = open_files(tmp_path, tmp_path / "state")
    batch = drain(source)
    assert batch.positions["files"] == {}
    assert batch.positions["finished"][0] == 40
    assert len(orjson.dumps(batch.positions)) < 100
    assert len((tmp_path / "state" / NAME).read_bytes().splitlines()) == 40


def test_a_lost_journal_is_an_error_unless_the_positions_hold_it_too(tmp_path):
    for i in range(20):
        (tmp_path / f"{i:03}.jsonl").write_bytes(lines(f"d{i}"))
    source = open_files(tmp_path, tmp_path / "state")
    few = source.poll(5, 0.0).positions
    many = drain(source).positions
    fresh = open_files(tmp_path, tmp_path / "other")
    with pytest.raises(SourceError, match="start over with an empty state directory"):
        fresh.seek(many)
    fresh.seek(few)
    assert ids(drain(fresh)) == numbered(5, 20)
    fresh = open_files(tmp_path, tmp_path / "third")
    assert ids(drain(fresh, until=few)) == numbered(0, 5)


def test_a_torn_or_flipped_journal_is_noticed(tmp_path):
    for i in range(30):
        (tmp_path / f"{i:03}.jsonl").write_bytes(lines(f"d{i}"))
    positions = drain(open_files(tmp_path, tmp_path / "state")).positions
    journal = tmp_path / "state" / NAME
    whole = journal.read_bytes()
    for damaged in (whole[:-1], whole[:200], whole.replace(b'"end":', b'"end":1', 1), b"\xff" * 50 + whole[50:]):
        journal.write_bytes(damaged)
        with pytest.raises(SourceError, match=NAME):
            open_files(tmp_path, tmp_path / "state").seek(positions)
    journal.write_bytes(whole + b'{"what": "fini')  # torn behind what counts
    again = open_files(tmp_path, tmp_path / "state")
    again.seek(positions)
    assert ids(drain(again)) == []
    assert journal.read_bytes() == whole


def test_positions_hold_on_another_disk(tmp_path):
    folder = tmp_path / "documents"
    names = mixed(folder)
    source = open_files(folder, tmp_path / "state", max_document_bytes=100)
    positions = source.poll(25, 0.0).positions
    shutil.copytree(folder, tmp_path / "copy")  # other inodes
    for path in (tmp_path / "copy").iterdir():
        os.utime(path, (0, 0))
    again = open_files(tmp_path / "copy", tmp_path / "state", max_document_bytes=100)
    again.seek(positions)
    rest = drain(again)
    assert ids(rest)[-1] == "g.txt"
    assert ids(rest) == names[len(names) - len(ids(rest)) :]
    assert len(ids(rest)) + 25 - 1 == len(names)  # 24 documents and one dead letter came before


def test_what_was_appended_between_two_runs_is_read_by_the_second(tmp_path):
    path = tmp_path / "documents" / "a.jsonl"
    path.parent.mkdir()
    path.write_bytes(lines("a", "b"))
    first = drain(open_files(path.parent, tmp_path / "state"))
    with path.open("ab") as file:
        file.write(lines("c"))
    (path.parent / "0.jsonl").write_bytes(lines("zero"))
    second = open_files(path.parent, tmp_path / "state")
    second.seek(first.positions)
    rest = drain(second)
    assert ids(rest) == ["zero", "c"]
    third = open_files(path.parent, tmp_path / "state")
    third.seek(first.positions)
    assert ids(drain(third, until=rest.positions)) == ["zero", "c"]
    whole = open_files(path.parent, tmp_path / "state")
    assert sorted(ids(drain(whole, until=rest.positions))) == ["a", "b", "c", "zero"]


def test_a_file_replaced_between_two_runs_is_never_read_on_in_silence(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines("a", "b", "c"))
    source = open_files(path, tmp_path / "state")
    positions = source.poll(2, 0.0).positions
    for content in (lines("x", "y", "z", "w"), lines("a"), b"", lines("a", "x", "c", "d")):
        path.write_bytes(content)
        again = open_files(path, tmp_path / "state")
        again.seek(positions)
        with pytest.raises(SourceError, match="holds something else now"):
            drain(again)


def test_what_is_needed_again_and_gone_is_an_error_that_says_so(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_bytes(lines(name))
    until = drain(open_files(tmp_path, tmp_path / "state")).positions
    (tmp_path / "a.jsonl").unlink()
    again = open_files(tmp_path, tmp_path / "state")
    with pytest.raises(SourceError, match=r"a\.jsonl was read up to 0 and is gone.*are needed again"):
        drain(again, until=until)
    # From the positions themselves nothing is needed: files may be cleared away when they are read.
    again.seek(until)
    assert ids(drain(again)) == []


def test_positions_of_another_source_are_refused(tmp_path):
    source = open_files(tmp_path)
    with pytest.raises(SourceError, match="no positions of a file source"):
        source.seek({"documents": {"0": 17}})
