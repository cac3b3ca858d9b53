"""What an export holds in memory is a file's worth of documents, however many there are."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from tests.exporting.selections import Writer, export, names, request
from tsds_stream.durable import Disk
from tsds_stream.exporting.formats import FORMATS

FEW, MANY = 400, 4000
SLACK = 40 * MANY  # bytes: less than a string for each id would take


class Unsynced(Disk):
    def sync(self, path: Path) -> None:
        """Nothing: a test is no power cut."""

    sync_directory = sync


@pytest.mark.parametrize("form", FORMATS)
def test_ten_times_the_documents_take_the_same_memory(tmp_path: Path, form: str) -> None:
    peaks = []
    for count in (FEW, FEW, MANY):  # the first one also imports what is needed
        root = tmp_path / str(len(peaks))
        writer = Writer(root / "selection")
        writer.publish(names(count))
        writer.publish(names(count, count // 4))
        writer.close()
        tracemalloc.start()
        try:
            told = export(root / "selection", root / "out", request(form, since=1, shard_size=20_000), Unsynced())
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert told["documents"] > count // 4
    assert peaks[2] < peaks[1] + SLACK
