"""`tsds-stream served`: its answers, as sentences, as JSON, and as exit codes."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest

from tests.cli_cases import tsds
from tests.loader.served_logs import START, Clock, life, name, segments
from tsds_stream.cli import main
from tsds_stream.loader.served_writer import ServedWriter

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """10 steps of two ranks, which were killed and went on from step 6 to 12; two documents in each."""
    now = Clock()
    for begin, end in ((0, 10), (6, 12)):
        for rank in range(2):
            life(tmp_path / "log", begin, end, rank, 2, now=now)
    return tmp_path / "log"


def run(capsys: Capture, *words: str | Path) -> tuple[int, str, str]:
    status = main(["served", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


def test_the_summary_tells_how_much_was_served_and_what_is_superseded(log: Path, capsys: Capture) -> None:
    status, out, err = run(capsys, log)
    assert (status, err) == (0, "")
    assert "48 documents served up to step 11" in out
    assert re.search(r"different +48\n", out)
    assert "16 documents superseded" in out
    assert re.search(r"default +1 +0 +48  0 – 11 ", out)
    status, out, _ = run(capsys, log, "--json")
    facts = json.loads(out)
    assert status == 0
    assert (facts["documents"], facts["superseded"], facts["distinct"], facts["ranks"]) == (48, 16, 48, [0, 1])
    assert (facts["first_step"], facts["last_step"]) == (0, 11)
    assert START < facts["first_time"] < facts["last_time"]


def test_a_document_is_found_with_when_and_where(log: Path, capsys: Capture) -> None:
    twice, once = name(7, 1, 1), name(2, 0)
    status, out, _ = run(capsys, log, "--document", twice, "--document", once)
    assert status == 0
    assert f"{twice}: trained on 1 time\n" in out
    assert "1 time superseded" in out
    assert re.search(r"Z +7 +1  default +1 +0  superseded\n", out)
    assert f"{once}: trained on 1 time\n" in out
    status, out, _ = run(capsys, log, "--document", twice, "--document", "no such", "--json")
    assert status == 1
    found = json.loads(out)["documents"]
    assert found["no such"] == {"times": 0, "served": []}
    assert found[twice]["times"] == 1
    assert [(one["step"], one["rank"], one["superseded"]) for one in found[twice]["served"]] == [
        (7, 1, True),
        (7, 1, False),
    ]


def test_a_part_of_an_id_is_not_the_id(tmp_path: Path, capsys: Capture) -> None:
    odd = ['a "quoted" one', "ü\n", "x" * 10_000, "no UTF-8 \ud800"]
    writer = ServedWriter(tmp_path)
    writer.begin(0)
    writer.write(0, START, "default", 1, 0, ["document-12", *odd])
    writer.close()
    assert run(capsys, tmp_path, "--document", "document-1")[0] == 1
    assert run(capsys, tmp_path, "--document", "quoted")[0] == 1
    for one in odd:
        assert run(capsys, tmp_path, "--document", one, "--json")[0] == 0


def test_the_list_of_a_resumed_run_is_that_of_one_that_was_not_killed(log: Path, tmp_path: Path) -> None:
    for rank in range(2):
        life(tmp_path / "whole", 0, 12, rank, 2)
    lists = [tsds("served", directory, "--list") for directory in (log, tmp_path / "whole")]
    assert lists[0].stdout == lists[1].stdout
    assert lists[0].stdout.splitlines()[:3] == [
        f"0\t0\tdefault\t1\t0\t{name(0, 0)}",
        f"0\t0\tdefault\t1\t0\t{name(0, 1)}",
        f"0\t1\tdefault\t1\t0\t{name(0, 0, 1)}",
    ]
    part = tsds("served", log, "--list", "--rank", "1", "--from", "5", "--to", "6", "--json")
    records = [json.loads(line) for line in part.stdout.splitlines()]
    assert [(one["step"], one["rank"], one["ids"]) for one in records] == [
        (step, 1, [name(step, place, 1) for place in (0, 1)]) for step in (5, 6)
    ]


def test_what_is_damaged_is_said_and_only_what_is_certain_is_answered(log: Path, capsys: Capture) -> None:
    path = segments(log)[0]
    path.write_bytes(path.read_bytes()[:-40])
    status, out, err = run(capsys, log, "--document", name(11, 0))
    assert (status, "trained on 1 time" in out) == (0, True)
    assert f"warning: {path}: a part of it cannot be read" in err
    status, out, err = run(capsys, log, "--document", "no such")
    assert status == 3
    assert "warning: Rank 0: steps 0 to 5 are not in this log" in err
    status, out, err = run(capsys, log)
    assert status == 3
    assert "36 documents served" in out


def test_what_cannot_be_told_is_told(log: Path, tmp_path: Path, capsys: Capture) -> None:
    for words, says in (
        ([tmp_path / "nowhere"], "is not a directory. Name the directory that served= of the loader named"),
        ([tmp_path], "holds no served log"),
        ([log, "--rank", "2"], "has no log of rank 2, but 0, 1"),
        ([log, "--list", "--document", "a"], "not allowed with"),
        ([log, "--after-retraction", tmp_path / "nowhere"], "nowhere does not exist"),
        ([log, "--after-retraction", log], "is no selection directory"),
    ):
        status, _, err = run(capsys, *words)
        assert (status, says in err) == (3, True), err


def test_retractions_in_a_file_tell_what_was_served_since(log: Path, tmp_path: Path, capsys: Capture) -> None:
    """The clock of the log moves by a second per step and rank."""
    requests = tmp_path / "requests.jsonl"
    early, late, ended = name(8, 0), name(9, 1), name(9, 0, 1)
    times = {early: START, late: START + 10**6, ended: "2026-01-01T00:00:00Z", "never served": START}
    lines = [{"id": id, "deleted": True, "timestamp": time} for id, time in times.items()]
    requests.write_text("\n".join(map(json.dumps, [{"id": "another", "text": "not retracted"}, *lines])))
    status, out, err = run(capsys, log, "--after-retraction", requests)
    assert (status, err) == (1, "")
    assert "2 of 4 retracted documents trained on afterwards" in out
    assert "2 times in all, up to step 9" in out
    status, out, _ = run(capsys, log, "--after-retraction", requests, "--json")
    (first, second) = json.loads(out)["served_after"]
    assert (first["id"], first["withdrawn"], first["times"], first["superseded"]) == (early, START, 1, 1)
    assert (second["id"], second["last_step"], second["revisions"]) == (ended, 9, [1])
    requests.write_text(json.dumps({"id": late, "deleted": True, "timestamp": START + 10**6}))
    status, out, _ = run(capsys, log, "--after-retraction", requests)
    assert (status, "None of 1 retracted document was trained on afterwards" in out) == (0, True)
    requests.write_text(json.dumps({"id": late, "deleted": True}))
    status, out, _ = run(capsys, log, "--after-retraction", requests)
    assert (status, "1 retractions without timestamp count from the beginning" in out) == (1, True)
    requests.write_text('{"id": "a", "deleted": true}\n{"id')
    assert "line 2, is no retraction" in run(capsys, log, "--after-retraction", requests)[2]
    requests.write_text('{"id": "a", "text": "b"}\n')
    assert "holds no retraction" in run(capsys, log, "--after-retraction", requests)[2]


def test_a_terminal_sees_how_far_the_reading_is(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["served", str(log)]) == 0
    assert "Reading the served log" in terminal.getvalue()
