"""The life of a daemon beside a broker: targets that change, signals, a second instance, and brokers that are away."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.kafka.broker import Broker
from tests.kafka.chaos import aim_at, await_hit
from tests.kafka.daemon_cases import await_line, check_last, forker, kill, numbers, stop, with_documents, world
from tests.kafka.forker import Forker
from tests.kafka.node import free_port
from tests.kafka.topics import Topics
from tests.kafka.world import Names, World, as_toml, settings_of
from tests.patience import PATIENCE
from tsds_stream.exit_status import ExitStatus

__all__ = ["forker", "world"]  # fixtures
pytestmark = pytest.mark.kafka


# -- targets ------------------------------------------------------------------------------------------------------


def test_a_late_target_counts_as_if_it_had_always_been_there(world: World) -> None:
    daemon = with_documents(world, 1000)
    before = numbers(world)["colours"]
    world.feeder.set_target("late", "stone moon")
    world.feeder.set_target("t0", "bird")
    world.feeder.withdraw_target("t1")
    world.feeder.flush()
    await_line(daemon, "re-reading finished", "colours")
    world.await_caught_up(world.feeder.ledger)
    stop(daemon)
    check_last(world)
    active = [record["targets_active"] for record in world.witness.records["colours"][before:]]
    assert active[-1] == 3
    assert min(active) < 3, "the late ones wait until the past was read for them"
    world.audit(world.feeder.ledger)


def test_an_example_may_be_withdrawn_while_the_past_is_read_for_another(world: World) -> None:
    daemon = with_documents(world, 4000)
    aim_at(world.control, "backfill", "after")
    world.feeder.set_target("late", "stone moon")
    world.feeder.flush()
    assert await_hit(world.control)
    world.feeder.withdraw_target("t1")
    world.feeder.flush()
    time.sleep(0.4 * world.slowness)  # another thread reads it; nothing tells of it
    (world.control / "go").touch()
    world.await_caught_up(world.feeder.ledger)
    stop(daemon)
    check_last(world)
    assert world.published("colours")["targets_active"] == 3
    world.audit(world.feeder.ledger)


def test_reading_the_past_for_a_late_target_is_resumed_after_a_kill(world: World) -> None:
    daemon = with_documents(world, 6000)
    aim_at(world.control, "backfill", "after", nth=3)
    world.feeder.set_target("late", "stone moon")
    world.feeder.flush()
    assert await_hit(world.control)
    kill(daemon)
    again = world.start()
    await_line(again, "re-reading finished", "colours")
    world.await_caught_up(world.feeder.ledger)
    stop(again)
    check_last(world)
    assert world.published("colours")["targets_active"] == 4
    world.audit(world.feeder.ledger)


# -- signals ------------------------------------------------------------------------------------------------------


def test_sigterm_publishes_what_was_read_and_leaves_with_0(world: World) -> None:
    world.settings["state"]["checkpoint_interval"] = 600.0  # a checkpoint publishes, too
    settings = {**world.settings, "publish": {"interval": 60.0}}
    last = ""
    for _ in range(10):
        daemon = with_documents(world, 200, settings)  # they are published with a heartbeat
        world.feeder.send_some(300)
        world.feeder.flush()
        time.sleep(0.5)  # they are being read; nothing tells of it before they are published
        stop(daemon)
        await_line(daemon, "leaving", "SIGTERM")
        last = daemon.said().partition("leaving")[2]
        if "published set=colours" in last:  # on a slow machine nothing was read yet, or there was another heartbeat
            break
    assert f"published set=colours revision={numbers(world)['colours']}" in last
    assert world.published("colours")["exact"]


def test_a_second_signal_leaves_at_once_and_loses_nothing(world: World) -> None:
    daemon = with_documents(world, 200)
    aim_at(world.control, "commit", "before")
    assert await_hit(world.control)
    daemon.signal(signal.SIGTERM)
    while daemon.status is None:  # two that come at the same time count as one
        time.sleep(0.1)
        daemon.signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE) == ExitStatus.INTERRUPTED
    world.feeder.send_some(100)
    world.feeder.flush()
    stop(with_documents(world, 100))
    check_last(world)
    world.audit(world.feeder.ledger)


# -- two of them --------------------------------------------------------------------------------------------------


def test_an_instance_that_is_fenced_off_leaves_with_its_own_code_and_names_who_took_over(world: World) -> None:
    first = with_documents(world, 100)
    second = world.second_instance()
    world.feeder.send_some(50)
    world.feeder.flush()
    assert first.wait(PATIENCE) == ExitStatus.FENCED
    assert f"process {second.pid} on" in first.said()
    assert "must not be started again" in first.said()
    world.await_caught_up(world.feeder.ledger)
    stop(second)
    world.audit(world.feeder.ledger)


# -- brokers ------------------------------------------------------------------------------------------------------


def test_a_broker_that_is_away_at_the_start_is_told_within_the_time_that_was_given(
    forker: Forker, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, Topics(f"127.0.0.1:{free_port()}"), Names())
    settings["kafka"]["startup_timeout"] = 2.0
    (tmp_path / "games.jsonl").write_text('{"text": "king"}\n')
    (tmp_path / "tsds.toml").write_text(as_toml(settings))
    log, began = tmp_path / "daemon.log", time.monotonic()
    assert forker.run(["run", "--config", str(tmp_path / "tsds.toml")], log) == ExitStatus.UNAVAILABLE
    assert time.monotonic() - began < 40, "a minute is what it takes without being told"
    assert settings["kafka"]["bootstrap_servers"] in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_broker_that_is_away_for_a_while_is_ridden_out(own_broker: Broker, forker: Forker, tmp_path: Path) -> None:
    world = World(tmp_path / "world", own_broker, forker)
    world.feeder.first_targets()
    world.feeder.send_some(100)
    world.feeder.flush()
    daemon = world.start(hurt=False)  # between two transactions for ten seconds from now on
    world.await_caught_up(world.feeder.ledger)
    own_broker.kill()
    own_broker.start()
    before = numbers(world)["colours"]
    world.feeder.send_some(100)
    world.feeder.flush()
    world.await_caught_up(world.feeder.ledger)
    assert daemon.status is None
    assert len(daemon.said()) < 30_000, "an outage fills no log"
    stop(daemon)
    assert numbers(world)["colours"] > before
    world.audit(world.feeder.ledger)
    world.close()


def test_everything_that_is_wrong_with_the_topics_is_told_at_once(world: World) -> None:
    names, servers = world.names, world.servers
    world.witness.stop()  # to it, topics that go are a fault
    for topic in (names.selection, names.revisions):
        servers.delete_topic(topic)
    servers.create_topic(names.selection, 1, {"cleanup.policy": "delete"})
    daemon = world.start()
    assert daemon.wait(PATIENCE) == ExitStatus.INPUT
    said = daemon.said()
    assert "2 things are wrong" in said
    assert f"--entity-name {names.selection} --add-config cleanup.policy=compact" in said
    assert names.revisions in said


# -- streams ------------------------------------------------------------------------------------------------------


def test_an_hour_of_documents_with_the_same_timestamp(world: World) -> None:
    for number in range(3600):
        world.feeder.document(f"same{number}", f"red cat {number}", timestamp=1_700_000_000_000)
    world.feeder.flush()
    stop(with_documents(world, 0))
    check_last(world)


def test_ten_thousand_copies_of_one_document(world: World) -> None:
    for number in range(10_000):
        world.feeder.document(f"copy{number}", "red cat king")
    world.feeder.flush()
    daemon = with_documents(world, 100)
    for number in range(0, 10_000, 3):
        world.feeder.retract(f"copy{number}")
    world.feeder.flush()
    world.await_caught_up(world.feeder.ledger)
    stop(daemon)
    check_last(world)
