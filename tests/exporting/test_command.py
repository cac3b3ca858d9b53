"""What a person sees who exports: at a terminal, in a log, and when it cannot be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_cases import ROOT, tsds
from tests.exporting.selections import Writer, names
from tests.monitoring.screens import Screen


@pytest.fixture
def writer(tmp_path: Path):
    writer = Writer(tmp_path / "selection")
    writer.publish(names(300))
    yield writer
    writer.close()


def test_a_log_has_a_line_for_every_file_and_the_summary_is_on_stdout(writer: Writer, tmp_path: Path) -> None:
    done = tsds("export", writer.root, "--output", tmp_path / "out", "--shard-size", "20kB", "--format", "mds")
    assert done.returncode == 0
    files = len(list((tmp_path / "out").glob("shard.*")))
    assert [line.split()[2] for line in done.stderr.splitlines()] == ["file"] * files + ["exported"]
    summary = done.stdout.splitlines()
    assert summary[0].startswith(f"Revision 1 of default: 300 documents; {files + 1} files, ")
    assert "without a text" in summary[1]
    assert "an empty text, which MDS has for none" in summary[1]
    again = tsds("export", writer.root, "--output", tmp_path / "out", "--shard-size", "20kB", "--format", "mds")
    assert [line.split()[2] for line in again.stderr.splitlines()] == ["there"]
    assert again.stdout == done.stdout


def test_a_terminal_has_a_bar_and_then_the_summary(writer: Writer, tmp_path: Path) -> None:
    words = ["-m", "tsds_stream", "export", str(writer.root), "--output", str(tmp_path / "out"), "--shard-size", "2kB"]
    with Screen(words, 200) as screen:
        assert screen.ended() == 0
        assert b"Exporting" in screen.raw
        assert b"documents" in screen.raw
        assert screen.lines[0].startswith("Revision 1 of default: 300 documents; ")
        assert screen.cursor_is_shown


def test_parquet_without_pyarrow_names_the_extra(writer: Writer, tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as u; found = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'pyarrow' else found(name, *a); "
        "from tsds_stream.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["export", str(writer.root), "--output", str(tmp_path / "out"), "--format", "parquet"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "pip install 'tsds-stream[parquet]'" in done.stderr


def test_several_target_sets_have_to_be_told_apart(tmp_path: Path) -> None:
    from tests.streams.stories import publication
    from tsds_stream.streams.directory import DirectorySink

    sink = DirectorySink(tmp_path / "selection")
    sink.recover()
    sink.commit([publication(name, 1, {}, {"d": (1.0, 1.0, 1)}) for name in ("a", "b")], [], {"documents": 1})
    sink.close()
    words = ["export", tmp_path / "selection", "--output", tmp_path / "out"]
    done = tsds(*words)
    assert (done.returncode, "choose with --set: a, b" in done.stderr) == (2, True)
    assert tsds(*words, "--set", "b").stdout.startswith("Revision 1 of b: 1 document; 1 file, ")
