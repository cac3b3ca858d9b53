"""Prometheus' own tools. Where they are missing, tests are skipped and say so; with `TSDS_CI=1` they fail."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.kafka.fixtures import refuse


def tool(name: str) -> str:
    """The path of `promtool` or `prometheus`."""
    found = shutil.which(name)
    if found is None:
        refuse(f"{name} is not installed, which this test runs: install it (Debian: prometheus)")
    return found


def linted(text: bytes) -> str:
    """What `promtool check metrics` has to say about the text format: nothing, when all is well."""
    done = subprocess.run([tool("promtool"), "check", "metrics"], input=text, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    return said or f"exit code {done.returncode}" * (done.returncode != 0)


def stored(openmetrics: bytes, directory: Path) -> str:
    """What Prometheus' parser of OpenMetrics finds wrong: nothing, when it stores every sample."""
    lines = [line if line.startswith("#") else f"{line} 1790000000" for line in openmetrics.decode().splitlines()]
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "metrics.om"
    file.write_text("\n".join(lines) + "\n")
    command = [tool("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(file), str(directory / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
