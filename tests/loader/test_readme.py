"""What the documentation says about training runs as printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.loader.selections import Selection, ids
from tests.loader.tools import needed
from tests.patience import PATIENCE

needed("torch")

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = [
    ("README.md", "## Train from it", "2 epochs, 8 batches, the last of revision 1\n"),
    ("tsds_stream/loader/README.md", "## Reading revisions", ""),
    ("tsds_stream/loader/README.md", "## Mix it with other data, and pack it", ""),
]


@pytest.mark.parametrize(("page", "section", "printed"), BLOCKS, ids=[section for _, section, _ in BLOCKS])
def test_a_block_of_the_documentation_runs_as_printed(page: str, section: str, printed: str, tmp_path: Path) -> None:
    code = (ROOT / page).read_text().partition(section)[2].partition("```python\n")[2].partition("```")[0]
    (tmp_path / "train.py").write_text(code)
    Selection(tmp_path / "selection", ids(100)).close()
    command = [sys.executable, "train.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed
