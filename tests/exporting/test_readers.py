"""The libraries that people train with read the exports: mosaicml-streaming, and Hugging Face `datasets`, offline."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from tests.exporting.selections import Writer, export, names, request
from tests.loader.tools import needed
from tsds_stream.exporting.compression import COMPRESSIONS

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
streaming = needed("streaming")
datasets = needed("datasets")

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # mosaicml-streaming closes none


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory):
    writer = Writer(tmp_path_factory.mktemp("selection"))
    writer.publish(names(40))
    writer.publish(names(60, 20))
    yield writer
    writer.close()


def in_order(writer: Writer) -> list[dict[str, Any]]:
    held = writer.truth[writer.number]
    return [held[name] for name in sorted(held)]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_mosaic_streaming_reads_every_document(writer: Writer, tmp_path: Path, compression) -> None:
    told = export(writer.root, tmp_path / "out", request("mds", compression=compression, shard_size=4000))
    streaming.base.util.clean_stale_shared_memory()
    stream = streaming.Stream(local=str(tmp_path / "out"), validate_hash="sha256", keep_zip=True)
    dataset = streaming.StreamingDataset(streams=[stream], batch_size=1, shuffle=False)
    assert len(dataset) == told["documents"] == 60
    for k, wanted in enumerate(in_order(writer)):
        sample = dataset[k]
        if wanted["text"] is None:
            wanted = {**wanted, "text": ""}
        if wanted["density"] is None:
            assert math.isnan(sample["density"])
            wanted = {**wanted, "density": sample["density"]}
        assert sample == wanted
    assert [one["id"] for one in dataset] == sorted(writer.truth[2])


def test_mosaic_streaming_copies_from_elsewhere_and_compares_hashes(writer: Writer, tmp_path: Path) -> None:
    export(writer.root, tmp_path / "out", request("mds", compression="zstd"))
    damaged = tmp_path / "out" / "shard.00001.mds.zstd"
    data = bytearray(damaged.read_bytes())
    streaming.base.util.clean_stale_shared_memory()
    options = {"remote": str(tmp_path / "out"), "batch_size": 1, "shuffle": False, "validate_hash": "sha256"}
    dataset = streaming.StreamingDataset(local=str(tmp_path / "copy"), **options)
    assert dataset[59]["id"] == max(writer.truth[2])
    data[-1] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(ValueError, match="Checksum failure"):
        dataset[int(dataset.samples_per_shard[0])]


def loaded(kind: str, output: Path, folder: Path) -> Any:
    return datasets.load_dataset(
        kind, data_files=str(output / "documents-*"), split="train", cache_dir=str(folder / "hf")
    )


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_hugging_face_datasets_reads_parquet(writer: Writer, tmp_path: Path, compression) -> None:
    export(writer.root, tmp_path / "out", request("parquet", compression=compression))
    rows = list(loaded("parquet", tmp_path / "out", tmp_path))
    for row in rows:
        row["source"] = json.loads(row["source"])
        row["meta"] = row["meta"] and json.loads(row["meta"])
    assert rows == in_order(writer)


def test_hugging_face_datasets_reads_parquet_of_which_the_first_file_has_no_text(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "selection")
    writer.publish(names(40), texts=False)
    writer.publish(names(80))
    writer.close()
    export(writer.root, tmp_path / "out", request("parquet", shard_size=500))
    rows = loaded("parquet", tmp_path / "out", tmp_path)
    assert rows["text"] == [one["text"] for one in in_order(writer)]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_hugging_face_datasets_reads_lines(writer: Writer, tmp_path: Path, compression) -> None:
    export(writer.root, tmp_path / "out", request(compression=compression, shard_size=6000))
    rows = list(loaded("json", tmp_path / "out", tmp_path))
    wanted = in_order(writer)
    assert [row["id"] for row in rows] == [one["id"] for one in wanted]
    for row, one in zip(rows, wanted, strict=True):
        assert (row["text"], row["revision"]) == (one["text"], one["revision"])
        # Where objects differ from line to line, its reader keeps ten digits of numbers.
        assert row["probability"] == pytest.approx(one["probability"], abs=1e-9)
        assert row["meta"] == one["meta"]
