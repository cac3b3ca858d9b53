"""A process that exports is killed with -9 at random moments, again and again; the result is that of a calm day."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli_cases import ROOT
from tests.exporting.selections import Writer, content, export, names, request
from tests.patience import PATIENCE
from tsds_stream.exporting.compression import Compression
from tsds_stream.exporting.formats import FORMATS

DEATHS = 4


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory):
    writer = Writer(tmp_path_factory.mktemp("selection"))
    writer.publish(names(1500))
    writer.publish(names(1500, 500))
    yield writer
    writer.close()


def started(root: Path, output: Path, form: str, compression: Compression) -> subprocess.Popen[bytes]:
    words = ["export", root, "--output", output, "--format", form, "--compression", compression, "--since", "1"]
    return subprocess.Popen(
        [sys.executable, "-m", "tsds_stream", *map(str, words), "--shard-size", "8kB"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def files_in(output: Path) -> int:
    finished = output.with_name("out.tmp") / "finished"
    return len(list(finished.glob("*.json"))) if finished.is_dir() else 0


@pytest.mark.parametrize(("form", "compression"), list(zip(FORMATS, ("gzip", "zstd", "zstd"), strict=True)))
def test_the_bytes_are_those_of_an_uninterrupted_export(
    writer: Writer, tmp_path: Path, form: str, compression: Compression
) -> None:
    asked = request(form, compression=compression, since=1, shard_size=8000)
    export(writer.root, tmp_path / "whole", asked)
    whole = content(tmp_path / "whole")
    output, chosen, deaths = tmp_path / "out", random.Random(form), 0
    (least, most), end = (1, len(whole) // DEATHS), time.monotonic() + PATIENCE
    while not output.exists():
        before = files_in(output)
        goal = before + chosen.randint(least, most) if deaths < DEATHS else 1 << 30
        with started(writer.root, output, form, compression) as process:
            while process.poll() is None and files_in(output) < goal:
                assert time.monotonic() < end, "it never gets anywhere"
                time.sleep(0.001)
            time.sleep(chosen.uniform(0.0, 0.01))
            process.kill()
            said = process.stderr.read().decode() if process.stderr is not None else ""
        if process.returncode == -signal.SIGKILL:
            deaths += 1
            assert not output.exists() or content(output) == whole
        else:
            assert process.returncode == 0, said
        if before and not output.exists():
            assert "goes on" in said
    assert deaths >= 2
    with started(writer.root, output, form, compression) as process:
        assert process.wait(PATIENCE) == 0
    assert content(output) == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]
