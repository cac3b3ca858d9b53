"""The limit for calls that may hang."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.patience import PATIENCE
from tsds_stream.streams.kafka.watchdog import deadline


class Recorder:
    def __init__(self) -> None:
        self.calls: list[float | None] = []

    def arm(self, seconds: float) -> None:
        self.calls.append(seconds)

    def disarm(self) -> None:
        self.calls.append(None)


def test_the_limit_ends_with_the_block_even_when_that_fails():
    alarm = Recorder()
    with pytest.raises(KeyError), deadline(60, "wait", alarm):
        raise KeyError
    with deadline(30, "wait", alarm):
        assert alarm.calls[-1] == 30
    assert alarm.calls[-1] is None


def test_limits_do_not_nest():
    alarm = Recorder()
    with deadline(60, "wait", alarm):
        with pytest.raises(AssertionError, match="one timer"), deadline(60, "wait", alarm):
            pass
        assert alarm.calls[-1] == 60
    with deadline(60, "wait", alarm):
        pass


def test_progress_begins_the_limit_anew_but_not_every_time(monkeypatch):
    alarm, now = Recorder(), [100.0]
    monkeypatch.setattr("tsds_stream.streams.kafka.watchdog.time.monotonic", lambda: now[0])
    with deadline(60, "wait", alarm) as limit:
        limit.renew()
        assert alarm.calls.count(60) == 1
        now[0] += 1.0
        limit.renew()
        assert alarm.calls.count(60) == 2


def test_a_process_that_hangs_ends_with_code_1_a_sentence_and_its_stacks():
    code = (
        "import logging, threading\n"
        "logging.basicConfig()\n"
        "from tsds_stream.streams.kafka.watchdog import deadline\n"
        "def hangs(): threading.Event().wait()\n"
        "with deadline(1.3, 'publish'): hangs()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert "no progress for 1 seconds while trying to publish: this process ends with code 1" in done.stderr
    assert "Timeout (0:00:01.3" in done.stderr
    assert "in hangs" in done.stderr
