"""Target files say which examples there are, and notice every edit."""

from __future__ import annotations

import os

import numpy as np
import orjson
import pytest

from tsds_stream.codecs import Decoder, content_id
from tsds_stream.records import Target
from tsds_stream.streams.base import SourceError
from tsds_stream.streams.targets import TargetFile, diff


def write(path, *rows):
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))


def test_examples_are_read_in_the_order_of_their_ids(tmp_path):
    path = tmp_path / "targets.jsonl"
    write(path, {"id": "b", "text": "two", "weight": 2, "group": "g"}, {"id": "a", "text": "one"}, {"text": "none"})
    targets = TargetFile(str(path), Decoder()).read()
    assert targets == sorted(
        [Target("a", "one"), Target("b", "two", None, 2.0, "g"), Target(content_id("none"), "none")],
        key=lambda target: target.id,
    )


def test_a_plain_text_holds_one_example_per_line(tmp_path):
    path = tmp_path / "targets.txt"
    path.write_text("\ufefffirst\r\n\nsecond\u2028still second\nfirst\n", encoding="utf-8")
    targets = TargetFile(str(path), Decoder()).read()
    assert {target.text for target in targets} == {"first", "second\u2028still second"}
    assert {target.id for target in targets} == {content_id(target.text) for target in targets}


def test_a_directory_holds_the_examples_of_all_its_files(tmp_path):
    write(tmp_path / "a.jsonl", {"id": "a", "text": "one"})
    (tmp_path / "b.txt").write_text("two")
    write(tmp_path / "c.jsonl", {"id": "e", "embedding": [1, 0]})
    targets = TargetFile(str(tmp_path), Decoder(dimension=2)).read()
    assert {target.text for target in targets} == {"one", "two", None}


def test_a_faulty_file_names_every_fault_and_withdraws_nothing(tmp_path):
    path = tmp_path / "targets.jsonl"
    write(path, {"id": "a", "text": "one"}, {"id": "a", "text": "other"}, {"id": "b"}, {"id": "c", "deleted": True})
    file = TargetFile(str(path), Decoder())
    with pytest.raises(SourceError) as caught:
        file.read()
    message = str(caught.value)
    assert f"{path} line 2: another example has the id 'a' ({path} line 1)" in message
    assert "no usable text" in message
    assert "remove the line" in message
    assert str(path) in message
    assert file.changed()


def test_a_missing_or_empty_file_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="no file of target examples"):
        TargetFile(str(tmp_path / "no.jsonl"), Decoder()).read()
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    with pytest.raises(SourceError, match="holds no target example"):
        TargetFile(str(tmp_path / "empty.jsonl"), Decoder()).read()


def test_edits_are_noticed_and_a_touch_is_none(tmp_path):
    path = tmp_path / "targets.jsonl"
    write(path, {"id": "a", "text": "one"})
    file = TargetFile(str(path), Decoder())
    assert file.changed()
    file.read()
    assert not file.changed()
    os.utime(path, (1, 1))
    assert not file.changed()
    write(path, {"id": "a", "text": "two"})
    os.utime(path, (2, 2))
    assert file.changed()
    file.read()
    assert not file.changed()


def test_the_difference_of_two_lists(tmp_path):
    one = np.ones(2, np.float32)
    old = [Target("a", "x"), Target("b", "x"), Target("c", "x"), Target("e", None, one)]
    new = [Target("a", "x"), Target("b", "y"), Target("d", "x"), Target("e", None, one.copy())]
    assert diff(old, new) == ([new[1], new[2]], ["c"])
    assert diff(new, new) == ([], [])
    assert diff([Target("a", "x")], [Target("a", "x", weight=2.0)]) == ([Target("a", "x", weight=2.0)], [])
    assert diff([Target("e", None, one)], [Target("e", None, -one)])[0][0].id == "e"
