"""Real engines on real files, killed in every way: afterwards the revisions are consecutive, each is intact, and the
last digests and the dead letters are those of a run that nobody disturbed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import ROOT, Forker, Outcome, inspect, make_world, settings_of
from tests.patience import PATIENCE
from tsds_stream.exit_status import ExitStatus

KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    forker = Forker()
    yield forker
    forker.close()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("large")
    make_world(root, 3000)
    return root


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("small")
    make_world(root, 600)
    return root


@pytest.fixture(scope="module")
def expected(forker: Forker, large: Path, small: Path) -> dict[Path, Outcome]:
    """What undisturbed runs lead to."""
    outcomes = {}
    for world in (large, small):
        assert forker.run(settings_of(world), batch=64) == 0
        outcomes[world] = inspect(world)
        assert len(outcomes[world].digests) == 2
        assert outcomes[world].dead_letters
        shutil.rmtree(world / "selection")
        shutil.rmtree(world / "state")
    return outcomes


def copied(world: Path, tmp_path: Path) -> Path:
    root = tmp_path / "world"
    shutil.copytree(world, root)
    return root


def test_kills_at_random_moments(forker: Forker, large: Path, expected: dict[Path, Outcome], tmp_path: Path):
    root, chosen, kills = copied(large, tmp_path), random.Random(0), 0
    while True:
        forker.start(settings_of(root))
        if kills < 30:
            time.sleep(chosen.uniform(0.05, 0.45))
            forker.kill()
        status = forker.wait()
        inspect(root)
        if status == 0:
            break
        assert status == KILLED
        kills += 1
    assert inspect(root).same_as(expected[large])
    assert kills >= 10, "the last one found work to do"


def test_kills_of_the_command_itself(large: Path, expected: dict[Path, Outcome], tmp_path: Path):
    root, chosen, kills = copied(large, tmp_path), random.Random(1), 0
    (root / "tsds.toml").write_text(as_toml(settings_of(root)))
    command = [sys.executable, "-m", "tsds_stream", "run", "--once", "--config", str(root / "tsds.toml")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    while True:
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as process:
            assert process.stderr is not None
            process.stderr.readline()  # it has started
            if kills < 5:
                time.sleep(chosen.uniform(0.0, 0.3))
                process.kill()
            status = process.wait()
        inspect(root)
        if status == 0:
            break
        kills += 1
    assert inspect(root).same_as(expected[large])


def as_toml(settings: dict[str, Any]) -> str:
    """TOML writes plain values as JSON does."""
    parts = []
    for section, content in settings.items():
        for table in content if isinstance(content, list) else [content]:
            parts.append(f"[[{section}]]" if isinstance(content, list) else f"[{section}]")
            parts += [f"{name} = {json.dumps(value)}" for name, value in table.items()]
    return "\n".join(parts)


def test_kills_while_documents_arrive(forker: Forker, large: Path, tmp_path: Path):
    root, chosen = copied(large, tmp_path), random.Random(2)
    assert forker.run(settings_of(root, sigma=0.5), batch=64) == 0
    undisturbed = inspect(root)
    shutil.rmtree(root / "selection")
    shutil.rmtree(root / "state")
    folder = root / "documents"
    whole = {name: (folder / name).read_bytes() for name in ("a.jsonl", "c.jsonl")}
    for name in whole:
        (folder / name).write_bytes(b"")
    settings = settings_of(root, follow=True, sigma=0.5)
    given = dict.fromkeys(whole, 0)
    while any(given[name] < len(whole[name]) for name in whole):
        forker.start(settings)
        for _ in range(chosen.randrange(1, 4)):
            name = chosen.choice(list(whole))
            end = given[name] + chosen.randrange(20_000)  # mostly in the middle of a line
            with (folder / name).open("ab") as file:
                file.write(whole[name][given[name] : end])
            given[name] = min(end, len(whole[name]))
            time.sleep(chosen.uniform(0.02, 0.2))
        forker.kill()
        assert forker.wait() == KILLED
        inspect(root)
    deadline = time.monotonic() + PATIENCE
    while not inspect(root).same_as(undisturbed):  # what looks quiet may be a start that takes its time
        assert time.monotonic() < deadline
        forker.start(settings)
        await_quiet(root)
        forker.kill(signal.SIGTERM)
        assert forker.wait() in (ExitStatus.OK, -signal.SIGTERM), "where it had not begun, the signal kills it"


def await_quiet(root: Path) -> None:
    """Wait until nothing has been committed for a while."""
    commit, last, quiet = root / "selection" / "commit.json", b"", 0
    while quiet < 12:
        now = commit.read_bytes() if commit.exists() else b""
        quiet = quiet + 1 if now == last and now else 0
        last = now
        time.sleep(0.05)


@pytest.mark.parametrize("how", ["before", "after", "torn"])
def test_death_between_any_two_file_operations(
    forker: Forker, small: Path, expected: dict[Path, Outcome], tmp_path: Path, how: str
):
    root, chosen, deaths = copied(small, tmp_path), random.Random(how), 0
    at = 1
    while True:
        status = forker.run(settings_of(root), at=at, how=how)
        inspect(root)
        if status == 0:
            break
        assert status == KILLED
        deaths += 1
        # A restart begins with few operations; each death comes a little later than where the last one got to.
        at = chosen.randrange(1, 12 + 6 * deaths)
        assert deaths < 60, "it never gets anywhere"
    assert deaths > 5
    assert inspect(root).same_as(expected[small])


@pytest.mark.parametrize("at", [2, 9, 23, 40, 77, 150])
def test_a_full_disk_ends_the_run_with_a_sentence_and_loses_nothing(
    forker: Forker, small: Path, expected: dict[Path, Outcome], tmp_path: Path, at: int
):
    root, message = copied(small, tmp_path), tmp_path / "message"
    assert forker.run(settings_of(root), at=at, how="full", message=str(message)) == ExitStatus.STATE
    assert "no space is left" in message.read_text()
    inspect(root)
    assert forker.run(settings_of(root)) == ExitStatus.OK
    assert inspect(root).same_as(expected[small])


@pytest.mark.parametrize("size", [4096, 30_000, 100_000])
def test_files_that_may_not_grow_end_the_run_and_lose_nothing(
    forker: Forker, small: Path, expected: dict[Path, Outcome], tmp_path: Path, size: int
):
    root, message = copied(small, tmp_path), tmp_path / "message"
    status = forker.run(settings_of(root), file_size=size, message=str(message))
    assert status == ExitStatus.STATE, "an operating system that refuses is no defect"
    assert message.read_text().count(".") >= 1
    inspect(root)
    assert forker.run(settings_of(root)) == ExitStatus.OK
    assert inspect(root).same_as(expected[small])


@pytest.mark.parametrize("seed", range(6))
def test_damaged_checkpoints_are_noticed(
    forker: Forker, large: Path, expected: dict[Path, Outcome], tmp_path: Path, seed: int
):
    root, chosen = copied(large, tmp_path), random.Random(seed)
    forker.start(settings_of(root))
    checkpoints = root / "state" / "checkpoints"
    while not list(checkpoints.glob("0*[0-9]")):
        time.sleep(0.01)
    time.sleep(chosen.uniform(0.0, 0.5))
    forker.kill()
    assert forker.wait() in (KILLED, ExitStatus.OK), "at any moment, and a quick run may have ended by then"
    victims = sorted(checkpoints.glob("0*[0-9]"))
    for victim in victims if seed % 3 == 0 else victims[-1:]:
        file = chosen.choice(sorted(path for path in victim.rglob("*") if path.is_file() and path.stat().st_size))
        data = bytearray(file.read_bytes())
        if seed % 2:
            data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
        else:
            del data[chosen.randrange(len(data)) :]
        file.write_bytes(data)
    assert forker.run(settings_of(root)) == ExitStatus.OK
    assert inspect(root).same_as(expected[large])
