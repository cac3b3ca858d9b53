"""A daemon that starts again: what it goes on from, what it publishes then, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from tests.kafka.audit import committed_offsets
from tests.kafka.daemon_cases import (
    await_line,
    changed,
    check_last,
    forker,
    kill,
    numbers,
    stop,
    with_documents,
    world,
)
from tests.kafka.world import COLOURS, World
from tests.patience import PATIENCE
from tsds_stream.exit_status import ExitStatus

__all__ = ["forker", "world"]  # fixtures
pytestmark = pytest.mark.kafka


def checkpoints(world: World) -> list[Path]:
    return sorted((Path(world.settings["state"]["directory"]) / "checkpoints").glob("0*[0-9]"))


def test_a_restart_goes_on_from_its_checkpoint_and_finds_nothing_to_publish(world: World) -> None:
    stop(with_documents(world, 300))
    before = numbers(world)
    again = world.start()
    world.await_publication()  # a heartbeat
    assert "resumed=true" in await_line(again, "started")
    assert "replaying" not in again.said()
    stop(again)
    assert numbers(world) == before
    world.audit(world.feeder.ledger)


def test_a_checkpoint_that_is_behind_is_brought_up_to_date_in_silence(world: World) -> None:
    world.settings["state"]["checkpoint_interval"] = 600.0
    daemon = with_documents(world, 200)
    await_line(daemon, "checkpoint written")
    world.feeder.send_some(400)
    world.feeder.flush()
    world.await_caught_up(world.feeder.ledger)
    kill(daemon)
    before = numbers(world)
    again = world.start()
    replayed = await_line(again, "replayed documents=")
    assert int(replayed.rpartition("=")[2]) > 100
    world.await_publication()
    kill(again)
    assert numbers(world) == before
    check_last(world)


def test_offsets_that_an_operator_has_moved_back_are_read_again_from_there(world: World) -> None:
    stop(with_documents(world, 400))
    before = numbers(world)
    group, topic = world.names.group, world.names.documents
    at = committed_offsets(world.servers, group, topic)
    back = [TopicPartition(topic, number, offset // 2) for number, offset in at.items()]
    admin = world.servers.admin()
    admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, back)])[group].result(PATIENCE)
    world.witness.may_go_back = True
    again = world.start()
    await_line(again, "warning", "were moved since the last publication")
    await_line(again, "checkpoint left aside", "ahead")
    world.await_caught_up(world.feeder.ledger)
    stop(again)
    assert numbers(world)["colours"] > before["colours"]
    check_last(world)


def test_group_offsets_that_are_gone_are_replaced_by_the_mark_of_the_last_publication(world: World) -> None:
    stop(with_documents(world, 200))
    before = numbers(world)
    admin = world.servers.admin()
    admin.delete_consumer_groups([world.names.group])[world.names.group].result(PATIENCE)
    again = world.start()
    await_line(again, "warning", "has no committed offsets")
    world.await_publication()
    assert "replaying" not in again.said()
    stop(again)
    assert numbers(world) == before
    assert committed_offsets(world.servers, world.names.group, world.names.documents) == world.feeder.ledger.ends


def test_a_topic_that_was_made_again_is_refused_until_somebody_accepts_the_gap(world: World) -> None:
    stop(with_documents(world, 300))
    name = world.names.documents
    world.servers.delete_topic(name)
    world.servers.create_topic(name, 4)
    world.witness.may_go_back = True
    refused = world.start()
    assert refused.wait(PATIENCE) == ExitStatus.INPUT
    assert "deleted" in refused.said()
    assert "--accept-gap" in refused.said()
    world.feeder.send_some(200)
    world.feeder.flush()
    accepting = world.start(None, "--accept-gap")
    before = world.publications
    while not (gaps := world.witness.marks[-1]["positions"].get("gaps")):
        before = world.await_publication(before)
    assert {gap["reason"] for gap in gaps} == {"recreated"}
    stop(accepting)
    again = world.start()  # what was accepted once stays accepted
    world.await_publication()
    stop(again)


def test_another_embedder_is_refused(world: World) -> None:
    stop(with_documents(world, 100))
    refused = world.start({**world.settings, "embedder": {"kind": "hashing", "dimension": 32}})
    assert refused.wait(PATIENCE) == ExitStatus.STATE
    assert "embedder" in refused.said()


@pytest.mark.parametrize("parameters", [{"budget": 10}, {"alpha": 0.01}, {"sigma": 0.3}, {"spread": 3.0}])
def test_other_parameters_make_a_new_revision_without_reading_anything_again(
    world: World, parameters: dict[str, float]
) -> None:
    stop(with_documents(world, 300))
    before = numbers(world)
    settings = changed(world, **parameters)
    again = world.start(settings)
    await_line(again, "parameters changed", "colours")
    await_line(again, "published", "colours")
    assert "repl" not in again.said()
    stop(again)
    assert numbers(world)["colours"] > before["colours"]
    check_last(world, {**COLOURS, **parameters})


@pytest.mark.parametrize("parameters", [{"max_k": 300}, {"scope": "corpus", "capacity": 100_000}])
def test_where_the_state_does_not_suffice_the_stream_is_read_again_and_it_says_so(
    world: World, parameters: dict[str, int]
) -> None:
    stop(with_documents(world, 300))
    before = numbers(world)
    again = world.start(changed(world, **parameters))
    await_line(again, "warning", "the stream is read again from its beginning")
    await_line(again, "replayed documents=")
    await_line(again, "published", "colours")
    stop(again)
    assert numbers(world)["colours"] > before["colours"]
    check_last(world, {**COLOURS, **parameters})


def test_with_every_checkpoint_damaged_the_stream_is_replayed_in_silence(world: World) -> None:
    stop(with_documents(world, 300))
    before = numbers(world)
    assert checkpoints(world)
    for folder in checkpoints(world):
        victim = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    again = world.start()
    await_line(again, "checkpoint left aside")
    await_line(again, "replayed documents=")
    world.await_publication()
    kill(again)
    assert numbers(world) == before
    check_last(world)


def test_without_a_checkpoint_and_without_the_old_records_it_says_what_is_lost(world: World) -> None:
    stop(with_documents(world, 200))
    shutil.rmtree(world.settings["state"]["directory"])
    name = world.names.documents
    place = TopicPartition(name, 0, world.feeder.ledger.ends[0] // 2)
    admin = world.servers.admin()
    for future in admin.delete_records([place]).values():
        future.result(PATIENCE)
    refused = world.start()
    assert refused.wait(PATIENCE) == ExitStatus.INPUT
    assert f"{name}/0 began at 0 and now begins at {place.offset}" in refused.said()
    assert "--accept-gap" in refused.said()


def test_a_checkpoint_makes_old_records_unnecessary(world: World) -> None:
    stop(with_documents(world, 200))
    before = numbers(world)
    ends = world.feeder.ledger.ends
    admin = world.servers.admin()
    deleted = admin.delete_records([TopicPartition(world.names.documents, number, end) for number, end in ends.items()])
    for future in deleted.values():
        future.result(PATIENCE)
    again = with_documents(world, 200)
    stop(again)
    assert numbers(world)["colours"] > before["colours"]
    check_last(world)
