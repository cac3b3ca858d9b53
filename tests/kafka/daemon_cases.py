"""What the stories of a daemon have in common: a world on the shared broker, and the ways to look at how it ended."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kafka.audit import Json, check_revision
from tests.kafka.forker import Daemon, Forker
from tests.kafka.topics import Topics
from tests.kafka.world import COLOURS, DIMENSION, GAME_TARGETS, GAMES, Names, World
from tests.patience import PATIENCE


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    with Forker() as forker:
        yield forker


@pytest.fixture
def world(
    broker: Topics, forker: Forker, fresh: Callable[[str], str], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[World]:
    """Topics of its own, three examples and no document."""
    own = ("documents", "targets", "selection", "revisions", "dead-letters", "group", "id")
    world = World(tmp_path / "world", broker, forker, Names(*map(fresh, own)))
    world.feeder.change_targets_every = 1 << 30  # only when a test says so
    world.feeder.first_targets()
    yield world
    for daemon in world.daemons:
        daemon.signal(signal.SIGKILL)
    world.close()


def await_line(daemon: Daemon, *words: str, timeout: float = PATIENCE) -> str:
    """The first line of its log with all these words."""
    deadline = time.monotonic() + timeout
    while True:
        ended = daemon.status is not None
        for line in daemon.said().splitlines():
            if all(word in line for word in words):
                return line
        assert not ended, f"it ended with {daemon.status} and never said {words}:\n{daemon.said()[-4000:]}"
        assert time.monotonic() < deadline, f"it never said {words}:\n{daemon.said()[-4000:]}"
        time.sleep(0.01)


def stop(daemon: Daemon) -> None:
    """SIGTERM and a clean end."""
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE) == 0, daemon.said()


def kill(daemon: Daemon) -> None:
    daemon.signal(signal.SIGKILL)
    assert daemon.wait(PATIENCE) == -signal.SIGKILL, daemon.said()


def with_documents(world: World, count: int, settings: Json | None = None) -> Daemon:
    """A daemon that has published everything of so many more records."""
    world.feeder.send_some(count)
    world.feeder.flush()
    daemon = world.start(settings)
    world.await_caught_up(world.feeder.ledger)
    return daemon


def numbers(world: World) -> dict[str, int]:
    """The last revision of each set, when the witness has seen all of them."""
    return world.settle()


def check_last(world: World, colours: Json = COLOURS, games: Json = GAMES) -> None:
    """Both selections are those of a batch over everything that was sent."""
    numbers(world)
    check_revision(world.feeder.ledger, world.published("colours"), colours, DIMENSION, None)
    check_revision(world.feeder.ledger, world.published("games"), games, DIMENSION, GAME_TARGETS)


def changed(world: World, **parameters: Any) -> Json:
    """The settings of the world with other parameters of its first set."""
    first, *others = world.settings["target_sets"]
    return {**world.settings, "target_sets": [{**first, **parameters}, *others]}
