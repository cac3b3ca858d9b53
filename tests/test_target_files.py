"""Target examples from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tsds_stream.codecs import Decoder
from tsds_stream.engine.target_files import TargetFiles
from tsds_stream.engine.target_set import TargetsError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "targets.jsonl"
    file.write_text('{"id": "a", "text": "one", "weight": 2, "group": "g"}\n{"text": "two"}\n')
    return file


def reader(path: Path) -> TargetFiles:
    return TargetFiles(str(path), Decoder())


def test_examples_have_text_weight_and_group(file: Path):
    first, second = reader(file).read()
    assert (first.id, first.text, first.weight, first.group) == ("a", "one", 2.0, "g")
    assert (second.text, second.weight) == ("two", 1.0)
    assert second.id  # of its content


def test_a_directory_is_read_in_the_order_of_its_names(tmp_path: Path):
    (tmp_path / "b.jsonl").write_text('{"id": "x", "text": "later"}\n')
    (tmp_path / "a.jsonl").write_text('{"id": "x", "text": "earlier"}\n{"id": "y", "text": "other"}')
    assert [(target.id, target.text) for target in reader(tmp_path).read()] == [("x", "later"), ("y", "other")]


def test_a_deleted_record_takes_an_example_out(file: Path):
    file.write_text(file.read_text() + '{"id": "a", "deleted": true}\n')
    assert [target.text for target in reader(file).read()] == ["two"]


def test_a_change_is_noticed_once(file: Path):
    targets = reader(file)
    assert targets.changed()
    targets.read()
    assert not targets.changed()
    file.write_text('{"id": "c", "text": "three"}\n')
    assert targets.changed()
    targets.read()
    assert not targets.changed()


def test_a_missing_file_and_an_empty_directory_are_sentences(tmp_path: Path):
    with pytest.raises(TargetsError, match="does not exist"):
        reader(tmp_path / "absent.jsonl").read()
    with pytest.raises(TargetsError, match="has no file of examples"):
        reader(tmp_path).read()


def test_all_bad_records_are_named(file: Path):
    file.write_text('{"id": "a"}\nnonsense\n{"text": "fine"}\n{"text": "x", "weight": -1}\n')
    with pytest.raises(TargetsError) as caught:
        reader(file).read()
    assert "record 1" in str(caught.value)
    assert "record 2" in str(caught.value)
    assert "weight must be a positive number" in str(caught.value)
