"""A real Prometheus with our rules, for the length of a test, and its HTTP API."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tests.monitoring.deploy.files import PROMETHEUS, RULES, Json
from tests.monitoring.prometheus import tool
from tests.patience import PATIENCE

T = TypeVar("T")
ATTEMPTS = 5  # at a port that was free a moment ago


class Prometheus:
    """Asks a Prometheus that runs; targets may come and go.

    Args:
        url: where it listens.
        targets: the file that names what it scrapes.
    """

    def __init__(self, url: str, targets: Path) -> None:
        self.url = url
        self._targets = targets

    def scrape(self, *addresses: str) -> None:
        """From now on, these; returns when each has been scraped."""
        told = self._targets.with_suffix(".new")
        told.write_text(json.dumps([{"targets": list(addresses)}]))
        told.replace(self._targets)
        eventually(lambda: {one["metric"]["instance"] for one in self.query("up == 1")} >= set(addresses))

    def query(self, expression: str) -> list[Json]:
        """The series that an expression gives now."""
        return list(self.ask("query", query=expression)["result"])

    def firing(self) -> list[Json]:
        """The labels of the alerts that it reports as firing."""
        return [one["labels"] for one in self.ask("alerts")["alerts"] if one["state"] == "firing"]

    def ask(self, what: str, **parameters: str) -> Any:
        """What the API answers; an expression that it refuses is an `AssertionError` with its words."""
        body = urllib.parse.urlencode(parameters).encode() or None
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{what}", data=body, timeout=PATIENCE) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{parameters}: {error.read().decode()}") from error


def hastened(rules: Json) -> Json:
    """The same rules for those who cannot wait: what must last for minutes, must last for a second.

    Nothing else is changed: expressions, thresholds and the ranges that they look back over are those of the file.
    """
    groups = [
        {**group, "rules": [{**rule, **({"for": "1s"} if "for" in rule else {})} for rule in group["rules"]]}
        for group in rules["groups"]
    ]
    return {"groups": groups}


@contextmanager
def prometheus(folder: Path) -> Iterator[Prometheus]:
    """Scrapes and evaluates once per second, under the job of `deploy/prometheus/prometheus.yml`."""
    folder.mkdir(parents=True)
    shipped = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    job = {"job_name": shipped["scrape_configs"][0]["job_name"], "file_sd_configs": [{"files": ["targets.json"]}]}
    (folder / "targets.json").write_text("[]")
    (folder / "rules.yml").write_text(yaml.safe_dump(hastened(yaml.safe_load(RULES.read_text()))))
    settings = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    whole = {"global": settings, "rule_files": ["rules.yml"], "scrape_configs": [job]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(whole))
    for _ in range(ATTEMPTS):
        process, url = _start(folder)
        try:
            if _ready(process, url):
                yield Prometheus(url, folder / "targets.json")
                return
        finally:
            process.terminate()
            process.wait(PATIENCE)
    raise AssertionError((folder / "log").read_text()[-4000:])


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [tool("prometheus"), "--config.file=prometheus.yml", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address={address}", "--log.level=warn"]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log), f"http://{address}"


def _ready(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=5):
                return True
        except OSError:
            time.sleep(0.05)
    return False


def eventually(what: Callable[[], T], timeout: float = PATIENCE) -> T:
    """The first true value."""
    deadline = time.monotonic() + timeout
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)
    return found


def vanishes(what: Callable[[], object], timeout: float = PATIENCE) -> None:
    """Returns when nothing is left of it."""
    deadline = time.monotonic() + timeout
    while left := what():
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
