"""Commands on the state of a run: `run`, then `explain`, `preview`, `calibrate`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.cli_cases import tsds
from tsds_stream.exit_status import ExitStatus

CONFIGURATION = """
[source]
path = "documents/"
[embedder]
kind = "hashing"
dimension = 64
[[target_sets]]
targets = "targets.jsonl"
budget = 10
[[target_sets]]
name = "other"
targets = "other.jsonl"
budget = 5
sigma = 0.5
[sink]
path = "selection/"
[state]
directory = "state/"
"""
WORDS = ["river", "valley", "function", "integer", "cloud", "engine", "paper", "garden", "signal", "bridge", "stone"]


def sentence(random: np.random.Generator) -> str:
    return " ".join(random.choice(WORDS, 12))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that came to its end."""
    folder = tmp_path_factory.mktemp("run")
    random = np.random.default_rng(3)
    (folder / "documents").mkdir()
    lines = [json.dumps({"id": f"d{i:03}", "text": sentence(random)}) for i in range(200)]
    (folder / "documents" / "a.jsonl").write_text("\n".join(lines) + "\n")
    for name in ("targets", "other"):
        texts = [json.dumps({"id": f"{name}-{i}", "text": sentence(random)}) for i in range(4)]
        (folder / f"{name}.jsonl").write_text("\n".join(texts) + "\n")
    (folder / "tsds.toml").write_text(CONFIGURATION)
    done = tsds("run", "--config", "tsds.toml", "--once", "--logging-format", "json", cwd=folder)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert events[0] == "started"
    assert events.count("published") == 2
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def selected(folder: Path, name: str = "default") -> list[str]:
    done = tsds("inspect", "selection", "--set", name, "--revision", "1", "--json", cwd=folder)
    return [record["id"] for record in json.loads(done.stdout)["documents"]]


def explain(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return tsds("explain", *words, "--config", "tsds.toml", cwd=folder)


def test_explain_gives_reasons_for_a_selected_document(finished: Path):
    name = selected(finished)[0]
    done = explain(finished, name, "--set", "default")
    assert done.returncode == 0, done.stderr
    assert f"Document {name!r} is selected." in done.stdout
    assert "on its shortlist" in done.stdout


def test_explain_for_scripts(finished: Path):
    content = json.loads(explain(finished, selected(finished)[0], "--set", "default", "--json").stdout)
    assert content["state"] == "selected"
    assert content["nearest"]


def test_explain_of_a_text_that_was_never_seen(finished: Path, tmp_path: Path):
    target = json.loads((finished / "targets.jsonl").read_text().splitlines()[0])["text"]
    near = json.loads(explain(finished, "--text", target, "--set", "default", "--json").stdout)
    assert near["nearest"][0]["id"] == "targets-0"
    assert near["nearest"][0]["distance"] == 0
    assert near["would_be_probability"] > 0
    (tmp_path / "text.txt").write_text(target)
    same = json.loads(explain(finished, "--file", str(tmp_path / "text.txt"), "--set", "default", "--json").stdout)
    assert same == near


def test_explain_refuses_the_vectors_of_another_embedder(finished: Path):
    done = tsds("explain", "--text", "x", "--state", "state", "--embedder", "hashing", "--embedder-dimension", "32",
                "--set", "default", cwd=finished)  # fmt: skip
    assert done.returncode == ExitStatus.STATE
    assert "vectors of different embedders cannot be compared" in done.stderr


def test_explain_of_an_unknown_id_says_so(finished: Path):
    assert "'absent' is not held" in explain(finished, "absent", "--set", "other").stdout


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "give one of ID, --text and --file"),
        (("d001", "--text", "x"), "give one of ID, --text and --file"),
        (("d001",), "has several: choose one of default, other"),
        (("d001", "--set", "absent"), "has no target set 'absent', but default, other"),
    ],
)
def test_explain_asks_back_in_a_sentence(finished: Path, words, part: str):
    done = explain(finished, *words)
    assert done.returncode == ExitStatus.USAGE
    assert part in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_preview_with_the_present_settings_is_the_present_selection(finished: Path):
    done = tsds("preview", "--state", "state", "--set", "default", "--json", cwd=finished)
    content = json.loads(done.stdout)
    assert content["ids"] == selected(finished)
    assert content["would_come"] == content["would_go"] == []


def test_preview_of_another_budget_shows_the_difference_and_changes_nothing(finished: Path):
    before = sorted(path.name for path in (finished / "state" / "checkpoints").rglob("*"))
    done = tsds("preview", "--budget", "4", "--alpha", "0.3", "--state", "state", "--set", "default", cwd=finished)
    assert done.returncode == 0, done.stderr
    assert "Preview with budget = 4, alpha = 0.3" in done.stdout
    assert "4 documents selected" in done.stdout
    assert "would go" in done.stdout
    assert sorted(path.name for path in (finished / "state" / "checkpoints").rglob("*")) == before


def test_preview_judges_all_settings_at_once(finished: Path):
    done = tsds("preview", "--budget", "0", "--alpha", "2", "--state", "state", "--set", "default", cwd=finished)
    assert done.returncode == ExitStatus.USAGE
    assert '--budget: "0" is not accepted' in done.stderr
    assert '--alpha: "2" is not accepted' in done.stderr


def test_preview_has_no_option_that_would_need_the_documents_again(finished: Path):
    done = tsds("preview", "--max-k", "5", cwd=finished)
    assert done.returncode == ExitStatus.USAGE
    assert "--max-k 5 is not understood" in done.stderr


def test_calibrate_measures_anew_and_stores_for_the_next_run(folder: Path):
    lines = (folder / "targets.jsonl").read_text().splitlines()
    document = {"id": "near", "text": json.loads(lines[0])["text"] + " indeed"}
    (folder / "documents" / "b.jsonl").write_text(json.dumps(document) + "\n")
    assert tsds("run", "--config", "tsds.toml", "--once", cwd=folder).returncode == 0
    dry = json.loads(
        tsds("calibrate", "--config", "tsds.toml", "--set", "default", "--dry-run", "--json", cwd=folder).stdout
    )
    assert dry["sigma"] < dry["before"]
    assert not dry["stored"]
    done = json.loads(tsds("calibrate", "--config", "tsds.toml", "--set", "default", "--json", cwd=folder).stdout)
    assert done == {**dry, "stored": True}
    assert tsds("run", "--config", "tsds.toml", "--once", cwd=folder).returncode == 0
    preview = json.loads(tsds("preview", "--state", "state", "--set", "default", "--json", cwd=folder).stdout)
    assert preview["sigma"] == done["sigma"]


def test_calibrate_of_a_fixed_sigma_is_refused(finished: Path):
    done = tsds("calibrate", "--config", "tsds.toml", "--set", "other", cwd=finished)
    assert done.returncode == ExitStatus.USAGE
    assert "has sigma = 0.5, which is not measured" in done.stderr


@pytest.mark.parametrize("words", [("explain", "x"), ("preview",), ("calibrate",)])
def test_without_a_state_there_is_a_sentence(tmp_path: Path, words):
    done = tsds(*words, cwd=tmp_path)
    assert done.returncode == ExitStatus.STATE
    assert done.stderr == "tsds-stream: state does not exist; --state names the state directory of a run\n"


def test_a_second_run_in_the_same_folder_is_refused_while_the_first_one_works(folder: Path):
    from tsds_stream.lock import WriterLock
    from tsds_stream.stored_state import lock_of

    lock = WriterLock(lock_of(folder / "state"), "The state")
    try:
        done = tsds("run", "--config", "tsds.toml", "--once", cwd=folder)
    finally:
        lock.close()
    assert done.returncode == ExitStatus.STATE
    assert "has a writer already" in done.stderr


def test_run_writes_the_whole_selection_as_one_file_on_request(folder: Path):
    shutil.rmtree(folder / "state")
    shutil.rmtree(folder / "selection")
    done = tsds("run", "--config", "tsds.toml", "--once", "--jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr
    records = [
        json.loads(line) for line in (folder / "selection" / "default" / "selection.jsonl").read_text().splitlines()
    ]
    assert len(records) == 10
    probabilities = [record["probability"] for record in records]
    assert probabilities == sorted(probabilities, reverse=True)


def test_run_into_a_file_is_refused_before_anything_starts(folder: Path):
    done = tsds("run", "--config", "tsds.toml", "--output", "targets.jsonl", cwd=folder)
    assert done.returncode == ExitStatus.USAGE
    assert done.stderr == "tsds-stream: targets.jsonl is a file, and a directory is needed here\n"


@pytest.mark.parametrize(("option", "what"), [("--output", "selection"), ("--state", "state")])
def test_run_does_not_read_its_own_files(folder: Path, tmp_path: Path, option: str, what: str):
    (tmp_path / "documents").mkdir()
    inside = tmp_path / "documents" / "own"
    done = tsds("run", "--config", "tsds.toml", "--documents", inside.parent, option, inside, cwd=folder)
    assert done.returncode == ExitStatus.USAGE
    assert f"the {what} directory {inside} lies inside the documents ({inside.parent})" in done.stderr
    assert not inside.exists()
