"""`inspect` and `dead-letters`: looking into a selection directory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli_cases import dead_letter, publication, selection_directory, tsds
from tsds_stream.exit_status import ExitStatus
from tsds_stream.streams.directory import DirectorySink


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    letters = [
        dead_letter("decode", b'{"te', 3),
        dead_letter("decode", b'{"te', 9),
        dead_letter("no_text", b'{"id": "x"}', 4),
        dead_letter("too_large", b'{"text": "only the begin', 5),
        dead_letter("encoding", b"\xff\x1b[31m", 6),
    ]
    return selection_directory(tmp_path / "selection", letters)


def test_inspect_shows_revisions_and_the_best_documents(directory: Path):
    done = tsds("inspect", directory)
    assert done.returncode == 0, done.stderr
    assert "default: revision 2 is the newest" in done.stdout
    assert "no: provisional" in done.stdout
    best = done.stdout.partition("Best 3 of 3 documents")[2].splitlines()[2:]
    assert [line.split()[0] for line in best] == ["c", "b", "d"]
    assert "the text of c" in best[0]


def test_inspect_of_a_revision_is_complete_as_json(directory: Path):
    done = tsds("inspect", directory, "--revision", "1", "--json")
    content = json.loads(done.stdout)
    assert content["revision"]["reasons"] == ["provisional"]
    assert [record["id"] for record in content["documents"]] == ["a", "b", "c"]


def test_inspect_shows_the_difference_of_two_revisions(directory: Path):
    done = tsds("inspect", directory, "--diff", "1", "2")
    assert "1 document came, 1 went, 2 stayed (1 of them with another probability or weight)." in done.stdout
    content = json.loads(tsds("inspect", directory, "--diff", "1", "2", "--json").stdout)
    assert (content["added"], content["removed"]) == (["d"], ["a"])
    assert content["changed"] == [{"id": "c", "before": [0.25, 1.0], "after": [0.5, 1.0]}]


def test_inspect_verifies_checksums_and_tells_damage_by_the_exit_code(directory: Path):
    assert tsds("inspect", directory, "--verify").returncode == 0
    segment = next((directory / "default" / "segments").glob("*.jsonl"))
    segment.write_bytes(segment.read_bytes().replace(b"the text", b"THE TEXT", 1))
    done = tsds("inspect", directory, "--verify")
    assert done.returncode == ExitStatus.STATE
    assert "warning: " in done.stdout
    assert segment.name in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        (("--revision", "9"), ExitStatus.STATE, "does not hold revision 9; it keeps 2 of them, from 1 to 2"),
        (("--set", "code"), ExitStatus.USAGE, "has no target set 'code', but default"),
        (("--diff", "1"), ExitStatus.USAGE, "expected 2 arguments"),
    ],
)
def test_inspect_refuses_what_is_not_there_in_a_sentence(directory: Path, words, status: ExitStatus, part: str):
    done = tsds("inspect", directory, *words)
    assert done.returncode == status
    assert part in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_inspect_of_a_folder_that_is_no_selection_says_so(tmp_path: Path):
    done = tsds("inspect", tmp_path)
    assert done.returncode == ExitStatus.STATE
    assert "has no published revision" in done.stderr


def test_dead_letters_are_listed_by_reason_with_their_places(directory: Path):
    done = tsds("dead-letters", "list", directory)
    assert done.stdout.startswith("5 dead letters: decode 2, no_text 1, too_large 1, encoding 1")
    assert "a.jsonl:4" in done.stdout
    assert "\x1b" not in done.stdout  # what a record says must not steer the terminal


def test_dead_letters_can_be_filtered_and_read_by_scripts(directory: Path):
    done = tsds("dead-letters", "list", directory, "--reason", "no_text", "--json")
    assert [json.loads(line)["value"] for line in done.stdout.splitlines()] == ['{"id": "x"}']


def test_retry_writes_each_whole_value_once_and_says_what_is_lost(directory: Path, tmp_path: Path):
    again = tmp_path / "again.jsonl"
    done = tsds("dead-letters", "retry", directory, "--output", again)
    assert done.returncode == 0
    assert again.read_bytes().split(b"\n") == [b'{"te', b'{"id": "x"}', b"\xff\x1b[31m", b""]
    assert "3 records written" in done.stderr
    assert "1 repeated ones left out" in done.stderr
    assert (
        "1 record cannot be retried because the value was not kept: see the source, for example a.jsonl:5"
        in done.stderr
    )


def test_retry_names_a_folder_that_is_not_there(directory: Path, tmp_path: Path):
    done = tsds("dead-letters", "retry", directory, "--output", tmp_path / "absent" / "again.jsonl")
    assert done.returncode == ExitStatus.USAGE
    assert done.stderr == f"tsds-stream: --output: {tmp_path / 'absent'} is not a directory\n"


def test_retry_overwrites_nothing(directory: Path, tmp_path: Path):
    (tmp_path / "again.jsonl").write_text("mine")
    done = tsds("dead-letters", "retry", directory, "--output", tmp_path / "again.jsonl")
    assert done.returncode == ExitStatus.USAGE
    assert (tmp_path / "again.jsonl").read_text() == "mine"


def test_no_dead_letters_are_told_of_a_copy_made_from_topics(tmp_path: Path):
    sink = DirectorySink(tmp_path)
    sink.recover()
    one = publication(1, {"a": 1.0})
    one.revision["values"] = "published"
    sink.commit([one], [], {"at": 1})
    sink.close()
    done = tsds("dead-letters", "list", tmp_path)
    assert done.returncode == ExitStatus.USAGE
    assert "a copy made from topics" in done.stderr
    assert "--config FILE" in done.stderr


def test_dead_letters_of_a_wrong_place_are_refused(tmp_path: Path):
    assert tsds("dead-letters", "list", tmp_path).returncode == ExitStatus.STATE
    assert tsds("dead-letters", "list", tmp_path / "absent").returncode == ExitStatus.STATE
