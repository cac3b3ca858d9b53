"""What `run` says and does before any broker has answered."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.cli_cases import ROOT, tsds
from tests.patience import PATIENCE
from tsds_stream.exit_status import ExitStatus


def configuration(folder: Path, port: int, patience: str) -> Path:
    (folder / "targets.txt").write_text("a target\n")
    file = folder / "tsds.toml"
    file.write_text(
        f'[source]\nkind = "kafka"\n[sink]\nkind = "kafka"\n[embedder]\nkind = "hashing"\n'
        f'[kafka]\nbootstrap_servers = "127.0.0.1:{port}"\nstartup_timeout = "{patience}"\n'
        f'[state]\ndirectory = "{folder}/state"\n[[target_sets]]\ntargets = "{folder}/targets.txt"\n'
    )
    return file


def test_a_broker_that_is_away_at_the_start_is_a_case_for_the_supervisor(tmp_path: Path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, and nobody listens
        port = closed.getsockname()[1]
        done = tsds("run", "--config", configuration(tmp_path, port, "1s"))
    assert done.returncode == ExitStatus.UNAVAILABLE, done.stderr
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_signal_while_it_still_waits_for_a_broker_ends_it_at_once(tmp_path: Path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.settimeout(PATIENCE)
        file = configuration(tmp_path, silent.getsockname()[1], "60s")
        command = [sys.executable, "-m", "tsds_stream", "run", "--config", str(file)]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        try:
            connection, _ = silent.accept()  # it asks, and gets no answer
            with connection:
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE) == ExitStatus.OK
        finally:
            process.kill()
            process.wait()
