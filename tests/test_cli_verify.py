"""`verify` on files and a selection directory: a finished run is proved, and what is tampered with is found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import orjson
import pytest

from tests.cli_cases import tsds
from tests.test_cli_state import CONFIGURATION, sentence
from tsds_stream.exit_status import ExitStatus


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in two parts over two files, with new versions, retractions and records that cannot be used."""
    folder = tmp_path_factory.mktemp("verify")
    random = np.random.default_rng(7)
    (folder / "documents").mkdir()
    for name in ("targets", "other"):
        texts = [json.dumps({"id": f"{name}-{i}", "text": sentence(random)}) for i in range(4)]
        (folder / f"{name}.jsonl").write_text("\n".join(texts) + "\n")
    (folder / "tsds.toml").write_text(CONFIGURATION)
    for part in "ab":
        lines = [json.dumps({"id": f"d{random.integers(0, 90):03}", "text": sentence(random)}) for _ in range(120)]
        lines += ["not JSON", json.dumps({"id": "d007", "deleted": True}), json.dumps({"id": "empty"})]
        (folder / "documents" / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
        done = tsds("run", "--config", "tsds.toml", "--once", cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_a_run_is_proved_revision_by_revision(finished: Path):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    done = tsds("verify", "--config", "tsds.toml", "--revisions", "all", cwd=finished)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "246 records read" in done.stdout
    assert "default: revisions 1 to 2" in done.stdout
    assert "2 revisions computed again from the documents, and equal." in done.stdout
    assert "4 dead letters expected, 4 found" in done.stdout
    assert "Nothing is wrong." in done.stdout
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before, "nothing is written"


def test_the_report_for_scripts(finished: Path):
    done = tsds("verify", "--config", "tsds.toml", "--json", cwd=finished)
    report = json.loads(done.stdout)
    assert (report["ok"], report["status"], report["faults"]) == (True, 0, [])
    assert report["sets"]["other"]["compared"] == [2]
    assert report["dead_letters"] == {"expected": 4, "found": 4}


def test_changed_documents_are_a_mismatch(folder: Path):
    file = folder / "documents" / "b.jsonl"
    target = json.loads((folder / "targets.jsonl").read_text().splitlines()[0])["text"]
    lines = file.read_text().splitlines()
    room = len(lines[50])
    lines[50] = json.dumps({"id": "d999", "text": target[: room - 30]}).ljust(room)
    file.write_text("\n".join(lines) + "\n")
    done = tsds("verify", "--config", "tsds.toml", cwd=folder)
    assert done.returncode == ExitStatus.STATE, done.stdout + done.stderr
    assert "WRONG: revision 2 of 'default' has the digest" in done.stdout


def test_a_dead_letter_that_is_gone_is_a_mismatch(folder: Path):
    letters = folder / "selection" / "dead-letters.jsonl"
    letters.write_bytes(b"".join(letters.read_bytes().splitlines(keepends=True)[1:]))
    done = tsds("verify", "--config", "tsds.toml", cwd=folder)
    assert done.returncode == ExitStatus.STATE
    assert "WRONG: no dead letter tells of a.jsonl at" in done.stdout


def test_documents_that_are_gone_cannot_be_verified(folder: Path):
    (folder / "documents" / "a.jsonl").unlink()
    done = tsds("verify", "--config", "tsds.toml", cwd=folder)
    assert done.returncode == ExitStatus.INPUT, done.stdout + done.stderr
    assert "it cannot be verified: " in done.stderr


def test_other_targets_and_parameters_are_told_as_not_compared(folder: Path):
    (folder / "targets.jsonl").write_bytes(orjson.dumps({"id": "new", "text": "river bridge"}) + b"\n")
    (folder / "tsds.toml").write_text(CONFIGURATION.replace("budget = 5", "budget = 6"))
    done = tsds("verify", "--config", "tsds.toml", cwd=folder)
    assert done.returncode == ExitStatus.INPUT, done.stdout + done.stderr
    assert "Nothing could be compared" in done.stdout
    assert "--revisions all looks at every one" in done.stdout
    assert "Nothing is wrong" not in done.stdout
    assert "revision 2 was not compared: its target examples are not those of now" in done.stdout
    assert "revision 2 was not compared: it is made with other parameters" in done.stdout
    report = json.loads(tsds("verify", "--config", "tsds.toml", "--json", cwd=folder).stdout)
    assert (report["ok"], report["status"], report["nothing_compared"]) == (False, 3, True)


def test_revisions_that_are_left_out_for_one_reason_share_a_line(folder: Path):
    (folder / "tsds.toml").write_text(CONFIGURATION.replace("budget = 5", "budget = 6"))
    done = tsds("verify", "--config", "tsds.toml", "--revisions", "all", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("not compared") == 1
    assert "revisions 1 to 2 were not compared: it is made with other parameters" in done.stdout


@pytest.mark.parametrize("word", ["0", "some", "-3"])
def test_a_wrong_choice_of_revisions_is_refused(finished: Path, word: str):
    done = tsds("verify", "--config", "tsds.toml", f"--revisions={word}", cwd=finished)
    assert done.returncode == ExitStatus.USAGE
    assert "expected last, all or a whole number" in done.stderr
