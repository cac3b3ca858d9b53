"""The pages about monitoring say what the program says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tsds_stream.cli import main

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_the_reference_of_the_metrics_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics", "--reference"]) == 0
    printed = capsys.readouterr().out
    written = (DEPLOY / "METRICS.md").read_text(encoding="utf-8")
    assert written == printed, "make it anew: tsds-stream metrics --reference > deploy/METRICS.md"
