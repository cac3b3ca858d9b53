"""`tsds-stream status`: the health of a run, in words and as exit code."""

from __future__ import annotations

import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli_cases import tsds
from tests.monitoring.samples import MINUTE, NOW, Json, empty, failing, sample, two_sets
from tests.monitoring.screens import Screen
from tsds_stream.cli import main
from tsds_stream.lock import WriterLock
from tsds_stream.monitoring.status_source import address_of

TOKEN = "a-token-of-sixteen-or-more"


def asked(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """As `tsds("status", …)`, but in this process, which is quicker."""
    told, complained = io.StringIO(), io.StringIO()
    with redirect_stdout(told), redirect_stderr(complained):
        code = main(["status", *map(str, words)])
    return subprocess.CompletedProcess([], code, told.getvalue(), complained.getvalue())


def of_now(value: Any, by: int) -> Any:
    """A sample as if it were written at this moment."""
    if isinstance(value, dict):
        return {key: of_now(item, by) for key, item in value.items()}
    if isinstance(value, list):
        return [of_now(item, by) for item in value]
    return value + by if isinstance(value, int) and abs(value - NOW) < 10**9 else value


def written(root: Path, status: Json, ahead: int = 0) -> Path:
    """As a run would have written it; a bit ahead of the time for a process that takes long to start."""
    beside = root / "beside.json"
    beside.write_text(json.dumps(of_now(status, int(time.time() * 1000) + ahead - NOW)))
    beside.replace(root / "status.json")
    return root


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state directory of which a process that runs has the lock."""
    root = tmp_path / "state"
    root.mkdir()
    with WriterLock(root / "lock", "The state") as _:
        (root / "lock").write_text("process 4711 on a-host\n")
        yield root


def test_a_healthy_run_in_words(state: Path):
    done = tsds("status", "--directory", written(state, sample(), ahead=MINUTE))
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0].startswith("Healthy: live, 1,240 documents/s, nothing waiting; revision 42 of default published ")
    assert {line.split()[0] for line in lines[2:] if line} >= {"stream", "latency", "checkpoint", "drift", "default"}
    assert [line.split()[:2] for line in lines[-6:-4]] == [["set", "revision"], ["default", "42"]]
    assert lines[-1].endswith(" minutes ago  default  2 examples added, 1 withdrawn")
    assert "\x1b" not in done.stdout


def test_trouble_in_words_and_what_to_do(state: Path):
    done = asked("--directory", written(state, failing()))
    assert done.returncode == 1
    assert done.stdout.startswith("Degraded: the embedder has not answered for 9 minutes")
    assert "  FallingBehind: Falling behind: 1.2 million records wait" in done.stdout
    assert "  Raise max_k to 2048." in done.stdout
    assert {"default", "chess-openings"} <= {line.split()[0] for line in done.stdout.splitlines() if line}


def test_a_fresh_start_is_healthy(state: Path):
    done = asked("--directory", written(state, empty()))
    assert done.returncode == 0
    assert done.stdout.startswith("Healthy: starting for ")


def test_a_run_that_has_begun_and_has_told_nothing_yet_is_starting(tmp_path: Path):
    with WriterLock(tmp_path / "lock", "The state"):
        done = asked("--directory", tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("Healthy: starting; process ")


def test_a_killed_run_is_down(tmp_path: Path):
    done = asked("--directory", written(tmp_path, sample()))
    assert done.returncode == 2
    assert done.stdout.startswith("Down: process 4711 ended without a word")
    assert "  What was known " in done.stdout


def test_a_run_that_failed_is_down_and_says_why(tmp_path: Path):
    status = sample()
    status["process"].update(phase="stopped", exit="no broker answers at broker:9092")
    done = asked("--directory", written(tmp_path, status))
    assert done.returncode == 2
    assert "no broker answers at broker:9092." in done.stdout


def test_a_finished_run_is_healthy(tmp_path: Path):
    status = sample()
    status["process"].update(phase="stopped")
    status["configuration"].update(follow=False)
    done = asked("--directory", written(tmp_path, status))
    assert done.returncode == 0
    assert done.stdout.startswith("Healthy: finished ")


def test_the_state_directory_is_that_of_the_configuration_or_the_usual_one(tmp_path: Path, state: Path):
    written(state, two_sets())
    (tmp_path / "tsds.toml").write_text(f'[[target_sets]]\ntargets = "t.jsonl"\n[state]\ndirectory = "{state}"\n')
    assert asked("--config", tmp_path / "tsds.toml").returncode == 1
    for place, environment in ((tmp_path, {}), (tmp_path.parent, {"TSDS_STREAM_STATE__DIRECTORY": str(state)})):
        written(state, two_sets(), ahead=MINUTE)
        assert tsds("status", cwd=place, **environment).returncode == 1


def test_scripts_get_the_document_with_the_health_in_it(state: Path):
    done = asked("--directory", written(state, failing()), "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["sets"]["default"]["revision"] == 42
    assert (told["health"]["state"], told["health"]["warnings"][1]["code"]) == ("degraded", "falling_behind")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("not even JSON", "status.json is not a status document of tsds-stream"),
        ("[1, 2]", "status.json is not a status document of tsds-stream"),
        ('{"some": "thing"}', "status.json is not a status document of tsds-stream"),
        ('{"format": 2, "process": {}, "version": "7.1"}', "was written by tsds-stream 7.1 in format 2, and this one"),
    ],
)
def test_what_is_not_a_status_document_is_no_answer(tmp_path: Path, content: str, sentence: str):
    (tmp_path / "status.json").write_text(content)
    done = asked("--directory", tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_mistakes_are_never_taken_for_an_answer(tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("two\nlines")
    for words, sentence in (
        (["--directory", tmp_path / "absent"], "does not exist; --directory names the state directory of a run"),
        (["--directory", tmp_path], "has no status.json: no run has begun there"),
        (["--urll", "x"], "did you mean --url?"),
        (["--url", "x", "--directory", "y"], "give --url or --directory, not both"),
        (["--token-file", token], "--token-file goes with --url"),
        (["--url", "x", "--token-file", token], "does not hold a token"),
        (["--url", "x", "--token-file", tmp_path / "absent"], "cannot be read: No such file or directory"),
        (["--url", "file:///etc/passwd"], "is no address such as http://127.0.0.1:9464"),
        (["--url", "http://host:99999"], "is no address such as"),
        (["--config", tmp_path / "absent.toml"], "cannot be read"),
    ):
        done = asked(*words)
        assert (done.returncode, done.stdout) == (3, ""), words
        assert sentence in done.stderr


def test_the_help_tells_what_the_exit_codes_mean_here():
    codes = tsds("status", "--help").stdout.partition("exit codes:\n")[2].splitlines()
    assert [line.split()[:2] for line in codes] == [
        ["0", "healthy;"],
        ["1", "degraded:"],
        ["2", "down:"],
        ["3", "no"],
        ["5", "interrupted"],
    ]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("127.0.0.1:9464", "http://127.0.0.1:9464/status.json"),
        ("localhost", "http://localhost/status.json"),
        ("http://[::1]:9464/", "http://[::1]:9464/status.json"),
        ("https://a.example/streams/one", "https://a.example/streams/one/status.json"),
        ("https://a.example/streams/one/status.json", "https://a.example/streams/one/status.json"),
    ],
)
def test_an_address_may_be_short(url: str, address: str):
    assert address_of(url) == address


class Process(ThreadingHTTPServer):
    """Stands in for a running process: what it answers, and what it was asked with."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status, self.body, self.headers = 200, b"", {}
        self.date: str | None = None
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def tells(self, document: Json) -> None:
        self.body = json.dumps(of_now(document, int(time.time() * 1000) - NOW)).encode()


class _Answer(BaseHTTPRequestHandler):
    server: Process

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.server.date or super().date_time_string(timestamp)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def process() -> Iterator[Process]:
    with Process() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_process_that_listens_is_asked(process: Process):
    process.tells(failing())
    done = asked("--url", process.url)
    assert done.returncode == 1
    assert done.stdout.startswith("Degraded: the embedder has not answered")
    assert process.asked == [("/status.json", None)]


def test_clocks_need_not_agree(process: Process):
    process.body = json.dumps(of_now(sample(), 86_400_000)).encode()
    process.date = formatdate((NOW + 86_400_000) / 1000, usegmt=True)
    assert asked("--url", process.url).returncode == 0


def test_a_token_comes_from_a_file_or_the_environment(process: Process, tmp_path: Path):
    process.tells(sample())
    (tmp_path / "token").write_text(TOKEN + "\n")
    assert asked("--url", process.url, "--token-file", tmp_path / "token").returncode == 0
    assert tsds("status", "--url", process.url, TSDS_STREAM_MONITORING__TOKEN=TOKEN).returncode == 0
    assert process.asked == [("/status.json", f"Bearer {TOKEN}")] * 2


def test_what_else_may_answer_is_no_answer(process: Process, tmp_path: Path):
    (tmp_path / "token").write_text(TOKEN)
    with_token = ["--token-file", tmp_path / "token"]
    for status, words, sentence in (
        (401, [], "wants a token: give --token-file FILE"),
        (401, with_token, "does not accept this token"),
        (403, [], "refuses: Only names of this machine are answered to."),
        (404, [], "is not there (404)"),
        (500, [], "answers with HTTP status 500"),
        (302, with_token, "answers with HTTP status 302"),
        (200, [], "is not a status document of tsds-stream"),
    ):
        process.status, process.headers = status, {"Location": "http://127.0.0.1:9/"} if status == 302 else {}
        process.body = b"Only names of this machine are answered to.\n"
        done = asked("--url", process.url, *words)
        assert (done.returncode, done.stdout) == (3, ""), status
        assert sentence in done.stderr


def test_a_process_that_has_nothing_to_tell_yet_is_starting(process: Process):
    process.status, process.body = 503, b"Nothing has come from the stream yet: it is starting.\n"
    done = asked("--url", process.url)
    assert (done.returncode, done.stdout.split(";")[0]) == (0, "Healthy: starting")


def test_a_proxy_with_nothing_behind_it_is_down(process: Process):
    process.status, process.body = 503, b"no upstream"
    done = asked("--url", process.url)
    assert (done.returncode, done.stdout.split(" behind ")[0]) == (2, "Down: nothing answers")


def test_nobody_there_is_down():
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    done = asked("--url", f"127.0.0.1:{port}", "--json")
    assert done.returncode == 2
    assert "does not answer: connection refused" in json.loads(done.stdout)["health"]["sentence"]


def test_watching_in_a_pipe_gives_a_line_for_each_look(state: Path):
    written(state, sample(), ahead=MINUTE)
    words = ["-m", "tsds_stream", "status", "--directory", str(state), "--watch"]
    with subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        first = watching.stdout.readline()
        written(state, failing(), ahead=MINUTE)
        second = next(line for line in watching.stdout if "Healthy" not in line)
        watching.send_signal(signal.SIGINT)
        watching.communicate()
    assert "Healthy: live" in first
    assert "Degraded: the embedder" in second
    assert watching.returncode == 1  # as it was at the last look


def test_watching_at_a_terminal_is_the_live_view(state: Path):
    written(state, sample(), ahead=MINUTE)
    with Screen(["-m", "tsds_stream", "status", "--directory", str(state), "--watch"], 110) as screen:
        screen.wait_for("● live · 1,240 documents/s")
        written(state, failing(), ahead=MINUTE)
        screen.wait_for("! The embedder has not answered")
        screen.process.send_signal(signal.SIGINT)
        assert screen.ended() == 1
        assert screen.lines == []


def test_a_terminal_gets_colours(state: Path):
    written(state, sample(), ahead=MINUTE)
    with Screen(["-m", "tsds_stream", "status", "--directory", str(state)]) as screen:
        assert screen.ended() == 0
        assert b"\x1b[1;32mHealthy" in screen.raw
