"""Daemons without the start of an interpreter: a process that has everything imported forks one per command line.

`python -m tests.kafka.forker` reads lines of JSON, `{"argv": [...], "log": path, "control": directory}`, and answers
with events. Each child is a real process that runs the real command line. Faults are put into it through files in its
control directory, so that a test can begin and end them at any moment:

    disk.full     every write finds no space           disk.slow      every write and sync takes a tenth of a second
    embedder.out  the embedder does not answer
    aim           {"call", "when": "before" | "after", "nth"}: the child comes to a halt at this call of the client
                  library (or operation of the disk), writes `fired`, and goes on when `go` is there
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parent.parent.parent
HALT = 60.0  # seconds that a child waits at the place it was aimed at


class Daemon:
    """A process that was started; `status` is None while it runs, and minus the signal that killed it."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log
        self.began = time.monotonic()
        self.ended = 0.0
        self.status: int | None = None
        self._over = threading.Event()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; to a process that is gone: nothing."""
        if self.status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, timeout: float) -> int:
        """Its exit status. Raises `TimeoutError`."""
        if not self._over.wait(timeout):
            raise TimeoutError(f"the process still runs after {timeout:.0f} s:\n{self.said()[-3000:]}")
        assert self.status is not None
        return self.status

    def said(self) -> str:
        """What it wrote to its log."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def over(self, status: int) -> None:
        """It has ended."""
        self.ended = time.monotonic()
        # The watchdog writes the stacks of threads that go on running; the interpreter may crash over that.
        self.status = 1 if status == -signal.SIGSEGV and "Timeout (" in self.said() else status
        self._over.set()


class Forker:
    """Starts daemons, and tells when they end. A context: what is left when it ends is killed."""

    def __init__(self) -> None:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kafka.forker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        self._daemons: dict[int, Daemon] = {}
        self._lock = threading.Lock()
        self._started: list[int] = []
        self._news = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._listen, name="forker", daemon=True)
        self._thread.start()

    def start(self, argv: list[str], log: Path, control: Path | None = None) -> Daemon:
        """Run `tsds-stream` with these arguments; what it says goes to `log`."""
        assert self._process.stdin is not None
        with self._news:
            line = {"argv": argv, "log": str(log), "control": None if control is None else str(control)}
            self._process.stdin.write(json.dumps(line) + "\n")
            self._process.stdin.flush()
            assert self._news.wait_for(lambda: self._started, PATIENCE), "the forker does not answer"
            daemon = self._daemons[self._started.pop()]
            daemon.log = log
            return daemon

    def run(self, argv: list[str], log: Path, timeout: float = PATIENCE) -> int:
        """Start and wait for the exit status."""
        return self.start(argv, log).wait(timeout)

    def close(self) -> None:
        for daemon in self._daemons.values():
            daemon.signal(signal.SIGKILL)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __enter__(self) -> Forker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            with self._news:
                if "started" in event:
                    self._daemons[event["started"]] = Daemon(event["started"], Path(os.devnull))
                    self._started.append(event["started"])
                else:
                    self._daemons.pop(event["ended"]).over(event["status"])
                self._news.notify_all()


# -- in the child -------------------------------------------------------------------------------------------------


class Faults:
    """What the control directory asks for."""

    def __init__(self, control: Path) -> None:
        self._control = control
        self._lock = threading.Lock()

    def asked(self, name: str) -> bool:
        return (self._control / name).exists()

    def reached(self, call: str, when: str) -> None:
        """Come to a halt here if this is what the test aims at."""
        aim = self._control / "aim"
        if not aim.exists():
            return
        with self._lock:
            try:
                wanted = json.loads(aim.read_text())
            except (FileNotFoundError, ValueError):
                return
            if (wanted["call"], wanted["when"]) != (call, when):
                return
            if wanted["nth"] > 1:
                write_whole(aim, json.dumps({**wanted, "nth": wanted["nth"] - 1}))
                return
            aim.unlink(missing_ok=True)
        write_whole(self._control / "fired", str(os.getpid()))
        until = time.monotonic() + HALT
        while not self.asked("go") and time.monotonic() < until:
            time.sleep(0.0005)

    def wrap(self, owner: type, method: str, call: str) -> None:
        """Come by before and after every call of a method."""
        original: Callable[..., Any] = getattr(owner, method)

        @wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.reached(call, "before")
            result = original(*args, **kwargs)
            self.reached(call, "after")
            return result

        setattr(owner, method, wrapped)


def write_whole(path: Path, text: str) -> None:
    """In one step for whoever looks."""
    beside = path.with_name(path.name + ".partial")
    beside.write_text(text)
    beside.replace(path)


def inject(control: Path) -> None:
    """Make this process one that can be hurt."""
    from tsds_stream.durable import Data, Disk
    from tsds_stream.embedding.base import EmbedderUnavailable, EmbedResult
    from tsds_stream.embedding.hashing import HashingEmbedder
    from tsds_stream.engine import engine
    from tsds_stream.engine.backfill import Backfill
    from tsds_stream.streams.kafka.client import Consumer, Producer

    faults = Faults(control)
    for method in ("init_transactions", "begin", "flush", "send_offsets", "commit"):
        faults.wrap(Producer, method, method)
    for method in ("committed", "beginnings"):
        faults.wrap(Consumer, method, method)

    faults.wrap(Backfill, "step", "backfill")

    class HurtDisk(Disk):
        def write(self, path: Path, parts: Iterable[Data]) -> None:
            self._come_by(path)
            super().write(path, parts)
            faults.reached("disk", "after")

        def append(self, path: Path, offset: int, data: Data) -> None:
            self._come_by(path)
            super().append(path, offset, data)

        def sync(self, path: Path) -> None:
            if faults.asked("disk.slow"):
                time.sleep(0.1)

        def sync_directory(self, path: Path) -> None:
            self.sync(path)

        def sync_all(self, files: Any, directories: Any) -> None:
            self.sync(control)

        def replace(self, source: Path, target: Path) -> None:
            faults.reached("disk", "before")
            super().replace(source, target)

        def _come_by(self, path: Path) -> None:
            faults.reached("disk", "before")
            if faults.asked("disk.slow"):
                time.sleep(0.1)
            if faults.asked("disk.full"):
                raise OSError(errno.ENOSPC, "No space left on device", str(path))

    embed_all = HashingEmbedder.embed_all

    def patient(self: HashingEmbedder, texts: Any) -> EmbedResult:
        if faults.asked("embedder.out"):
            raise EmbedderUnavailable("the test has switched the embedder off", retry_after=0.1)
        return embed_all(self, texts)

    HashingEmbedder.embed_all = patient  # type: ignore[method-assign]
    engine.Disk = HurtDisk  # type: ignore[misc]
    # Times that nobody can set, shortened: targets are looked at often, positions are committed often.
    hasty = partial(engine.Options, targets_interval=0.2, positions_interval=1.0, heartbeat_interval=2.0)
    engine.Options = hasty  # type: ignore[assignment,misc]


def live(plan: dict[str, Any]) -> int:
    """The life of a child."""
    import faulthandler

    from tsds_stream import cli

    log = os.open(plan["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.enable()
    explained = cli._explained

    def told(error: Exception) -> Any:
        status, sentence = explained(error)
        if status == 1:  # a defect: say where
            traceback.print_exception(error)
        return status, sentence

    cli._explained = told
    if plan["control"] is not None:
        inject(Path(plan["control"]))
    return cli.main(plan["argv"])


def serve() -> None:
    """Fork a child per line of the input; tell its process id, and later its exit status."""
    import orjson  # noqa: F401 - children find these imported

    import tsds_stream.cli
    import tsds_stream.commands.run
    import tsds_stream.config
    import tsds_stream.engine
    import tsds_stream.streams.kafka.client  # noqa: F401

    wake, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    left = b""
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            tell({"ended": pid, "status": os.waitstatus_to_exitcode(status)})
        if 0 not in ready:
            continue
        data = os.read(0, 65536)
        if not data:
            return
        *lines, left = (left + data).split(b"\n")
        for line in lines:
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.close(wake)
                    os.close(alarm)
                    status = live(json.loads(line))
                finally:
                    sys.stderr.flush()
                    os._exit(status)
            tell({"started": child})


def tell(event: dict[str, int]) -> None:
    os.write(1, json.dumps(event).encode() + b"\n")


if __name__ == "__main__":
    serve()
