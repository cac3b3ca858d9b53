"""Standard input: what comes by once."""

from __future__ import annotations

import os

import pytest

from tests.streams.files_at_hand import ids, lines
from tsds_stream.codecs import Decoder
from tsds_stream.streams.base import SourceError
from tsds_stream.streams.settings import FileSourceSettings
from tsds_stream.streams.sources import open_source
from tsds_stream.streams.stdin import StandardInput


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield StandardInput(FileSourceSettings(path="-"), Decoder(), reading), writing
    os.close(reading)


def test_lines_are_given_out_as_they_come_until_the_end(pipe):
    source, writing = pipe
    os.write(writing, lines("a", "b") + b"broken\n" + lines("c")[:-5])
    batch = source.poll(10, 0.0)
    assert ids(batch) == ["a", "b"]
    assert [letter.source for letter in batch.dead_letters] == [{"path": "-", "position": len(lines("a", "b"))}]
    assert ids(source.poll(10, 0.01)) == []
    os.write(writing, lines("c")[-5:] + lines("d")[:-1])
    assert ids(source.poll(1, 0.0)) == ["c"]
    assert not source.exhausted
    os.close(writing)
    assert ids(source.poll(10, 1.0)) == ["d"]
    assert source.exhausted


def test_an_empty_input_is_exhausted(pipe):
    source, writing = pipe
    os.close(writing)
    assert source.poll(10, 1.0).documents == []
    assert source.exhausted


def test_positions_count_on_over_runs_and_cannot_be_gone_back_to(pipe):
    source, writing = pipe
    source.seek({"files": {"-": ["", 100]}, "finished": [0, ""]})
    os.write(writing, lines("a"))
    os.close(writing)
    batch = source.poll(10, 0.0)
    assert batch.documents[0].source == {"path": "-", "position": 100}
    assert batch.positions["files"] == {"-": ["", 100 + len(lines("a"))]}
    assert source.poll(10, 0.0, batch.positions).documents == []
    with pytest.raises(SourceError, match="cannot be read again"):
        source.poll(10, 0.0, {"files": {"-": ["", 900]}, "finished": [0, ""]})
    with pytest.raises(SourceError, match="cannot be read again"):
        source.seek(None)


def test_positions_of_files_are_refused(pipe):
    source, writing = pipe
    os.close(writing)
    with pytest.raises(SourceError, match="another source"):
        source.seek({"files": {"a.jsonl": ["", 5]}, "finished": [0, ""]})


def test_the_settings_say_which_source_is_opened(tmp_path):
    assert not open_source(FileSourceSettings(path="-"), tmp_path).rewindable
    assert open_source(FileSourceSettings(path=str(tmp_path)), tmp_path).rewindable
