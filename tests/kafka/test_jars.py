"""What is run as the broker, and what is said where it cannot be run."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.kafka import jars
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one jar `a.jar` that is on the list; the folder of the jars."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(jars, "BROKERS", tmp_path / "brokers")
    folder = tmp_path / "cache" / "tsds-stream" / "kafka" / "3.9" / "jars"
    folder.mkdir(parents=True)
    (folder / "a.jar").write_bytes(b"right")
    listed = tmp_path / "brokers" / "3.9" / "jars.sha256"
    listed.parent.mkdir(parents=True)
    listed.write_text(f"{hashlib.sha256(b'right').hexdigest()}  a.jar\n")
    return folder


def test_a_jar_that_changed_since_it_was_verified_is_refused(cache: Path) -> None:
    assert jars.libraries("3.9") == cache
    (cache / "a.jar").write_bytes(b"wrong")
    digest = hashlib.sha256(b"wrong").hexdigest()
    for _ in range(2):  # and stays refused
        with pytest.raises(jars.BrokerError, match=rf"a\.jar has sha256 {digest}, listed is .* Delete that folder"):
            jars.libraries("3.9")


def test_a_jar_too_many_or_too_few_is_refused(cache: Path) -> None:
    (cache / "a.jar").rename(cache / "b.jar")
    with pytest.raises(jars.BrokerError, match=r"a\.jar is missing; b\.jar is not on the list"):
        jars.libraries("3.9")


def test_another_list_has_everything_verified_again(cache: Path, tmp_path: Path) -> None:
    jars.libraries("3.9")
    listed = tmp_path / "brokers" / "3.9" / "jars.sha256"
    listed.write_text(listed.read_text().replace(listed.read_text()[:4], "0000"))
    with pytest.raises(jars.BrokerError, match="listed is 0000"):
        jars.libraries("3.9")


def test_an_unknown_version_names_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSDS_TEST_KAFKA_VERSION", "2.8")
    with pytest.raises(jars.BrokerError, match=r"TSDS_TEST_KAFKA_VERSION=2\.8: there are 3\.9 and 4\.1"):
        jars.chosen_version()


def run_without_java(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TSDS_", "PYTEST_", "JAVA"))}
    test = "tests/kafka/test_broker.py::test_topics_are_made_written_read_and_deleted"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={folder / 'base'}", test]
    surrounding = {**inherited, "PATH": "/nowhere", **environment}
    return subprocess.run(command, cwd=ROOT, env=surrounding, capture_output=True, text=True, timeout=PATIENCE)


def test_without_java_the_tests_are_skipped_and_one_line_says_what_to_install(tmp_path: Path) -> None:
    done = run_without_java(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 tests with Kafka were NOT RUN: no Java is installed: install a JRE >= 17" in done.stdout


def test_without_java_the_tests_fail_where_everything_must_be_installed(tmp_path: Path) -> None:
    done = run_without_java(tmp_path, TSDS_CI="1")
    assert done.returncode == 1, done.stdout
    assert "no Java is installed: install a JRE >= 17" in done.stdout


def test_what_a_killed_process_had_started_is_killed_too() -> None:
    program = (
        "import os, signal, subprocess; from tests.kafka import reaper\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True, stdout=subprocess.DEVNULL)\n"
        "reaper.watch(child.pid); print(child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    group = int(done.stdout)
    deadline = time.monotonic() + PATIENCE
    while alive(group):
        assert time.monotonic() < deadline, "it lives"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not asked for its status does not."""
    asked = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return asked.stdout.strip()[:1] not in ("", "Z")
