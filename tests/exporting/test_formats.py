"""Every format holds every document whole, in the order of the ids."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.exporting.selections import TEXTS, Writer, content, export, lines, names, request
from tsds_stream.exporting.compression import COMPRESSIONS
from tsds_stream.exporting.documents import FIELDS
from tsds_stream.exporting.formats import FORMATS
from tsds_stream.sealed import unseal


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory):
    writer = Writer(tmp_path_factory.mktemp("selection"))
    writer.publish(names(60))
    writer.publish(names(60, 20))
    yield writer
    writer.close()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_lines_are_the_documents_of_the_revision(writer: Writer, tmp_path: Path, compression) -> None:
    for revision in (1, 2):
        output = tmp_path / str(revision)
        export(writer.root, output, request(revision=revision, compression=compression))
        documents = lines(output)
        assert [one["id"] for one in documents] == sorted(writer.truth[revision])
        assert {one["id"]: one for one in documents} == writer.truth[revision]
        assert all(tuple(one) == FIELDS for one in documents)
        assert len(list(output.glob("documents-*"))) > 5


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_parquet_is_read_by_pyarrow(writer: Writer, tmp_path: Path, compression) -> None:
    export(writer.root, tmp_path / "out", request("parquet", compression=compression))
    table = pyarrow.parquet.read_table(sorted(map(str, (tmp_path / "out").glob("*.parquet"))))
    assert table.column_names == list(FIELDS)
    rows = table.to_pylist()
    for row in rows:
        row["source"] = json.loads(row["source"])
        row["meta"] = row["meta"] and json.loads(row["meta"])
    assert [row["id"] for row in rows] == sorted(writer.truth[2])
    assert {row["id"]: row for row in rows} == writer.truth[2]
    metadata = pyarrow.parquet.read_metadata(str(tmp_path / "out" / "documents-00000.parquet"))
    codec = {"none": "UNCOMPRESSED", "zstd": "ZSTD", "gzip": "GZIP"}[compression]
    assert metadata.row_group(0).column(0).compression == codec


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_says_what_it_holds(writer: Writer, tmp_path: Path, form: str) -> None:
    told = export(writer.root, tmp_path / "out", request(form))
    files = content(tmp_path / "out")
    assert told == unseal(tmp_path / "out" / "export.json", "")
    assert (told["set"], told["revision"], told["since"], told["file_format"]) == ("default", 2, None, form)
    assert told["documents"] == sum(file["documents"] for file in told["files"]) == 60
    assert told["without_text"] == sum(one["text"] is None for one in writer.truth[2].values()) > 0
    assert told["digest"] == told["record"]["digest"]
    assert {file["name"] for file in told["files"]} == set(files) - {"export.json"}
    for file in told["files"]:
        assert file["bytes"] == len(files[file["name"]])
        assert file["sha256"] == hashlib.sha256(files[file["name"]]).hexdigest()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_two_exports_are_equal_byte_for_byte(writer: Writer, tmp_path: Path, form: str, compression) -> None:
    for name in ("one", "two"):
        export(writer.root, tmp_path / name, request(form, compression=compression))
    assert content(tmp_path / "one") == content(tmp_path / "two")


@pytest.mark.parametrize("form", FORMATS)
def test_a_document_that_is_larger_than_a_file_has_one_of_its_own(writer: Writer, tmp_path: Path, form: str) -> None:
    told = export(writer.root, tmp_path / "out", request(form, shard_size=1))
    assert [file["documents"] for file in told["files"] if file["documents"]] == [1] * 60
    whole = export(writer.root, tmp_path / "whole", request(form, shard_size=1 << 30))
    assert [file["documents"] for file in whole["files"] if file["documents"]] == [60]
    assert len(TEXTS[-1]) > 500


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_revision_has_no_files_of_documents(tmp_path: Path, form: str) -> None:
    writer = Writer(tmp_path / "selection")
    writer.publish([])
    writer.close()
    told = export(writer.root, tmp_path / "out", request(form))
    assert told["documents"] == 0
    assert set(content(tmp_path / "out")) == {"export.json"} | ({"index.json"} if form == "mds" else set())


def test_the_fields_are_those_that_a_run_publishes() -> None:
    from tests.streams.stories import publication

    published = publication("default", 1, {}, {"a": (1.0, 1.0, 1)}).upserts[0]
    assert {*FIELDS, "set"} == set(published)
