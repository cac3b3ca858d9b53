"""A publisher in a process of its own that stops itself at a chosen call, to be killed or to become a zombie there.

`python -m tests.kafka.sink_child JSON` with {"bootstrap", "names", "call", "nth", "when", "timeout"}: publishes one
revision after what it finds, says "reached" and stops (SIGSTOP) before or after the nth such call within the
publishing; when it goes on and ends, the last line says how.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE
from tests.streams.kafka_publications import Story, positions
from tsds_stream.records import DeadLetter
from tsds_stream.streams.base import SinkError
from tsds_stream.streams.kafka.client import Producer
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.sink import KafkaSink
from tsds_stream.streams.kafka.startup import Clients

ROOT = Path(__file__).resolve().parent.parent.parent


class Child:
    """The process, seen from the test."""

    def __init__(self, bootstrap: str, names: dict[str, str], call: str, nth: int, when: str, timeout: float = 60.0):
        told = {"bootstrap": bootstrap, "names": names, "call": call, "nth": nth, "when": when, "timeout": timeout}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.kafka.sink_child", json.dumps(told)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "reached\n", self.process.communicate()[1]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def ended(self) -> tuple[int, dict[str, Any], str]:
        """Exit status, what it said at its end (empty: nothing), and its standard error."""
        out, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, json.loads(out or "{}"), errors


def stopping_producer(call: str, nth: int, when: str, active: list[bool]) -> type[Producer]:
    """A producer that stops the process at a call, once `active` says something."""
    seen = 0

    def stop() -> None:
        print("reached", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)

    def wrapped(self: Producer, *args: Any, **told: Any) -> Any:
        nonlocal seen
        seen += bool(active)
        here = bool(active) and seen == nth
        if here and when == "before":
            stop()
        result = original(self, *args, **told)
        if here and when == "after":
            stop()
        return result

    original = getattr(Producer, call)
    return type("StoppingProducer", (Producer,), {call: wrapped})


def publish(told: dict[str, Any]) -> dict[str, Any]:
    active: list[bool] = []
    producer = stopping_producer(told["call"], told["nth"], told["when"], active)
    sink = KafkaSink(
        Connection(told["bootstrap"], request_timeout=5, startup_timeout=60),
        **told["names"],
        transaction_timeout=told["timeout"],
        clients=Clients(producer=producer),
    )
    story = Story()
    story.follow(sink.recover())
    active.append(True)
    number = story.number + 1
    add = {f"d{number}-{n}": 0.5 for n in range(5)} | {"each": 1 / (number + 1)}
    remove = tuple(name for name in story.members if name.startswith(f"d{number - 2}-"))
    letter = DeadLetter("decode", f"of {number}", {"offset": number}, None, None, 1)
    try:
        sink.commit([story.publication(add, remove)], [letter], positions(number, topic=told["names"]["documents"]))
    except SinkError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"published": number}


if __name__ == "__main__":
    logging.basicConfig()
    print(json.dumps(publish(json.loads(sys.argv[1]))), flush=True)
