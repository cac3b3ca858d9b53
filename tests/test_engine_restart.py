"""Crashes at every point of the loop: revisions stay consecutive, and the last digest is that of an undisturbed run."""

from __future__ import annotations

import shutil

import pytest

from tests.engine_fakes import CrashError, CrashItem, WordEmbedder, doc, target
from tests.engine_stories import CONFIG, EAGER, from_scratch, join_checkpoint_threads, story
from tests.test_engine import TARGETS, lively, some_documents
from tsds_stream.engine import Options
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.selection.settings import SelectorConfig

ITEMS = lively(60)
LAZY = Options(interval=0.0, checkpoint_interval=3600.0, targets_interval=3600.0)


def undisturbed(directory, config=CONFIG):
    told = story(ITEMS, directory / "undisturbed", TARGETS, config)
    told.tell()
    return told.digests()[-1]


@pytest.mark.parametrize("options", [EAGER, LAZY], ids=["with checkpoints", "without checkpoints"])
@pytest.mark.parametrize("at", [0, 1, 13, 30, 59, 60])
def test_a_crash_while_reading(tmp_path, at, options):
    told = story([*ITEMS[:at], CrashItem(), *ITEMS[at:]], tmp_path, TARGETS, options=options)
    told.tell()
    assert told.crashes == 1
    told.check()
    assert told.digests()[-1] == undisturbed(tmp_path)


def test_many_crashes_while_reading(tmp_path):
    items = [one for i, item in enumerate(ITEMS) for one in ([CrashItem(), item] if i % 5 == 3 else [item])]
    told = story(items, tmp_path, TARGETS)
    told.tell()
    assert told.crashes == 12
    told.check()
    assert told.digests()[-1] == undisturbed(tmp_path)


@pytest.mark.parametrize("options", [EAGER, LAZY], ids=["with checkpoints", "without checkpoints"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_crash_around_a_commit(tmp_path, when, number, options):
    told = story(ITEMS, tmp_path, TARGETS, options=options)

    def crash(now, commit):
        if (now, commit) == (when, number):
            raise CrashError

    told.world.at_commit = crash
    told.tell()
    assert told.crashes == 1
    told.check()
    assert told.digests()[-1] == undisturbed(tmp_path)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_crash_around_a_checkpoint(tmp_path, when, number):
    told = story(ITEMS, tmp_path, TARGETS, crash_at_save=(when, number))
    told.tell()
    assert told.crashes <= 1
    told.check()
    assert told.digests()[-1] == undisturbed(tmp_path)


def test_what_was_published_is_not_published_again(tmp_path):
    told = story(ITEMS, tmp_path, TARGETS)
    told.tell()
    count = len(told.digests())
    for options in (EAGER, LAZY):
        told.options = options
        told.tell()
    shutil.rmtree(tmp_path / "checkpoints")
    told.tell()
    assert len(told.digests()) == count
    assert told.world.dead_letters == []


def test_dead_letters_are_committed_once(tmp_path):
    items = [doc("a"), doc("p1", "poison"), CrashItem(), doc("b"), doc("p2", "poison"), CrashItem(), doc("c")]
    told = story(items, tmp_path, TARGETS, batch=1, options=LAZY)
    told.tell()
    assert [letter.key for letter in told.world.dead_letters] == [b"p1", b"p2"]


def test_more_documents_after_a_finished_run(tmp_path):
    told = story(some_documents(30), tmp_path, TARGETS)
    told.tell()
    told.world.items += some_documents(30, seed=9)
    told.tell()
    told.check()
    assert told.digests()[-1] == from_scratch(told.world.items, TARGETS, CONFIG)


def test_a_calibrated_sigma_survives_the_loss_of_all_checkpoints(tmp_path):
    config = SelectorConfig(budget=4, max_k=6, slack=2)
    told = story(some_documents(30), tmp_path, TARGETS, config)
    told.tell()
    count = len(told.digests())
    shutil.rmtree(tmp_path / "checkpoints")
    told.tell()
    assert len(told.digests()) == count, "the replay ends with the same sigma"
    # Documents that came after it was frozen would have moved it.
    told.world.items += some_documents(30, seed=5)
    told.tell()
    count = len(told.digests())
    shutil.rmtree(tmp_path / "checkpoints")
    told.tell()
    assert len(told.digests()) == count


def test_a_damaged_checkpoint_gives_its_place_to_the_one_before(tmp_path):
    told = story([*ITEMS, CrashItem()], tmp_path, TARGETS)
    with pytest.raises(CrashError):
        told.engine().run()
    join_checkpoint_threads()
    newest = max((tmp_path / "checkpoints").iterdir())
    victim = next(path for path in sorted(newest.rglob("*.npy")) if path.stat().st_size > 200)
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(data)
    told.tell()
    assert "checkpoint left aside" in told.log.events("warning")
    told.check()
    assert told.digests()[-1] == undisturbed(tmp_path)


def test_a_checkpoint_ahead_of_the_sink_is_not_used(tmp_path):
    told = story(ITEMS, tmp_path, TARGETS)
    told.tell()
    last = told.digests()[-1]
    world = told.world
    world.committed.positions, world.history = None, {}
    world.committed.revisions.clear()
    world.committed.members.clear()
    told.tell()
    assert "checkpoint left aside" in told.log.events("warning")
    told.check()
    assert told.digests()[-1] == last


def test_another_embedder_over_old_state_is_refused(tmp_path):
    told = story(ITEMS, tmp_path, TARGETS)
    told.tell()
    told.embedder = lambda: WordEmbedder(name="others")
    with pytest.raises(CommandError, match="others") as caught:
        told.engine().run()
    assert caught.value.status is ExitStatus.STATE


@pytest.mark.parametrize(
    "change", [{"budget": 3}, {"alpha": 0.3}, {"sigma": 0.5}, {"mode": "coordinated"}, {"seed": 5}]
)
def test_other_parameters_are_applied_to_the_state_without_reading_again(tmp_path, change):
    told = story(ITEMS, tmp_path, TARGETS)
    told.tell()
    told.configs["default"] = SelectorConfig(**{**CONFIG.model_dump(), **change})
    engine = told.tell()
    assert engine.statistics.documents_read == 0
    assert told.digests()[-1] == from_scratch(ITEMS, TARGETS, told.configs["default"])


def test_a_run_of_before_goes_on_with_the_default_from_its_state(tmp_path):
    """Its settings said nothing of the mode, so its documents were drawn with the probabilities of the plan."""
    before = SelectorConfig(**{**CONFIG.model_dump(), "mode": "coordinated", "min_distance": None})
    told = story(ITEMS, tmp_path, TARGETS, before)
    told.tell()
    drawn, number = told.digests()[-1], told.last()["revision"]
    told.configs["default"] = CONFIG
    told.tell()
    assert told.last()["revision"] == number + 1
    assert told.digests()[-1] == from_scratch(ITEMS, TARGETS, CONFIG) != drawn
    told.tell()
    assert told.last()["revision"] == number + 1


@pytest.mark.parametrize("change", [{"max_k": 9}, {"slack": 20}, {"scope": "corpus", "capacity": 1000}])
def test_what_the_state_cannot_give_is_read_again(tmp_path, change):
    told = story(ITEMS, tmp_path, TARGETS)
    told.tell()
    numbers = len(told.digests())
    told.configs["default"] = SelectorConfig(**{**CONFIG.model_dump(), **change})
    engine = told.tell()
    assert engine.statistics.replayed == len(ITEMS)
    assert "the stream is read again from its beginning" in told.log.events("warning")
    assert told.digests()[-1] == from_scratch(ITEMS, TARGETS, told.configs["default"])
    assert len(told.digests()) <= numbers + 1


def test_a_new_target_set_sees_the_whole_stream(tmp_path):
    told = story(ITEMS, tmp_path, TARGETS)
    told.tell()
    count = len(told.digests())
    other = story([], tmp_path, [target("o", "dog bird")])
    told.targets["other"], told.configs["other"] = (
        other.targets["default"],
        SelectorConfig(budget=3, max_k=16, slack=16, sigma=0.7),
    )
    told.tell()
    told.check("other")
    assert len(told.digests()) == count
