"""A real run keeps what somebody reads, whatever `keep_revisions` says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli_cases import tsds
from tsds_stream.loader.errors import NoRevisionError
from tsds_stream.loader.revisions import Revisions

CONFIGURATION = """
[source]
kind = "files"
path = "documents"

[embedder]
kind = "hashing"
dimension = 32

[[target_sets]]
name = "default"
targets = "targets.jsonl"
budget = 5

[sink]
kind = "directory"
path = "selection"
keep_revisions = 1
"""


def run(folder: Path, part: int) -> None:
    """Some more documents, and the revisions that they lead to."""
    (folder / "documents").mkdir(exist_ok=True)
    texts = [f"a red ship on the sea in the year {part * 100 + i}" for i in range(40)]
    lines = [json.dumps({"id": f"{part}-{i}", "text": text}) for i, text in enumerate(texts)]
    (folder / "documents" / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
    done = tsds("run", "--config", "tsds.toml", "--once", cwd=folder)
    assert done.returncode == 0, done.stderr


def test_a_run_deletes_no_revision_that_is_open(tmp_path: Path) -> None:
    (tmp_path / "tsds.toml").write_text(CONFIGURATION)
    (tmp_path / "targets.jsonl").write_text('{"text": "a red sea"}\n{"text": "a ship"}\n')
    run(tmp_path, 1)
    with Revisions.open(tmp_path / "selection") as revisions:
        first = revisions.latest()
        documents = list(first)
        run(tmp_path, 2)
        run(tmp_path, 3)
        assert revisions.numbers() == [first.number, revisions.newest()]
        assert revisions.newest() >= first.number + 2
        with Revisions.open(tmp_path / "selection") as others:
            again = others.at(first.number)
            again.verify()
            assert list(again) == documents
    run(tmp_path, 4)
    with Revisions.open(tmp_path / "selection") as revisions, pytest.raises(NoRevisionError):
        revisions.at(first.number)
