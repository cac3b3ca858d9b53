"""A daemon on a real broker under forty faults, and one after the other where a fault deserves a test of its own.

Afterwards every revision number is there once, each revision is the batch result at its positions, the dead letters are
the poison records, no reader is held up, and a witness that is not our code has seen nothing but whole revisions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka.broker import Broker
from tests.kafka.chaos import Chaos, OneBroker
from tests.kafka.faults import SECOND, ZOMBIE, seed_of_the_day, some_faults
from tests.kafka.forker import Forker
from tests.kafka.world import World

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

FAULTS = 40


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    with Forker() as forker:
        yield forker


def test_forty_faults_lose_nothing_and_repeat_nothing(own_broker: Broker, forker: Forker, tmp_path: Path) -> None:
    seed = seed_of_the_day()
    print(f"the seed is {seed}: TSDS_CHAOS_SEED={seed} does the same again")
    world = World(tmp_path / "world", own_broker, forker, seed=seed)
    chaos = Chaos(world, OneBroker(own_broker), seed)
    print(chaos.run(some_faults(FAULTS, seed), say=print))
    world.close()
    print(dict(chaos.seen))
    assert chaos.seen["missed aims"] <= 3, dict(chaos.seen)
    assert {ZOMBIE.name, SECOND.name} <= chaos.seen.keys()
    numbers = {name: world.witness.number(name) for name in ("colours", "games")}
    assert min(numbers.values()) > FAULTS / 2, f"revisions {numbers}; the seed is {seed}"


def test_an_outage_while_the_past_is_read_for_a_late_target_leaves_nothing_provisional(
    own_broker: Broker, forker: Forker, tmp_path: Path
) -> None:
    world = World(tmp_path / "world", own_broker, forker)
    chaos = Chaos(world, OneBroker(own_broker), seed=0)
    world.feeder.change_targets_every = 1 << 30
    world.feeder.first_targets()
    world.feeder.send_some(5000)
    world.feeder.flush()
    chaos.supervisor.start()
    world.await_caught_up(world.feeder.ledger)
    for nth, text in ((1, "stone moon"), (4, "pawn bird")):
        chaos.aim("backfill", "after", nth)
        world.feeder.set_target(f"late{nth}", text)
        world.feeder.flush()
        assert chaos.await_hit()
        own_broker.kill()
        chaos.go()
        own_broker.start()
        world.await_caught_up(world.feeder.ledger)
    assert chaos.supervisor.stop() == 0
    assert world.published("colours")["targets_active"] == 5
    world.audit(world.feeder.ledger)
    world.close()
