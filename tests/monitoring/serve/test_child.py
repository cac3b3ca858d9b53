"""The process that serves, as the run starts, feeds, loses and ends it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.cli_cases import ROOT
from tests.engine_fakes import ListLog
from tests.monitoring.samples import sample
from tests.monitoring.serve.asking import ask, eventually
from tests.monitoring.serve.conftest import TOKEN, Served
from tests.patience import PATIENCE
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.monitoring import child as child_module
from tsds_stream.monitoring.child import Server, token_of
from tsds_stream.monitoring.settings import MonitoringSettings

Serve = Callable[..., Served]


STARTED = """
import os, pathlib, sys, time
from tests.engine_fakes import ListLog
from tsds_stream.monitoring.child import Server
from tsds_stream.monitoring.settings import MonitoringSettings
server = Server(MonitoringSettings(listen="127.0.0.1:0"), pathlib.Path("state"), ListLog())
url = server.start()
"""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_document_is_answered_with(serve: Serve):
    served = serve()
    assert ask(served.url, "/readyz").text == "ready\n"
    changed = sample()
    changed["process"]["phase"] = "stopping"
    served.send(changed)
    eventually(lambda: ask(served.url, "/readyz").text == "not ready:\nthe process is stopping\n")
    assert served.log.lines == []


def test_documents_may_be_large(serve: Serve):
    served = serve()
    large = {**sample(), "ballast": ["x" * 1000] * 8000}
    eventually(lambda: served.send(large) or len(ask(served.url, "/status.json").body) > 8_000_000)
    eventually(lambda: served.send(sample()) or len(ask(served.url, "/status.json").body) < 100_000)
    assert served.log.lines == []


def test_a_port_that_is_taken_is_told_before_the_run_begins(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = MonitoringSettings(listen=f"127.0.0.1:{other.getsockname()[1]}")
        server = Server(settings, tmp_path, ListLog())
        with pytest.raises(CommandError, match="something else listens on port") as error:
            server.start()
    assert error.value.status == ExitStatus.USAGE
    assert server.pid is None
    server.close()


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(child_module, "find_spec", lambda name: None if name == "waitress" else object())
    with pytest.raises(
        CommandError, match=r"needs the package waitress: pip install 'tsds-stream\[monitoring\]'"
    ) as error:
        Server(MonitoringSettings(listen="127.0.0.1:0"), tmp_path, ListLog()).start()
    assert error.value.status == ExitStatus.USAGE
    monkeypatch.setattr(child_module, "find_spec", lambda name: None)
    with pytest.raises(CommandError, match="the packages waitress and prometheus-client"):
        Server(MonitoringSettings(listen="127.0.0.1:0"), tmp_path, ListLog()).start()


def test_the_token_comes_from_the_settings_or_a_file(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert token_of(MonitoringSettings()) is None
    assert token_of(MonitoringSettings(token=TOKEN)) == TOKEN
    assert token_of(MonitoringSettings(token_file=file)) == TOKEN
    for content in (b"", b"short", b"two words of it, long enough", b"\xff" * 20, "ein langes Wort mit ü".encode()):
        file.write_bytes(content)
        with pytest.raises(CommandError, match="token_file"):
            token_of(MonitoringSettings(token_file=file))
    with pytest.raises(CommandError, match="No such file"):
        token_of(MonitoringSettings(token_file=tmp_path / "absent"))


def test_nobody_sees_the_token_among_the_processes(serve: Serve):
    served = serve(token=TOKEN)
    command = Path(f"/proc/{served.server.pid}/cmdline").read_bytes()
    assert command.split(b"\0")[1:-1] == [b"-m", b"tsds_stream.monitoring.serve"]
    assert ask(served.url, "/", X_Forwarded_For="192.0.2.1").status == 401
    assert ask(served.url, "/", X_Forwarded_For="192.0.2.1", Authorization=f"Bearer {TOKEN}").status == 200


def test_it_holds_nothing_of_the_run_open(serve: Serve, tmp_path: Path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    try:
        served = serve()
        held = Path(f"/proc/{served.server.pid}/fd")
        targets = [os.readlink(path) for path in held.iterdir()]
    finally:
        os.close(descriptor)
    assert {target.partition(":")[0] for target in targets} <= {"pipe", "socket"}
    assert os.readlink(f"/proc/{served.server.pid}/cwd") == "/"


def test_signals_that_are_meant_for_the_run_do_not_end_it(serve: Serve):
    served = serve()
    assert served.server.pid is not None
    assert os.getsid(served.server.pid) != os.getsid(0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        os.kill(served.server.pid, number)
    assert ask(served.url, "/healthz").status == 200


def test_it_leaves_with_the_run(serve: Serve):
    served = serve()
    pid = served.server.pid
    assert pid is not None
    served.server.close()
    served.server.close()
    assert not is_running(pid)
    assert served.log.lines == []


def test_it_leaves_with_a_run_that_was_killed_while_others_hold_its_pipe(tmp_path: Path):
    """A process that the run forked has a copy of the pipe, whose end is then never seen."""
    code = STARTED + "forked = os.fork() or time.sleep(600)\nprint(server.pid, forked, flush=True)\ntime.sleep(600)"
    run = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert run.stdout is not None
    child, forked = map(int, run.stdout.readline().split())
    assert is_running(child)
    run.kill()
    run.wait()
    eventually(lambda: not is_running(child))
    os.kill(forked, signal.SIGKILL)
    run.stdout.close()


def test_one_that_died_is_started_again_at_the_same_address(serve: Serve):
    served = serve(server={"pause": 0.0})
    before = served.server.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    eventually(lambda: served.send(sample()) or served.server.pid not in (before, None))
    eventually(lambda: served.send(sample()) or reached(served.url))
    assert served.log.lines == [("warning", "the status page is started again", {"why": "it was ended by signal 9"})]


def reached(url: str) -> bool:
    try:
        return ask(url, "/healthz").status == 200
    except OSError:
        return False


def test_it_is_not_started_again_and_again(serve: Serve):
    now = [0.0]
    served = serve(server={"pause": 10.0, "clock": lambda: now[0]})
    for moment, started in ((5.0, False), (9.0, False), (11.0, True), (12.0, False), (20.0, False), (22.0, True)):
        now[0] = moment
        before = served.server.pid
        if before is not None:
            os.kill(before, signal.SIGKILL)
            eventually(lambda: served.send(sample()) or served.server.pid is None)
        served.send(sample())
        assert (served.server.pid is not None) is started, moment
    assert served.log.events("warning") == ["the status page is started again"] * 2


def test_one_that_is_stuck_costs_the_run_moments_and_is_replaced(serve: Serve):
    served = serve(server={"patience": 0.3, "pause": 0.0})
    before = served.server.pid
    assert before is not None
    os.kill(before, signal.SIGSTOP)
    large = {**sample(), "ballast": "x" * 3_000_000}
    eventually(lambda: served.send(large) or served.server.pid != before)
    eventually(lambda: served.send(sample()) or reached(served.url))
    assert not is_running(before)
    assert ("warning", "the status page is started again", {"why": "it has read nothing for 0 s"}) in served.log.lines


def test_one_that_is_stuck_is_noticed_while_the_pipe_still_takes_what_is_sent(serve: Serve):
    served = serve(server={"patience": 0.3, "pause": 0.0})
    before = served.server.pid
    assert before is not None
    os.kill(before, signal.SIGSTOP)
    for _ in range(30):  # some hundred kilobytes at most; the pipe holds a megabyte
        served.send(sample())
        time.sleep(0.02)
        if served.server.pid != before:
            break
    assert not is_running(before)
    eventually(lambda: served.send(sample()) or reached(served.url))


def test_a_document_waits_for_nobody(serve: Serve):
    served = serve()
    assert served.server.pid is not None
    os.kill(served.server.pid, signal.SIGSTOP)
    served.slowest = 0.0
    for _ in range(4):
        served.send({**sample(), "ballast": "x" * 3_000_000})
    os.kill(served.server.pid, signal.SIGCONT)
    assert served.slowest < 10.0  # half a second by itself; the machine may be busy
    eventually(lambda: served.send(sample()) or len(ask(served.url, "/status.json").body) < 100_000)
    assert served.log.lines == []


def test_one_that_stands_still_is_ended_with_the_run(serve: Serve):
    served = serve()
    pid = served.server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    served.server.close()
    assert not is_running(pid)
    assert served.log.events() == ["the status page did not end by itself"]


def test_a_port_that_somebody_took_meanwhile_is_told_and_tried_again(serve: Serve):
    served = serve(server={"pause": 0.0})
    port = int(served.url.rstrip("/").rpartition(":")[2])
    assert served.server.pid is not None
    os.kill(served.server.pid, signal.SIGKILL)
    eventually(lambda: not reached(served.url))
    with socket.create_server(("127.0.0.1", port)):
        eventually(lambda: served.send(sample()) or any("something else" in str(line) for line in served.log.lines))
    eventually(lambda: served.send(sample()) or reached(served.url))


def test_what_it_complains_of_stands_in_the_log_of_the_run(serve: Serve):
    served = serve()
    served.server.send(b"{")
    eventually(lambda: served.log.lines)
    level, event, fields = served.log.lines[0]
    assert (level, event, list(fields)) == ("warning", "a status document is damaged", ["error"])


def test_the_folder_of_the_run_hides_no_modules(tmp_path: Path):
    for name in ("select", "orjson", "waitress", "html", "queue", "tsds_stream"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this is not the module that was meant')")
    found = f"import sys; sys.path[:] = [{str(ROOT)!r}, *sys.path[1:]]\n"
    code = found + STARTED + "print(url); server.close()"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=PATIENCE
    )
    assert done.stdout.startswith("http://127.0.0.1:"), done.stderr


def test_it_needs_neither_the_engine_nor_kafka():
    code = (
        "import sys; import tsds_stream.monitoring.serve.app, tsds_stream.monitoring.serve.limits; "
        "print(*[name for name in sys.modules if name in ('numpy', 'hnswlib', 'kafka', 'pydantic', 'tokenizers') "
        "or name.startswith(('tsds_stream.engine', 'tsds_stream.selection', 'tsds_stream.streams'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []


def test_a_run_that_does_not_listen_imports_none_of_it():
    code = "import sys, tsds_stream.monitoring.monitor; print({'waitress', 'prometheus_client'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "set()\n"


def test_documents_may_come_from_any_process(tmp_path: Path):
    """The protocol by itself: a line of configuration, documents, the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tsds_stream.monitoring.serve"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    configuration = {
        "listen": "127.0.0.1:0", "token": None, "state": str(tmp_path), "parent": os.getpid(), "client_patience": 5.0,
    }  # fmt: skip
    process.stdin.write(orjson.dumps(configuration) + b"\n")
    process.stdin.flush()
    url = orjson.loads(process.stdout.readline())["listening"]
    assert ask(url, "/readyz").status == 503
    process.stdin.write(orjson.dumps(sample()) + b"\n")
    process.stdin.flush()
    eventually(lambda: ask(url, "/readyz").status == 200)
    began = time.monotonic()
    process.stdin.close()
    assert process.wait(PATIENCE) == 0
    assert time.monotonic() - began < 10.0  # at once by itself
    process.stdout.close()
