"""`tsds-stream select`: from files to a selection and a summary."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli_cases import ROOT, tsds
from tsds_stream import select
from tsds_stream.durable import Disk
from tsds_stream.exit_status import ExitStatus
from tsds_stream.streams.selection_file import write_selection

DIMENSION = 12


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents in two files and targets, all with embeddings: nothing depends on a model."""
    folder = tmp_path_factory.mktemp("corpus")
    random = np.random.default_rng(7)
    vectors = random.normal(size=(300, DIMENSION)).astype(np.float32)
    targets = vectors[:8] + 0.4 * random.normal(size=(8, DIMENSION)).astype(np.float32)
    lines = [json.dumps({"id": f"d{i:03}", "text": f"document {i}", "embedding": row.tolist()})
             for i, row in enumerate(vectors)]  # fmt: skip
    (folder / "a.jsonl").write_text("\n".join(lines[:200]) + "\n")
    (folder / "b.jsonl").write_text("\n".join(lines[200:]) + '\n{"text": ""}\n')
    (folder / "targets.jsonl").write_text(
        "\n".join(json.dumps({"id": f"t{i}", "embedding": row.tolist()}) for i, row in enumerate(targets))
    )
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "targets.npy", targets)
    return folder


def run(corpus: Path, output: Path | str, *words: str, documents: tuple[str, ...] = ("a.jsonl", "b.jsonl"), **more):
    names = [corpus / name if name != "-" else name for name in documents]
    return tsds(
        "select", "--documents", *names, "--targets", corpus / "targets.jsonl", "--embedder", "precomputed",
        "--output", output, *words, **more,
    )  # fmt: skip


def ids_in(text: str) -> list[str]:
    return [json.loads(line)["id"] for line in text.splitlines()]


def test_the_selection_is_the_one_of_the_library_best_first(corpus: Path, tmp_path: Path):
    done = run(corpus, tmp_path / "selection.jsonl", "--budget", "20", "--json")
    assert done.returncode == 0, done.stderr
    vectors, targets = np.load(corpus / "vectors.npy"), np.load(corpus / "targets.npy")
    revision = select(vectors, targets, budget=20, ids=[f"d{i:03}" for i in range(len(vectors))])
    summary = json.loads(done.stdout)
    assert summary["digest"] == revision.digest
    assert summary["exact"] is True
    expected = sorted(range(len(revision)), key=lambda i: (-revision.probabilities[i], revision.ids[i]))
    records = [json.loads(line) for line in (tmp_path / "selection.jsonl").read_text().splitlines()]
    assert [record["id"] for record in records] == [revision.ids[i] for i in expected]
    assert [record["probability"] for record in records] == [revision.probabilities[i] for i in expected]
    assert records[0]["text"] == f"document {int(records[0]['id'][1:])}"
    assert len(records[0]["nearest"]) == 3


def test_the_order_of_the_files_changes_nothing(corpus: Path):
    first = run(corpus, "-", "--budget", "20", "--quiet")
    second = run(corpus, "-", "--budget", "20", "--quiet", documents=("b.jsonl", "a.jsonl"))
    assert ids_in(first.stdout) == ids_in(second.stdout)


def test_documents_may_come_through_a_pipe(corpus: Path):
    text = (corpus / "a.jsonl").read_text() + (corpus / "b.jsonl").read_text()
    piped = run(corpus, "-", "--budget", "20", "--quiet", documents=("-",), stdin=text)
    assert ids_in(piped.stdout) == ids_in(run(corpus, "-", "--budget", "20", "--quiet").stdout)


def test_the_summary_fits_on_a_screen_and_says_what_matters(corpus: Path, tmp_path: Path):
    done = run(corpus, tmp_path / "s.jsonl", "--budget", "20")
    lines = done.stdout.splitlines()
    assert len(lines) <= 40
    assert "20 documents selected of 300 for 8 targets" in done.stdout
    assert "exact      yes" in done.stdout
    assert "alpha" in done.stdout
    assert "(automatic)" in done.stdout
    best = lines[lines.index("Best documents") + 2 :][:5]
    assert [line.split()[2] for line in best] == ids_in((tmp_path / "s.jsonl").read_text())[:5]
    worst = lines[lines.index("Targets served worst") + 2 :][:5]
    distances = [float(line.split()[0]) for line in worst]
    assert distances == sorted(distances, reverse=True)
    assert "warning: 1 record could not be used (no_embedding 1); the first is b.jsonl:101" in done.stdout


def test_with_the_selection_on_stdout_the_summary_goes_to_stderr(corpus: Path):
    done = run(corpus, "-", "--budget", "20")
    assert len(ids_in(done.stdout)) == 20
    assert "20 documents selected" in done.stderr


def test_a_token_budget_alone_does_not_limit_documents(corpus: Path):
    done = run(corpus, "-", "--token-budget", "60", "--quiet")
    assert len(ids_in(done.stdout)) == 20  # "document 7" and "document 77" are 3 tokens each


def test_why_a_selection_is_not_exact_is_said(corpus: Path, tmp_path: Path):
    done = run(corpus, tmp_path / "s.jsonl", "--budget", "100", "--max-k", "3")
    assert "exact      no: truncated (shortlists are too short for this selection; raise max_k)" in done.stdout


def test_texts_are_embedded_by_the_packaged_model(tmp_path: Path):
    kinds = {
        "river": "The river flows through the valley to the sea",
        "code": "The function returns a list of integers",
    }
    lines = [
        json.dumps({"id": f"{kind}-{i}", "text": f"{text}, part {i}."})
        for kind, text in kinds.items()
        for i in range(20)
    ]
    (tmp_path / "documents.jsonl").write_text("\n".join(lines))
    (tmp_path / "targets.jsonl").write_text(
        '{"text": "A stream runs down into a lake"}\n{"text": "The brook and its banks"}'
    )
    words = (
        "--documents",
        "documents.jsonl",
        "--targets",
        "targets.jsonl",
        "--budget",
        "10",
        "--min-distance",
        "none",
        "--output",
        "-",
        "--quiet",
    )
    done = tsds("select", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(name.startswith("river") for name in ids_in(done.stdout))
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        (("--budget", "0"), ExitStatus.USAGE, '--budget: "0" is not accepted'),
        ((), ExitStatus.USAGE, "give --budget N (documents) or --token-budget N"),
        (("--budget", "5", "--documents", "absent.jsonl"), ExitStatus.INPUT, "absent.jsonl does not exist"),
        (
            ("--budget", "5", "--targets", "absent.jsonl"),
            ExitStatus.INPUT,
            "absent.jsonl: no file of target examples is there",
        ),
        (("--budget", "5", "--output", "absent/s.jsonl"), ExitStatus.USAGE, "absent is not a directory"),
        (("--budget", "5", "--output", "-", "--json"), ExitStatus.USAGE, "would both write to stdout"),
        (("--budget", "5", "--embedder", "static"), ExitStatus.INPUT, "numbers"),
        (("--budget", "5", "--scope", "corpus"), ExitStatus.USAGE, 'scope = "corpus" needs capacity or ttl'),
    ],
)
def test_what_cannot_work_is_one_sentence_and_the_right_code(corpus: Path, tmp_path: Path, words, status, part: str):
    done = run(corpus, tmp_path / "s.jsonl", *words)
    assert done.returncode == status, done.stderr
    assert part in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "s.jsonl").exists()


def test_nothing_to_select_from_is_an_error_of_the_input(corpus: Path, tmp_path: Path):
    (tmp_path / "empty.jsonl").write_text("")
    words = ("--documents", "empty.jsonl", "--targets", corpus / "targets.jsonl", "--embedder", "precomputed")
    done = tsds("select", *words, "--budget", "5", cwd=tmp_path)
    assert done.returncode == ExitStatus.INPUT
    assert "there was no document to select from" in done.stderr


def test_an_interrupted_selection_writes_nothing_and_says_so(corpus: Path, tmp_path: Path):
    output = tmp_path / "s.jsonl"
    words = ["select", "--documents", "-", "--targets", corpus / "targets.jsonl", "--embedder", "precomputed"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tsds_stream", *map(str, words), "--budget", "5", "--output", str(output)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    block = (corpus / "a.jsonl").read_bytes()
    for _ in range(20):  # more than the pipe holds: once all of it is written, the engine is reading
        process.stdin.write(block)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == ExitStatus.INTERRUPTED
    assert error.decode() == "tsds-stream: interrupted before everything was read; nothing was written\n"
    assert not output.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_behind_the_output_is_one_sentence(corpus: Path):
    words = ["--documents", corpus / "a.jsonl", "--targets", corpus / "targets.jsonl", "--embedder", "precomputed"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tsds_stream", "select", *map(str, words), "--budget", "200", "--output", "-"],
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
    assert done.returncode == ExitStatus.STATE
    assert done.stderr == ("tsds-stream: no space is left on the disk that is written to: free some and start again\n")


def test_a_selection_that_finds_no_room_leaves_nothing_behind(tmp_path: Path):
    class FullDisk(Disk):
        def write(self, path: Path, parts) -> None:
            path.write_bytes(b"{")
            raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "s.jsonl").write_text("earlier")
    with pytest.raises(OSError, match="No space left"):
        write_selection(tmp_path / "s.jsonl", [{"id": "a", "probability": 0.5}], FullDisk())
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("s.jsonl", "earlier")]


def test_a_warning_is_told_once_by_the_summary(corpus: Path, tmp_path: Path):
    done = run(corpus, tmp_path / "s.jsonl", "--budget", "500")
    assert done.stdout.count("fewer than the budget") == 1
    assert done.stderr == ""
