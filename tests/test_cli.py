"""The command line as such: help, exit codes, errors in one sentence, leaving without noise."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli_cases import ROOT, selection_directory, tsds
from tsds_stream import __version__
from tsds_stream.cli import COMMANDS, main
from tsds_stream.exit_status import CommandError, ExitStatus

HERE = [name for name in COMMANDS if (ROOT / "tsds_stream" / "commands" / f"{name.replace('-', '_')}.py").exists()]


def test_version_is_one_line():
    done = tsds("--version")
    assert (done.stdout, done.stderr, done.returncode) == (f"tsds-stream {__version__}\n", "", 0)


def test_help_lists_every_command_and_every_exit_code():
    done = tsds("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE)
    for status in ExitStatus:
        assert f"  {status.value}  {status.meaning}" in done.stdout


def test_without_a_command_there_is_help():
    done = tsds()
    assert done.returncode == 0
    assert "commands:" in done.stdout


@pytest.mark.parametrize("name", HERE)
def test_the_help_of_each_command_has_examples_and_exit_codes(name: str):
    done = tsds(name, "--help")
    assert done.returncode == 0
    assert f"  tsds-stream {name}" in done.stdout.partition("examples:")[2]
    assert "exit codes:" in done.stdout
    assert "--debug" in done.stdout


def test_a_misspelt_command_gets_the_nearest_name():
    done = tsds("selekt")
    assert done.returncode == ExitStatus.USAGE
    assert done.stderr == "tsds-stream: there is no command 'selekt'; did you mean 'select'?\n"


def test_a_misspelt_option_gets_the_nearest_name():
    done = tsds("run", "--buget", "3")
    assert done.returncode == ExitStatus.USAGE
    assert "--buget 3 is not understood; did you mean --budget?" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_options_that_cannot_work_are_told_together_by_their_names_on_the_command_line():
    done = tsds("run", "--budget", "0", "--alpha", "2")
    assert done.returncode == ExitStatus.USAGE
    assert done.stdout == ""
    assert [line.strip() for line in done.stderr.splitlines()] == [
        "tsds-stream: 3 problems in the configuration:",
        '--budget: "0" is not accepted; expected a whole number of at least 1 or "none"',
        '--alpha: "2" is not accepted; expected "auto" or a number above 0 and below 1',
        "--targets is missing: file or directory of target examples; not needed where they come from a topic, "
        "[kafka.topics] targets",
    ]


def test_a_traceback_needs_debug():
    sentence = tsds("config", "--check", "absent.toml")
    assert "Traceback" not in sentence.stderr
    assert sentence.returncode == ExitStatus.USAGE
    trace = tsds("config", "--check", "absent.toml", "--debug")
    assert "Traceback" in trace.stderr
    assert "cannot be read" in trace.stderr


def test_an_unexpected_error_says_that_it_is_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("tsds_stream.cli._run", lambda words: 1 / 0)
    assert main(["config"]) == ExitStatus.UNEXPECTED
    assert capsys.readouterr().err.startswith("tsds-stream: unexpected ZeroDivisionError: division by zero")


def test_errors_of_the_world_leave_with_their_own_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from tsds_stream.embedding.base import EmbedderUnavailable
    from tsds_stream.streams.base import SinkError, SourceError

    for error, status in (
        (CommandError("so", ExitStatus.STATE), ExitStatus.STATE),
        (SourceError("the source"), ExitStatus.INPUT),
        (SinkError("the sink"), ExitStatus.STATE),
        (EmbedderUnavailable("the embedder", 1.0), ExitStatus.INPUT),
        (FileNotFoundError(2, "No such file or directory", "x.jsonl"), ExitStatus.INPUT),
        (KeyboardInterrupt(), ExitStatus.INTERRUPTED),
    ):

        def fail(words: list[str], error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("tsds_stream.cli._run", fail)
        assert main(["config"]) == status
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_reader_that_leaves_early_causes_no_noise(tmp_path: Path):
    _leave_early("config", "--reference")
    _leave_early("dead-letters", "list", str(selection_directory(tmp_path)))  # a page, not a plain print


def _leave_early(*words: str) -> None:
    command = [sys.executable, "-m", "tsds_stream", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()  # before anything is written
    assert process.wait() == ExitStatus.INTERRUPTED
    assert process.stderr.read() == b""
    process.stderr.close()


def test_ctrl_c_is_one_word():
    # A shell that starts the tests in its background has them ignore SIGINT, and children inherit that.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "import tsds_stream.cli as c, time; c._run = lambda words: (print('up', flush=True), time.sleep(60)); "
    process = subprocess.Popen(
        [sys.executable, "-c", code + "raise SystemExit(c.main(['select']))"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (ExitStatus.INTERRUPTED, "", "tsds-stream: interrupted\n")


def test_help_answers_at_once():
    """The fastest of several starts, next to the bare interpreter in the same conditions: the machine may be busy."""

    def fastest(*words: str) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, capture_output=True, cwd=ROOT)
            times.append(time.perf_counter() - began)
        return min(times)

    bare = fastest("-c", "import argparse, difflib")
    assert fastest("-m", "tsds_stream", "--help") < 4 * bare + 0.05


@pytest.mark.parametrize("word", ["--print-default", "--reference"])
def test_config_prints_pages(word: str):
    done = tsds("config", word)
    assert done.returncode == 0
    assert "max_k" in done.stdout


def test_config_check_says_what_is_sound_and_what_is_not_there(tmp_path):
    (tmp_path / "tsds.toml").write_text(tsds("config", "--print-default").stdout)
    done = tsds("config", "--check", "tsds.toml", cwd=tmp_path)
    assert done.returncode == 0
    assert "tsds.toml is sound." in done.stdout
    assert "note: targets.jsonl does not exist here" in done.stdout


def test_config_check_takes_the_environment_in(tmp_path):
    (tmp_path / "tsds.toml").write_text('[[target_sets]]\ntargets = "t.jsonl"\n')
    done = tsds("config", "--check", "tsds.toml", "--json", cwd=tmp_path, TSDS_STREAM_PUBLISH__INTERVAL="5m")
    assert '"interval": 300.0' in done.stdout
    done = tsds("config", "--check", "tsds.toml", cwd=tmp_path, TSDS_STREAM_PUBLISH__INTERVAL="often")
    assert done.returncode == ExitStatus.USAGE
    assert done.stderr.startswith('tsds-stream: TSDS_STREAM_PUBLISH__INTERVAL: "often" is not accepted')


def test_nothing_is_coloured_without_a_terminal(tmp_path):
    done = tsds("--help", TERM="xterm-256color")
    assert "\x1b" not in done.stdout
    assert os.linesep in done.stdout


def test_an_interruption_waits_for_an_import():
    code = """
import os, signal, sys
from tsds_stream import cli

def importing(name):
    os.kill(os.getpid(), signal.SIGINT)
    print("imported", flush=True)
    raise ImportError(name)

signal.signal(signal.SIGINT, signal.default_int_handler)
cli.import_module = importing
sys.exit(cli.main(["select"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == "imported\n", "it was not cut short"
    assert (done.returncode, done.stderr) == (5, "tsds-stream: interrupted\n")
