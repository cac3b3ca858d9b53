"""One Kafka server process: formatted, started, awaited, killed, suspended, started again on the same data."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.kafka import reaper
from tests.kafka.jars import BrokerError, java, libraries
from tests.patience import PATIENCE

READY = "Kafka Server started"
# Small and quick to start: one collector thread, no optimising compiler.
JVM = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto")
LOGGING = {
    "log4j.rootLogger": "INFO, stdout",
    "log4j.appender.stdout": "org.apache.log4j.ConsoleAppender",
    "log4j.appender.stdout.layout": "org.apache.log4j.PatternLayout",
    "log4j.appender.stdout.layout.ConversionPattern": "%d{ISO8601} %p %m (%c)%n",
}


def free_port() -> int:
    """A port of the loopback interface that nobody listens on.

    Below the ports that the system gives to outgoing connections: otherwise the port of a killed broker could be taken
    before the broker is back, even by a client that connects to itself.
    """
    for _ in range(1000):
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise BrokerError("no free port between 20000 and 32000 on 127.0.0.1")


def write_properties(path: Path, settings: Mapping[str, object]) -> None:
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))


class Node:
    """A Kafka server with its folder: `server.properties`, `data/`, `server.log`.

    Args:
        folder: made when it is not there; the data stay in it until `discard`.
        version: of Apache Kafka, one of `jars.VERSIONS`.
        settings: of the server. The data folder is added.
        format_arguments: for the formatting of the storage (cluster id, SCRAM users).
    """

    def __init__(
        self, folder: Path, version: str, settings: Mapping[str, object], format_arguments: Sequence[str]
    ) -> None:
        self.folder = folder
        self.version = version
        self.log = folder / "server.log"
        self.took = 0.0  # seconds of the last start
        self._process: subprocess.Popen[bytes] | None = None
        self._read_from = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._properties = folder / "server.properties"
        write_properties(self._properties, {**settings, "log.dirs": folder / "data"})
        write_properties(folder / "log4j.properties", LOGGING)
        self._run = [java(), *JVM, f"-Dlog4j.configuration=file:{folder}/log4j.properties"]
        self._run += ["-Dorg.slf4j.simpleLogger.logFile=System.out", "-cp", f"{libraries(version)}/*"]
        if not (folder / "data").exists():
            self._format(format_arguments)

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the process; `await_ready` says when it serves."""
        if self.running:
            raise RuntimeError(f"the broker in {self.folder} runs already")
        self._read_from = self.log.stat().st_size if self.log.exists() else 0
        command = [*self._run, "kafka.Kafka", str(self._properties)]
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        reaper.watch(self._process.pid)

    def await_ready(self, timeout: float = PATIENCE) -> None:
        """Return when the server says that it serves.

        Raises:
            BrokerError: it ended, or did not say so in time; with the end of its log.
        """
        deadline = time.monotonic() + timeout
        while True:
            ended = not self.running  # asked before the log is read, so that nothing is overlooked
            with open(self.log, "rb") as log:
                log.seek(self._read_from)
                if READY.encode() in log.read():
                    return
            if ended:
                raise BrokerError(f"Kafka {self.version} ended while starting:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise BrokerError(f"Kafka {self.version} not ready after {timeout:.0f} s:\n{self.log_tail()}")
            time.sleep(0.02)

    def start(self, timeout: float = PATIENCE) -> None:
        """Start, also again on the same data and port, and wait until the server serves."""
        began = time.monotonic()
        self.launch()
        self.await_ready(timeout)
        self.took = time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, closed or said; what was suspended dies too."""
        self._signal(signal.SIGKILL)
        self._await_end(PATIENCE)

    def stop(self, timeout: float = 30.0) -> None:
        """SIGTERM: an orderly end; SIGKILL when that takes longer than the time given."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self._await_end(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def suspend(self) -> None:
        """SIGSTOP: connections stay open, nothing answers. Returns when the last of its threads stands still."""
        self._signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def discard(self) -> None:
        """Kill the process if it runs, and delete its data; the log and the settings stay."""
        if self.running:
            self.kill()
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def resident(self) -> int:
        """Bytes of memory that the process holds (Linux)."""
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def log_tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _format(self, arguments: Sequence[str]) -> None:
        command = [*self._run, "kafka.tools.StorageTool", "format", "-c", str(self._properties), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
        if done.returncode:
            raise BrokerError(f"the storage of Kafka {self.version} was not formatted: {done.stdout}{done.stderr}")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or not self.running:
            raise RuntimeError(f"the broker in {self.folder} does not run")
        return self._process

    def _signal(self, number: int) -> None:
        os.killpg(self._running().pid, number)

    def _await_end(self, timeout: float) -> None:
        assert self._process is not None
        self._process.wait(timeout)
        reaper.release(self._process.pid)
