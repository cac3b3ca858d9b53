"""A terminal with a person in front of it: a process under a pseudo-terminal, and what stands on its screen."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from types import TracebackType

import pyte

from tests.cli_cases import ROOT
from tests.patience import PATIENCE


class Screen:
    """Runs a command under a terminal of so many columns and rows; `raw` is all that it has written."""

    def __init__(
        self, words: list[str], columns: int = 100, rows: int = 24, give: tuple[int, ...] = (), **environment: str
    ) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self._master, slave = os.openpty()
        self._size(columns, rows)
        ours = {name: value for name, value in os.environ.items() if not name.startswith("TSDS_STREAM_")}
        for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            ours.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=give,
            cwd=ROOT,
            env={**ours, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environment},
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    @property
    def lines(self) -> list[str]:
        """What is written on it, without empty lines."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def cursor_is_shown(self) -> bool:
        return not self._screen.cursor.hidden

    def resize(self, columns: int, rows: int = 24) -> None:
        """The person pulls at the window."""
        self._size(columns, rows)
        self._screen.resize(rows, columns)

    def wait(self, looks_right: Callable[[list[str]], bool]) -> list[str]:
        """Until the screen looks right; fails with the screen when it never does."""
        end = time.monotonic() + PATIENCE
        while not looks_right(self.lines):
            assert time.monotonic() < end, "\n".join(self.lines)
            self._read()
        return self.lines

    def wait_for(self, text: str) -> list[str]:
        """Until some line has this text."""
        return self.wait(lambda lines: any(text in line for line in lines))

    def ended(self) -> int:
        """Wait for the end of the process; its exit code."""
        end = time.monotonic() + PATIENCE
        while self._read() or self.process.poll() is None:
            assert time.monotonic() < end, "\n".join(self.lines)
        return self.process.returncode

    def _read(self) -> bool:
        """Take what was written, if anything comes within a moment."""
        if not select.select([self._master], [], [], 0.05)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other side is closed
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
