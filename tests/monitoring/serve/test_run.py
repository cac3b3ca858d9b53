"""A real run with a port: what it says while it lives, and what is left when it has ended."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest

from tests.cli_cases import ROOT, tsds
from tests.monitoring.serve.asking import ask, eventually
from tests.patience import PATIENCE
from tsds_stream.exit_status import ExitStatus

SCRIPT = "<script>alert(1)</script>"
CONFIGURATION = """
[source]
path = "documents/"
follow = true
[embedder]
kind = "hashing"
dimension = 64
[[target_sets]]
targets = "targets.jsonl"
budget = 10
[sink]
path = "selection/"
[state]
directory = "state/"
checkpoint_interval = 1
[publish]
interval = 0.2
[logging]
format = "json"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A corpus of which every word that others wrote is a script."""
    random = np.random.default_rng(5)
    (tmp_path / "documents").mkdir()
    texts = [" ".join(random.choice(["river", "engine", "cloud", "paper"], 8)) for _ in range(100)]
    lines = [
        {"id": f"{SCRIPT}{k}", "text": f"{text} {SCRIPT}", "meta": {"source": SCRIPT}} for k, text in enumerate(texts)
    ]
    (tmp_path / "documents" / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    targets = [{"id": f"{SCRIPT}{k}", "text": text, "group": SCRIPT} for k, text in enumerate(texts[:4])]
    (tmp_path / "targets.jsonl").write_text("".join(json.dumps(target) + "\n" for target in targets))
    (tmp_path / "tsds.toml").write_text(CONFIGURATION)
    return tmp_path


@pytest.fixture
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A run, and the address that it told."""
    run = subprocess.Popen(
        [sys.executable, "-m", "tsds_stream", "run", "--config", "tsds.toml", "--listen", "127.0.0.1:0"],
        cwd=folder, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert run.stderr is not None
    with run:
        yield run, json.loads(run.stderr.readline())["url"]
        run.kill()


def test_a_run_shows_itself_and_takes_its_port_along(running: tuple[subprocess.Popen[str], str], folder: Path):
    run, url = running
    eventually(lambda: ask(url, "/readyz").status == 200)
    eventually(lambda: ask(url, "/explain?id=x").status == 404)  # there is a checkpoint
    assert ask(url, "/healthz").text.startswith("live: ")
    status = json.loads(ask(url, "/status.json").body)
    assert status["sets"]["default"]["size"] == 10
    entered = status["sets"]["default"]["watch"]["entered"][0]
    assert entered["text"].endswith(SCRIPT)

    page = ask(url, "/", Accept="text/html").text
    assert re.findall("<script[^>]*>", page) == ['<script src="/page.js" defer>']
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    question = "/explain?" + urlencode({"set": "default", "id": entered["id"]})
    explained = json.loads(ask(url, question).body)
    assert (explained["state"], explained["text"]) == ("selected", entered["text"])
    assert "<script" not in ask(url, question, Accept="text/html").text

    by_command = tsds("explain", entered["id"], "--state", "state", "--json", cwd=folder)
    facts = json.loads(by_command.stdout)
    assert {name: explained[name] for name in facts} == facts

    run.send_signal(signal.SIGINT)
    assert run.wait(PATIENCE) == 0
    with pytest.raises(OSError, match="refused"):
        ask(url, "/healthz")
    assert run.stderr is not None
    assert [line for line in map(json.loads, run.stderr) if line["level"] in ("warning", "error")] == []


def test_a_port_that_is_taken_ends_a_run_before_it_begins(folder: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        done = tsds("run", "--config", "tsds.toml", "--listen", listen, cwd=folder)
    assert done.returncode == ExitStatus.USAGE
    assert "something else listens on port" in done.stderr
    assert not (folder / "selection").exists()


def test_a_token_that_cannot_be_read_does_too(folder: Path):
    (folder / "tsds.toml").write_text(CONFIGURATION + '[monitoring]\ntoken_file = "absent"\n')
    done = tsds("run", "--config", "tsds.toml", "--listen", "127.0.0.1:0", cwd=folder)
    assert done.returncode == ExitStatus.USAGE
    assert "[monitoring] token_file: " in done.stderr
    assert "No such file" in done.stderr
