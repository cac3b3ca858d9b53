"""A training that is killed leaves no worker behind, whatever its workers were started with."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_cases import ROOT
from tests.loader.selections import Selection, ids
from tests.loader.tools import needed
from tests.patience import PATIENCE

needed("torch")

TRAINING = """
import sys, time
from tsds_stream.loader import SelectedDataset, SelectedLoader

if __name__ == "__main__":
    dataset = SelectedDataset(sys.argv[1], repeat=True)
    loader = SelectedLoader(dataset, 4, num_workers=2, multiprocessing_context=sys.argv[2])
    for _ in loader:
        if loader.step == 8:
            print("serving", flush=True)
            time.sleep(3600)
"""


@pytest.mark.parametrize("context", ["fork", "forkserver", "spawn"])
def test_a_training_that_is_killed_leaves_no_worker_behind(tmp_path: Path, context: str) -> None:
    Selection(tmp_path / "selection", ids(40)).close()
    (tmp_path / "training.py").write_text(TRAINING)
    command = [sys.executable, str(tmp_path / "training.py"), str(tmp_path / "selection"), context]
    training = subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": str(ROOT)})
    try:
        assert training.stdout is not None
        assert training.stdout.readline() == b"serving\n"
        training.kill()
        training.communicate(timeout=PATIENCE)  # workers share its output: it ends with the last of them
        assert training.returncode == -signal.SIGKILL
    finally:
        training.kill()
