"""`tsds-stream status` beside a daemon that reads from Kafka and publishes there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.cli_cases import tsds
from tests.kafka.daemon_cases import forker, kill, stop, with_documents, world
from tests.kafka.world import World
from tests.patience import PATIENCE

__all__ = ["forker", "world"]  # fixtures

pytestmark = pytest.mark.kafka


def await_file(path: Path) -> None:
    """It is written within a second or two, and at the start of a run."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_daemon_is_healthy_until_it_is_killed_and_again_when_it_was_started_anew(world: World) -> None:
    state = Path(world.settings["state"]["directory"])

    def said() -> tuple[int, str]:
        done = tsds("status", "--directory", state)
        return done.returncode, done.stdout

    daemon = with_documents(world, 200)
    world.await_caught_up(world.feeder.ledger)
    await_file(state / "status.json")
    code, words = said()
    assert code == 0, words
    assert words.startswith("Healthy: ")
    kill(daemon)
    code, words = said()
    assert code == 2, words
    assert "ended without a word" in words
    again = world.start()
    world.await_publication()
    assert said()[0] == 0
    stop(again)
    code, words = said()
    assert code == 0, words
    assert words.startswith("Healthy: stopped on request ")
