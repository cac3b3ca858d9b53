"""What `deploy/` says agrees with the program: commands, options, settings, exit codes, times, paths."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.patience import PATIENCE
from tsds_stream import __version__
from tsds_stream.cli import COMMANDS, command_parser
from tsds_stream.config import load_settings
from tsds_stream.demo.place import Place
from tsds_stream.engine.options import Options
from tsds_stream.exit_status import ExitStatus
from tsds_stream.units import Seconds

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("tsds-stream")}
DOCKERFILE = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
FINAL = DOCKERFILE.rpartition("\nFROM ")[2]  # the stage that is shipped
UNIT = (DEPLOY / "systemd" / "tsds-stream@.service").read_text()
HOME = "/var/lib/tsds-stream"
CONFIGURATION = "/etc/tsds-stream/tsds.toml"
CONFIGURATIONS = [DEPLOY / "compose.toml", *sorted((DEPLOY / "examples").glob("*.toml"))]
TEXTS = [DEPLOY / "README.md", *CONFIGURATIONS, *sorted((DEPLOY / "systemd").iterdir())]


def instruction(name: str, text: str = FINAL) -> str:
    """The last instruction of this name, without the name."""
    return [line for line in text.splitlines() if line.startswith(f"{name} ")][-1].removeprefix(f"{name} ").strip()


def of_unit(key: str) -> str:
    return re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)[-1]


def understood(words: list[str]) -> bool:
    """The program knows this command and all its options; raises what it would say otherwise."""
    assert words[0] in COMMANDS, words
    command_parser(words[0])[0].parse_args(words[1:])
    return True


def commands_in(path: Path) -> list[list[str]]:
    """What a reader is told to type, in the code blocks of Markdown and in indented comments, from the command on."""
    text = path.read_text()
    if path.suffix == ".md":
        text = "\n".join(re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    lines = re.findall(r"^(?:#  +)?(?:docker compose .* |\S*/)?tsds-stream (?!-)(.*)$", text, re.MULTILINE)
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.mark.parametrize("name", OURS)
def test_the_program_understands_the_command_of_each_container(name: str):
    assert understood(SERVICES[name]["command"])


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_the_program_understands_each_command_that_a_reader_would_type(path: Path):
    for words in commands_in(path):
        assert understood(words)


def test_the_image_runs_what_the_unit_runs():
    entry = [*json.loads(instruction("ENTRYPOINT")), *json.loads(instruction("CMD"))]
    unit = of_unit("ExecStart").replace("%i", "tsds").split()
    assert [Path(unit[0]).name, *unit[1:]] == entry
    assert str(Path(unit[0]).parent) in instruction("ENV").partition("PATH=")[2].split(":")[0]
    assert understood(entry[1:])
    assert SERVICES["tsds-stream"]["command"] == entry[1:]


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_a_configuration_is_accepted_and_keeps_its_state_where_image_and_unit_let_it(path: Path):
    settings = load_settings(path, environment={})
    assert settings.source.kind == settings.sink.kind == "kafka"
    # Relative: it is the volume of a container, and a unit's own directory, whatever the unit is called.
    assert settings.state.directory.rstrip("/") == json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])[-1]


def test_containers_find_their_configuration_and_nothing_but_the_volume_to_write_to():
    assert CONFIGURATION in instruction("CMD")
    assert instruction("WORKDIR") == HOME
    assert json.loads(instruction("VOLUME")) == [HOME]
    for service in OURS.values():
        assert service["read_only"] is True
        assert all(volume.split(":")[1] == HOME for volume in service.get("volumes", ()))
        assert all(config["target"] == CONFIGURATION for config in service.get("configs", ()))
        assert (CONFIGURATION in service["command"]) == ("configs" in service)
    assert COMPOSE["configs"] == {"settings": {"file": "compose.toml"}}
    assert of_unit("WorkingDirectory") == f"{HOME}/%i"
    assert of_unit("StateDirectory") == "tsds-stream/%i"


def test_containers_wait_for_services_and_use_volumes_that_exist():
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= set(SERVICES)
        for other, how in service.get("depends_on", {}).items():
            ends = SERVICES[other].get("restart") == "no"
            assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy")
        assert {volume.split(":")[0] for volume in service.get("volumes", ())} <= set(COMPOSE["volumes"])


def test_the_producers_send_what_the_demonstration_leaves_behind():
    place = Place(Path("demo"))
    assert SERVICES["texts"]["command"][-1] == str(place.root)
    assert SERVICES["targets"]["command"][1] == str(place.targets)
    assert SERVICES["documents"]["command"][1] == str(place.documents)


def test_the_containers_reach_the_broker_by_the_name_that_it_gives_out():
    settings = load_settings(DEPLOY / "compose.toml", environment={})
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INTERNAL://{settings.kafka.bootstrap_servers}" in advertised.split(",")
    port = advertised.rpartition(":")[2]
    assert SERVICES["kafka"]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_only_what_a_restart_heals_is_restarted():
    kept_down = {ExitStatus(int(code)) for code in of_unit("RestartPreventExitStatus").split()}
    assert kept_down == {ExitStatus.USAGE, ExitStatus.INPUT, ExitStatus.FENCED}
    assert of_unit("Restart") == SERVICES["tsds-stream"]["restart"] == "on-failure"
    assert of_unit("StartLimitIntervalSec") == "0"


def test_nobody_is_killed_before_the_time_for_leaving_is_over():
    from pydantic import TypeAdapter

    grace = TypeAdapter(Seconds).validate_python(SERVICES["tsds-stream"]["stop_grace_period"])
    assert min(grace, float(of_unit("TimeoutStopSec"))) > Options().shutdown
    assert instruction("STOPSIGNAL") == "SIGTERM"


def test_the_image_is_small_in_rights_and_contents():
    assert instruction("USER") == "10001:10001"
    assert "--uid 10001" in FINAL
    assert "--gid 10001" in FINAL
    assert "'.[kafka,monitoring,parquet]'" in DOCKERFILE
    assert "HNSWLIB_NO_NATIVE=1" in DOCKERFILE
    assert not re.search(r"torch|transformer|loader", DOCKERFILE)
    assert not re.search(r"\b(apt-get|pip|g\+\+)\b", FINAL)
    for name in ("ENTRYPOINT", "CMD", "VOLUME"):
        assert isinstance(json.loads(instruction(name)), list)


def test_every_base_image_and_the_version_are_pinned():
    pins = dict(re.findall(r"^ARG (\w+)=(\S+)$", DOCKERFILE, re.MULTILINE))
    assert re.fullmatch(r"3\.\d+\.\d+-bookworm", pins["PYTHON"])
    assert pins["PYTHON_SLIM"] == pins["PYTHON"].replace("-", "-slim-")
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:${PYTHON}", "python:${PYTHON_SLIM}"}
    assert pins["VERSION"] == __version__
    assert {service["image"] for service in OURS.values()} == {f"tsds-stream:{__version__}"}
    pom = (ROOT / "tests" / "kafka" / "brokers" / "3.9" / "pom.xml").read_text()
    assert SERVICES["kafka"]["image"].removeprefix("apache/kafka:") in re.findall(r"<version>(.+?)</version>", pom)


def test_what_the_image_is_built_from_is_not_ignored():
    taken = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert {source for line in copied for source in line.split()} == taken
    assert all((ROOT / source).exists() for source in taken)


# A process that holds the lock as a run does, with a second thread that always moves.
HOLDER = """
import sys, threading, time
from pathlib import Path
from tsds_stream.lock import WriterLock
def busy():
    while True: time.sleep(0.01)
lock = WriterLock(Path(sys.argv[1]) / "lock", "it")
threading.Thread(target=busy, daemon=True).start()
print("holds", flush=True)
threading.Event().wait() if sys.argv[2] == "hangs" else busy()
"""


@contextmanager
def held(state: Path, how: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(state), how], stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"holds\n"
        yield
    finally:
        process.kill()
        process.communicate()


def health(state: Path, seconds: float = 0.3) -> tuple[int, str]:
    command = [sys.executable, "-I", "-S", str(DEPLOY / "healthcheck.py"), str(state), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the health check reads /proc, which is of Linux")
class TestHealth:
    def test_a_loop_that_turns_is_alive(self, tmp_path: Path):
        with held(tmp_path, "works"):
            assert health(tmp_path, seconds=PATIENCE) == (0, "alive\n")  # at its first move

    def test_a_main_thread_that_hangs_is_not_alive_although_other_threads_are(self, tmp_path: Path):
        with held(tmp_path, "hangs"):
            deadline = time.monotonic() + PATIENCE
            while (found := health(tmp_path))[0] == 0:  # it may be on its way to where it hangs
                assert time.monotonic() < deadline
        assert (found[0], "has not moved for 0.3 s" in found[1]) == (1, True)

    def test_a_state_that_nobody_holds_is_not_alive(self, tmp_path: Path):
        assert health(tmp_path)[0] == 1
        with held(tmp_path, "works"):
            pass
        status, said = health(tmp_path)  # the file still names the process that held it
        assert (status, "no process holds" in said) == (1, True)
