"""A child process that is fed line by line without ever being waited for, and whose log joins the log of the run."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import sysconfig
import termios
import threading
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from select import POLLIN, POLLOUT, poll
from time import monotonic
from typing import IO, Final

import orjson

import tsds_stream
from tsds_stream.logs import Log
from tsds_stream.records import Json

_MODULE: Final = "tsds_stream.monitoring.serve"
_PIPE: Final = 1 << 20  # bytes: documents go through in one piece, also while the reader is busy
_LEAVES_WITHIN: Final = 3.0  # seconds
_ONE_THREAD: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class ChildProcess:
    """The process; it leaves when its input ends.

    Args:
        configuration: the first line.
        clock: monotonic, in seconds.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, configuration: bytes, log: Log, clock: Callable[[], float] = monotonic) -> None:
        self._log = log
        self._clock = clock
        # A session of its own, so that Ctrl-C reaches the run alone; "/" holds no modules that hide others.
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env=_environment(),
            start_new_session=True,
        )
        self._stdin, self._stdout = _pipe(self._process.stdin), _pipe(self._process.stdout)
        os.set_blocking(self._stdin.fileno(), False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):  # the user's share of pipe memory may be used up
                fcntl.fcntl(self._stdin.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)
        self._rest = memoryview(configuration + b"\n")
        self._moved = clock()
        self._unread = 0  # bytes that were in the pipe when it was looked at last, and those written since then
        self._said = b""
        self.answered = False
        self._words = threading.Thread(target=self._listen, name="tsds-monitor-words", daemon=True)
        self._words.start()
        self._write(0.0)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def answer(self, seconds: float) -> Json | None:
        """What it said first, a line of JSON; None: nothing within so many seconds, or it ended without a word."""
        until = monotonic() + seconds
        while b"\n" not in self._said:
            self._write(0.0)
            if not _wait(self._stdout, POLLIN, until - monotonic()):
                return None
            more = os.read(self._stdout.fileno(), 1 << 16)
            if not more:
                return None
            self._said += more
        self.answered = True
        answer: Json = orjson.loads(self._said.partition(b"\n")[0])
        return answer

    def give(self, line: bytes, seconds: float, patience: float) -> str | None:
        """Write a line, unless the one before is still under way; returns what is the matter with the process.

        Args:
            seconds: that it may take now.
            patience: seconds without reading after which the process is stuck.
        """
        code = self._process.poll()
        if code is not None:
            return f"it has ended with code {code}" if code >= 0 else f"it was ended by signal {-code}"
        self._notice_reading()
        until = monotonic() + seconds
        if self._write(seconds):
            self._rest = memoryview(line + b"\n")
            self._write(until - monotonic())
        if self._clock() - self._moved > patience:
            return f"it has read nothing for {patience:.0f} s"
        return None

    def close(self) -> None:
        """End its input, and it leaves."""
        self._stdin.close()
        try:
            self._process.wait(_LEAVES_WITHIN)
        except subprocess.TimeoutExpired:
            self._log.warning("the status page did not end by itself")
        self.kill()

    def kill(self) -> None:
        """End it at once."""
        self._stdin.close()
        self._process.kill()
        self._process.wait()
        self._words.join(_LEAVES_WITHIN)
        self._stdout.close()

    def _write(self, seconds: float) -> bool:
        """Write what is left of a line; whether all of it is written."""
        until = monotonic() + seconds
        while self._rest:
            try:
                written = os.write(self._stdin.fileno(), self._rest)
            except BlockingIOError:
                if not _wait(self._stdin, POLLOUT, until - monotonic()):
                    return False
                continue
            except BrokenPipeError:
                return False  # it has ended, or is about to: that is noticed before the next line
            self._rest = self._rest[written:]
            self._unread += written
        return True

    def _notice_reading(self) -> None:
        """A process that is stopped reads nothing, while the pipe takes what is written for minutes."""
        unread = _unread(self._stdin)
        if unread is None:
            unread = len(self._rest)  # all that is known: the pipe is full
        if not unread or unread < self._unread:
            self._moved = self._clock()
        self._unread = unread

    def _listen(self) -> None:
        """Pass its log lines on, and whatever else it may write to stderr."""
        write = {"debug": self._log.debug, "info": self._log.info, "error": self._log.error}
        with _pipe(self._process.stderr) as stderr:
            for line in iter(stderr.readline, b""):
                try:
                    fields = orjson.loads(line)
                    event, level = str(fields.pop("event")), fields.pop("level")
                    fields.pop("time")
                except (orjson.JSONDecodeError, AttributeError, KeyError):
                    event, level, fields = "status page", "warning", {"message": line.decode(errors="replace").rstrip()}
                write.get(level, self._log.warning)(event, **fields)


def _pipe(one: IO[bytes] | None) -> IO[bytes]:
    assert one is not None
    return one


def _unread(pipe: IO[bytes]) -> int | None:
    """Bytes that were written and not read yet; None where the system does not tell."""
    count = array("i", [0])
    try:
        fcntl.ioctl(pipe.fileno(), termios.FIONREAD, count)
    except OSError:
        return None
    return count[0]


def _wait(pipe: IO[bytes], event: int, seconds: float) -> bool:
    """Whether something can be written or read within so many seconds."""
    waiting = poll()
    waiting.register(pipe.fileno(), event)
    return bool(waiting.poll(max(0.0, seconds) * 1000))


def _environment() -> dict[str, str]:
    """Ours, so that the same modules are found wherever they come from; explanations use one core."""
    found = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1")}
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    package = str(Path(tsds_stream.__file__).resolve().parent.parent)
    if package not in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *paths}:
        paths.append(package)
    if paths:
        found["PYTHONPATH"] = os.pathsep.join(paths)
    return found
