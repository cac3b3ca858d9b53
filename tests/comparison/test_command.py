"""`tsds-stream compare` as a user runs it: from files to a report, and every way in which it cannot work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli_cases import tsds
from tests.comparison.world import TOPICS, texts_of, vectors_of
from tsds_stream.cli import main
from tsds_stream.comparison.pool import Targets
from tsds_stream.comparison.trial import hold_out
from tsds_stream.exit_status import ExitStatus

DOCUMENTS, TARGETS = 240, 14


def written(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def records(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents and targets that bring their embeddings; and documents that bring nothing else."""
    folder = tmp_path_factory.mktemp("corpus")
    random = np.random.default_rng(4)
    topics, wanted = random.integers(0, len(TOPICS), DOCUMENTS), random.integers(0, 2, TARGETS)
    documents = [
        {"id": f"d{k:03}", "text": text, "embedding": vector.tolist()}
        for k, (text, vector) in enumerate(
            zip(texts_of(topics, random), vectors_of(topics, random), strict=True)
        )
    ]  # fmt: skip
    targets = [
        {"id": f"t{k:02}", "text": text, "embedding": vector.tolist()}
        for k, (text, vector) in enumerate(zip(texts_of(wanted, random), vectors_of(wanted, random), strict=True))
    ]
    stale = {**documents[3], "text": "an older version that counts no more"}
    gone = [{"id": "gone", "text": "soon retracted", "embedding": [1.0] * 8}, {"id": "gone", "deleted": True}]
    written(folder / "documents.jsonl", [gone[0], stale, *documents, gone[1], {"text": ""}])
    written(folder / "targets.jsonl", targets)
    written(folder / "one.jsonl", targets[:1])
    written(folder / "vectors.jsonl", [{"id": one["id"], "embedding": one["embedding"]} for one in documents])
    (folder / "empty.jsonl").write_text("")
    return folder


def command(*words: str | Path, documents: str = "documents.jsonl", targets: str = "targets.jsonl") -> list[str]:
    fixed = ("compare", "--documents", documents, "--targets", targets, "--embedder", "precomputed")
    return [str(word) for word in (*fixed, *words)]


def run(corpus: Path, *words: str | Path, documents: str = "documents.jsonl", **environment: str):
    return tsds(*command(*words, documents=documents), cwd=corpus, **environment)


def without_seconds(value: object) -> object:
    if isinstance(value, dict):
        return {name: without_seconds(one) for name, one in value.items() if name != "seconds"}
    return [without_seconds(one) for one in value] if isinstance(value, list) else value


def test_the_report_names_every_method_and_ends_with_a_sentence(corpus: Path, tmp_path: Path):
    done = run(corpus, "--budget", "30", "--seeds", "3", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "9 methods, " in done.stdout
    assert "of 240 documents for 14 targets" in done.stdout
    assert "3 splits: 4 of 14 targets are held out and measured, the methods see the other 10" in done.stdout
    for name in ("kde", "turns", "uniform", "tv", "round_robin", "nearest", "dsir", "random", "dedup+round_robin"):
        assert f"  {name} " in done.stdout
    assert (tmp_path / "out" / "comparison.txt").read_text().splitlines()[0].startswith("9 methods")
    data = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert data["sentence"] in done.stdout
    assert "comparing done=26 of=27" in done.stderr
    assert "records that cannot be used" in done.stderr


def test_it_selects_what_select_selects(corpus: Path, tmp_path: Path):
    """For the targets that are not held out, from the documents that are not left out, within the same tokens."""
    given = ("--seed", "11", "--spread", "2", "--token-budget", "300")
    done = run(corpus, *given, "--seeds", "1", "--methods", "kde,turns", "--json", "--output", tmp_path / "out",
               "--near-copy", "0.01")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["left_out"] == [0]
    taken = {one["method"]: one["ids"] for one in records(tmp_path / "out" / "selections.jsonl")}
    lines = records(corpus / "targets.jsonl")
    targets = Targets.of([one["id"] for one in lines], np.array([one["embedding"] for one in lines], np.float32))
    out = hold_out(targets, 0.3, 11)
    written(tmp_path / "seen.jsonl", [one for one, held in zip(lines, out, strict=True) if not held])
    for name, options in (("kde", ("--mode", "coordinated")), ("turns", ())):
        words = ("--targets", tmp_path / "seen.jsonl", "--embedder", "precomputed", *given, *options)
        selected = tsds("select", "--documents", "documents.jsonl", *words, "--output", "-", "--quiet", cwd=corpus)
        assert selected.returncode == 0, selected.stderr
        assert sorted(json.loads(line)["id"] for line in selected.stdout.splitlines()) == sorted(taken[name]), name


def test_the_number_of_threads_changes_nothing(corpus: Path):
    words = ("--budget", "30", "--seeds", "2", "--json", "--quiet")
    one, two = (run(corpus, *words, OPENBLAS_NUM_THREADS=threads) for threads in ("1", "4"))
    assert one.returncode == 0, one.stderr
    assert without_seconds(json.loads(one.stdout)) == without_seconds(json.loads(two.stdout))
    assert one.stderr.count("\n") == 1  # the record that cannot be used


def test_vectors_alone_are_compared_by_distance(corpus: Path):
    done = run(corpus, "--budget", "30", "--methods", "kde,random", "--seeds", "3", "--json", documents="vectors.jsonl")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["measure"] == "transport_cost"
    assert data["token_budget"] == 30  # no document brings tokens, so each counts as one
    assert data["methods"]["kde"]["transport_cost"] < data["methods"]["random"]["transport_cost"]


def test_texts_are_embedded_by_the_packaged_model(tmp_path: Path):
    random = np.random.default_rng(0)
    subjects = {"river": "The river runs through the valley", "code": "The function returns a list"}
    documents = [
        {"id": f"{subject}{k}", "text": f"{text} {random.integers(0, 9)} {random.integers(0, 99)}."}
        for subject, text in subjects.items()
        for k in range(60)
    ]
    written(tmp_path / "documents.jsonl", documents)
    written(tmp_path / "targets.jsonl", [{"text": f"A river that runs through valley {k}"} for k in range(12)])
    done = tsds("compare", "--documents", "documents.jsonl", "--targets", "targets.jsonl", "--budget", "20",
                "--methods", "kde,random", "--near-copy", "0.01", "--json", "--quiet", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    methods = json.loads(done.stdout)["methods"]
    assert methods["kde"]["coverage"] < methods["random"]["coverage"]
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "more", "status", "part"),
    [
        ((), {}, ExitStatus.USAGE, "give --budget N (documents) or --token-budget N"),
        (("--budget", "5", "--token-budget", "50"), {}, ExitStatus.USAGE, "all methods get one budget"),
        (("--budget", "0"), {}, ExitStatus.USAGE, '--budget: "0" is not accepted'),
        (
            ("--budget", "5", "--methods", "kde,nearset"),
            {},
            ExitStatus.USAGE,
            "did you mean 'nearest'? There are default",
        ),
        (("--budget", "5", "--methods", " ,"), {}, ExitStatus.USAGE, "--methods names no method"),
        (("--budget", "5", "--held-out", "1.5"), {}, ExitStatus.USAGE, "must lie between 0 and 1, not 1.5"),
        (("--budget", "5", "--seeds", "0"), {}, ExitStatus.USAGE, "at least 1 seed, not 0"),
        (("--budget", "5", "--output", "."), {}, ExitStatus.USAGE, "holds something else than a comparison"),
        (("--budget", "240"), {}, ExitStatus.USAGE, "hold the whole pool"),
        (("--budget", "5"), {"targets": "one.jsonl"}, ExitStatus.INPUT, "there is 1 distinct target; at least 2"),
        (("--budget", "5"), {"targets": "absent.jsonl"}, ExitStatus.INPUT, "absent.jsonl: no file of target examples"),
        (("--budget", "5"), {"targets": "empty.jsonl"}, ExitStatus.INPUT, "empty.jsonl holds no target example"),
        (("--budget", "5"), {"documents": "empty.jsonl"}, ExitStatus.INPUT, "there is no document to select from"),
        (("--budget", "5"), {"documents": "absent.jsonl"}, ExitStatus.INPUT, "absent.jsonl does not exist"),
        (
            ("--budget", "5", "--methods", "turns,dsir"),
            {"documents": "vectors.jsonl"},
            ExitStatus.INPUT,
            "dsir needs the text of every document",
        ),
        (
            ("--token-budget", "5"),
            {"documents": "vectors.jsonl"},
            ExitStatus.INPUT,
            "needs the tokens of every document",
        ),
        (("--budget", "5", "--embedder", "static"), {}, ExitStatus.INPUT, "numbers"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_the_right_code(
    corpus: Path, words: tuple[str, ...], more: dict, status: ExitStatus, part: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.chdir(corpus)
    assert main(command(*words, "--quiet", **more)) == status
    told = capsys.readouterr()
    sentences = [line for line in told.err.splitlines() if "records that cannot be used" not in line]
    assert part in told.err
    assert len(sentences) == 1
    assert told.out == ""


@pytest.mark.parametrize("as_json", [True, False])
def test_without_matplotlib_all_but_the_plot_is_written_and_the_way_to_get_it_told(
    corpus: Path, tmp_path: Path, as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("tsds_stream.comparison.plot.can_draw", lambda: False)
    monkeypatch.chdir(corpus)
    words = ["--budget", "20", "--seeds", "1", "--methods", "random", "--quiet", "--output", tmp_path / "out"]
    assert main(command(*words, *(["--json"] if as_json else []))) == ExitStatus.OK
    told = capsys.readouterr()
    assert "pip install 'tsds-stream[plots]'" in (told.err if as_json else told.out)
    assert not as_json or json.loads(told.out)["reference"] == "turns"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "comparison.json", "comparison.txt", "selections.jsonl"
    }  # fmt: skip


def test_the_help_describes_every_method():
    done = tsds("compare", "--help")
    assert done.returncode == 0
    for line in ("  turns        targets take turns", "  dsir         importance resampling", "exit codes:"):
        assert line in done.stdout
