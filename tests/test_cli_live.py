"""A run that somebody watches at a terminal, and what `tsds-stream status` says of it meanwhile and afterwards."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.cli_cases import tsds
from tests.monitoring.screens import Screen


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The command of a run over forty documents that waits for more."""
    with (tmp_path / "documents.jsonl").open("w") as file:
        for k in range(40):
            file.write(
                json.dumps({"id": f"d{k}", "text": f"How to mend a roof, part {k}, with wood of kind {k % 7}"}) + "\n"
            )
        file.write("this is no record\n")
    (tmp_path / "targets.jsonl").write_text(json.dumps({"id": "t", "text": "a roof of wood"}) + "\n")
    named = {"documents": "documents.jsonl", "targets": "targets.jsonl", "output": "selection", "state": "state"}
    places = [word for option, name in named.items() for word in (f"--{option}", str(tmp_path / name))]
    return ["-m", "tsds_stream", "run", *places, "--budget", "10", "--min-distance", "none", "--embedder", "hashing"]


def assert_farewell(screen: Screen) -> None:
    """The last lines, of which the very last may be long: it has the path of a folder."""
    last = next(k for k, line in enumerate(screen.lines) if line.startswith("40 read; default: revision "))
    assert screen.lines[last + 1].startswith("To look into it: tsds-stream inspect ")


def test_a_person_at_the_terminal_sees_the_run_and_the_log_above_it(words: list[str], tmp_path: Path):
    with Screen([*words, "--follow"], 110) as screen:
        screen.wait_for("● live")
        lines = screen.wait_for("revision 1 · 10 of 10 documents")
        lines = screen.wait(lambda lines: "a record cannot be used" in lines[0])
        assert lines[-3].startswith("● live · ")
        assert lines[-2].startswith("  default  revision 1 · 10 of 10 documents")
        assert lines[-1].startswith("  drift ")
        screen.wait(lambda _: (tmp_path / "state" / "status.json").exists())
        meanwhile = tsds("status", "--directory", tmp_path / "state")
        assert (meanwhile.returncode, meanwhile.stdout.split()[0]) == (0, "Healthy:")
        screen.process.send_signal(signal.SIGINT)
        assert screen.ended() == 0
        assert screen.cursor_is_shown
        assert "a record cannot be used" in screen.lines[0]
        assert_farewell(screen)
    afterwards = tsds("status", "--directory", tmp_path / "state")
    assert (afterwards.returncode, afterwards.stdout.split(";")[0][:28]) == (0, "Healthy: stopped on request ")


def test_a_known_end_is_reached_in_sight(words: list[str], tmp_path: Path):
    with Screen([*words, "--once"], 110) as screen:
        assert screen.ended() == 0
        assert b"Selecting" in screen.raw
        assert_farewell(screen)
    assert tsds("status", "--directory", tmp_path / "state").stdout.startswith("Healthy: finished ")


def test_a_run_that_is_killed_is_down_at_once_and_leaves_a_sane_terminal(words: list[str], tmp_path: Path):
    with Screen([*words, "--follow"], 110) as screen:
        screen.wait_for("revision 1 · 10 of 10 documents")
        screen.wait(lambda _: (tmp_path / "state" / "status.json").exists())
        screen.process.kill()
        assert screen.ended() == -signal.SIGKILL
        assert screen.cursor_is_shown
    afterwards = tsds("status", "--directory", tmp_path / "state")
    assert afterwards.returncode == 2
    assert "ended without a word" in afterwards.stdout


def test_without_a_terminal_there_is_the_log_and_no_picture(words: list[str]):
    done = tsds(*words[2:], "--once")
    events = [line.split()[2] for line in done.stderr.splitlines()]
    assert done.returncode == 0
    assert {"started", "published", "leaving"} <= set(events)
    assert "\x1b" not in done.stderr
    assert "●" not in done.stderr
