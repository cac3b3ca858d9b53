"""What a real run records of retractions, and what of it was trained on afterwards."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.cli_cases import tsds
from tests.streams.directory_cases import FIRST, published
from tsds_stream.cli import main
from tsds_stream.loader.served_writer import ServedWriter
from tsds_stream.streams.layout import Layout
from tsds_stream.streams.revisions import latest_revision, open_revision

Capture = pytest.CaptureFixture[str]


class Scene:
    """Documents that a run selects from, and a training that is served what it publishes."""

    def __init__(self, root: Path) -> None:
        self.root, self.selection, self.log = root, root / "selection", root / "served"
        self._documents = root / "documents.jsonl"
        self._step = 0
        (root / "targets.jsonl").write_text('{"id": "t", "embedding": [1.0, 0.0]}\n')

    def arrive(self, *records: dict) -> int:
        """Publish what becomes of the selection with them; the revision."""
        with self._documents.open("a") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
        done = tsds(
            "run", "--documents", self._documents, "--targets", self.root / "targets.jsonl", "--embedder",
            "precomputed", "--budget", "9", "--output", self.selection, "--state", self.root / "state",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return latest_revision(self.selection, "default")

    def serve(self, revision: int, source: str = "default") -> int:
        """One step with all documents of a revision; the step."""
        writer = ServedWriter(self.log)
        writer.begin(self._step)
        ids = open_revision(self.selection, "default", revision).ids
        writer.write(self._step, time.time_ns() // 1_000_000, source, revision, 0, ids)
        writer.close()
        self._step += 1
        return self._step - 1


def document(name: str, angle: float) -> dict:
    return {"id": name, "text": f"text of {name}", "embedding": [1.0, angle]}


@pytest.mark.parametrize("source", ["default", "a name in a mixture"])
def test_what_was_served_after_its_retraction_is_told(tmp_path: Path, capsys: Capture, source: str) -> None:
    scene = Scene(tmp_path)
    first = scene.arrive(*(document(f"d{k}", k / 10) for k in range(5)))
    assert open_revision(scene.selection, "default", first).ids == ["d0", "d1", "d2", "d3", "d4"]
    scene.serve(first, source)
    words = ["served", str(scene.log), "--after-retraction", str(scene.selection)]
    assert main(words) == 0
    assert "None of 0 retracted documents" in capsys.readouterr().out

    # d1 is withdrawn, and so is one that was never there.
    second = scene.arrive(document("d5", 0.5), {"id": "d1", "deleted": True}, {"id": "d9", "deleted": True})
    assert "d1" not in open_revision(scene.selection, "default", second).ids
    scene.serve(second, source)
    assert main(words) == 0
    pinned = scene.serve(first, source)
    capsys.readouterr()
    assert main([*words, "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["retracted"] == 2
    (case,) = answer["served_after"]
    assert (case["id"], case["times"], case["last_step"], case["revisions"]) == ("d1", 1, pinned, [first])
    assert 0 <= case["first_time"] - case["withdrawn"] < 3_600_000

    # Its owner has thought better of it: from then on it is served with right, but not under the old revision.
    third = scene.arrive(document("d1", 0.1))
    assert "d1" in open_revision(scene.selection, "default", third).ids
    scene.serve(third, source)
    assert main([*words, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["served_after"] == [case]


def test_a_run_that_goes_on_records_each_retraction_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    for k in range(4):
        scene.arrive(document(f"d{k}", k / 10), {"id": f"other {k}", "deleted": True})
    lines = [json.loads(line) for line in Layout(scene.selection).withdrawn.read_text().splitlines()]
    assert lines[0] == {"since": {}}
    assert [id for line in lines[1:] for id, _ in line["withdrawn"]] == [f"other {k}" for k in range(4)]


def test_a_directory_that_does_not_tell_is_no_answer(tmp_path: Path, capsys: Capture) -> None:
    published(tmp_path / "selection", FIRST)
    writer = ServedWriter(tmp_path / "served")
    writer.begin(0)
    writer.close()
    assert main(["served", str(tmp_path / "served"), "--after-retraction", str(tmp_path / "selection")]) == 3
    assert "does not record retractions" in capsys.readouterr().err
