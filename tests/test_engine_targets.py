"""Targets that change while documents arrive: withdrawn at once, late ones once the past has been read for them."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest

from tests.engine_fakes import CrashItem, Do, doc, gone, target
from tests.engine_stories import CONFIG, EAGER, from_scratch, story
from tests.patience import PATIENCE
from tests.test_engine import TARGETS, lively, some_documents
from tsds_stream.embedding.precomputed import PrecomputedEmbedder
from tsds_stream.engine.checkpointing import Checkpointer
from tsds_stream.engine.engine import _adopt_dimension
from tsds_stream.engine.late import LateWork
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.records import Target
from tsds_stream.selection.settings import SelectorConfig

LATE = target("late", "dog bird stone")


def with_a_late_target(items, at, targets, directory, **more):
    """The file changes when the reader comes to `at`."""
    told = story([], directory, TARGETS, **more)
    change = Do(lambda: told.targets["default"].write(targets))
    told.world.items[:] = [*items[:at], change, *items[at:]]
    return told


@pytest.mark.parametrize("at", [5, 30, 59])
def test_a_late_target_counts_as_if_it_had_always_been_there(tmp_path, at):
    told = with_a_late_target(lively(), at, [*TARGETS, LATE], tmp_path)
    told.tell()
    assert told.last()["targets_active"] == 4
    assert told.last()["exact"]
    assert told.digests()[-1] == from_scratch(lively(), [*TARGETS, LATE], CONFIG)


def test_a_late_target_is_pending_until_the_past_has_been_read(tmp_path):
    told = with_a_late_target(lively(200), 100, [*TARGETS, LATE], tmp_path)
    told.tell()
    seen = [p.revision["targets_active"] for p in told.world.history["default"]]
    assert seen == sorted(seen)
    assert set(seen) == {3, 4}


def test_a_withdrawn_target_leaves_at_once(tmp_path):
    told = with_a_late_target(lively(), 30, TARGETS[:2], tmp_path)
    engine = told.tell()
    assert told.last()["targets_active"] == 2
    assert told.digests()[-1] == from_scratch(lively(), TARGETS[:2], CONFIG)
    assert engine.statistics.backfilled == 0


def test_a_changed_target_is_a_new_one_in_its_place(tmp_path):
    changed = [TARGETS[0], target("t2", "bird bird dog"), TARGETS[2]]
    told = with_a_late_target(lively(), 30, changed, tmp_path)
    told.tell()
    assert told.digests()[-1] == from_scratch(lively(), changed, CONFIG)


def test_a_changed_weight_needs_no_reading(tmp_path):
    changed = [target("t1", "red cat", weight=5.0), *TARGETS[1:]]
    told = with_a_late_target(lively(), 30, changed, tmp_path)
    told.tell()
    assert told.digests()[-1] == from_scratch(lively(), changed, CONFIG)


def test_targets_that_changed_between_two_runs_are_taken_up(tmp_path):
    told = story(lively(), tmp_path, TARGETS)
    told.tell()
    told.targets["default"].write([TARGETS[1], LATE])
    engine = told.tell()
    assert engine.statistics.backfilled > 0
    assert told.digests()[-1] == from_scratch(lively(), [TARGETS[1], LATE], CONFIG)


@pytest.mark.parametrize("crash", [31, 40, 60])
def test_a_crash_while_the_past_is_read(tmp_path, crash):
    told = with_a_late_target(lively(), 30, [*TARGETS, LATE], tmp_path)
    told.world.items.insert(crash, CrashItem())
    told.tell()
    assert told.crashes >= 1
    assert told.last()["targets_active"] == 4
    assert told.digests()[-1] == from_scratch(lively(), [*TARGETS, LATE], CONFIG)


@pytest.mark.parametrize("before", [0, 8])
def test_texts_of_documents_that_only_a_late_target_wants_are_kept(tmp_path, before):
    near = [doc(f"near{i}", f"zebra quagga {i}") for i in range(8)]
    config = SelectorConfig(budget=20, max_k=8, slack=0, sigma=0.8)
    items, late = [*some_documents(80), *near[:before]], target("late", "zebra quagga")
    told = with_a_late_target(items, len(items), [*TARGETS, late], tmp_path, config=config)
    told.world.items += [*near[before:], *some_documents(30, seed=8)]
    engine = told.tell()
    assert {one.id for one in near} & set(told.world.committed.members["default"])
    assert engine.statistics.missing_payloads == 0


def test_a_source_that_cannot_rewind_makes_late_targets_provisional(tmp_path):
    told = with_a_late_target(lively(80), 60, [*TARGETS, LATE], tmp_path, rewindable=False)
    told.tell()
    assert told.last()["targets_active"] == 4
    assert "provisional" in told.last()["reasons"]
    assert "the past cannot be read again: rows stay provisional while short" in told.log.events("warning")


def test_more_late_targets_while_the_past_is_read_wait_their_turn(tmp_path):
    told = with_a_late_target(lively(120), 60, [*TARGETS, LATE], tmp_path)
    later = [*TARGETS, LATE, target("later", "cat sky")]
    told.world.items.insert(62, Do(lambda: told.targets["default"].write(later)))
    told.tell()
    assert told.last()["targets_active"] == 5
    assert told.digests()[-1] == from_scratch(lively(120), later, CONFIG)


def test_all_late_targets_withdrawn_again_while_the_past_is_read(tmp_path):
    told = with_a_late_target(lively(120), 60, [*TARGETS, LATE], tmp_path)
    told.world.items.insert(62, Do(lambda: told.targets["default"].write(TARGETS)))
    told.tell()
    assert told.last()["targets_active"] == 3
    assert told.digests()[-1] == from_scratch(lively(120), TARGETS, CONFIG)


def test_a_late_target_without_a_vector_is_refused_and_the_stream_goes_on(tmp_path):
    told = with_a_late_target(lively(), 30, [*TARGETS, target("bad", "poison")], tmp_path)
    told.tell()
    assert "changed targets cannot be used" in told.log.events("warning")
    assert told.digests()[-1] == from_scratch(lively(), TARGETS, CONFIG)


def test_a_first_target_without_a_vector_ends_the_start_with_a_sentence(tmp_path):
    told = story(lively(), tmp_path, [*TARGETS, target("bad", "poison")])
    with pytest.raises(CommandError, match="'bad': the text is poison") as caught:
        told.engine().run()
    assert caught.value.status is ExitStatus.INPUT


def test_rows_that_ran_short_are_refilled_from_the_past(tmp_path):
    config = SelectorConfig(budget=4, max_k=8, slack=2, sigma=0.8, min_distance=None, refill="auto")
    documents = some_documents(80)
    chosen = [doc(d.id, deleted=True) for d in documents[:40]]
    told = story([*documents, *chosen], tmp_path, TARGETS, config)
    told.tell()
    assert told.last()["exact"]
    assert told.digests()[-1] == from_scratch([*documents, *chosen], TARGETS, config)


def test_a_refill_does_not_drown_in_documents_that_are_gone(tmp_path):
    config = SelectorConfig(budget=4, max_k=8, slack=2, sigma=0.8, refill="auto")
    documents = some_documents(150)
    items = [*documents, *(gone(one.id) for one in documents[:130])]
    told = story(items, tmp_path, TARGETS, config, batch=25)
    told.tell()
    assert told.last()["exact"]
    assert told.digests()[-1] == from_scratch(items, TARGETS, config)


def test_a_refill_that_cannot_help_ends(tmp_path):
    config = SelectorConfig(budget=4, max_k=8, slack=0, sigma=0.8, refill="auto")
    near = [doc(f"d{i:03d}", f"red cat {i}") for i in range(100)]
    items = [*near, *(doc(one.id, "bird") for one in near)]  # new versions: the past pushes them off the shortlist
    told = story(items, tmp_path, [target("t", "red cat")], config, batch=25)
    told.tell()
    assert told.last()["size"] >= 1


def test_the_length_of_shortlists_survives_the_loss_of_all_checkpoints(tmp_path):
    """It goes by the number of targets at the creation of the set, and densities go by it."""
    config = SelectorConfig(budget=200, spread=4.0, sigma=0.8)
    told = with_a_late_target(lively(80), 30, TARGETS[:1], tmp_path, config=config)
    told.tell()
    created = config.shortlist_length(len(TARGETS))
    assert told.last()["max_k"] == created != config.shortlist_length(1)
    shutil.rmtree(tmp_path / "checkpoints")
    told.world.items += lively(90)[80:]
    told.tell()
    assert told.last()["targets_active"] == 1
    assert told.last()["max_k"] == created


def test_what_was_read_again_is_kept_although_a_checkpoint_is_just_being_written(tmp_path, monkeypatch):
    """Otherwise a crash would make the late target pending once more, which had been published as active."""
    options = replace(EAGER, checkpoint_interval=1e9)
    told = with_a_late_target(lively(300), 20, [*TARGETS, LATE], tmp_path, options=options)
    finished = threading.Event()
    told.world.items.insert(100, Do(lambda: finished.wait(PATIENCE)))  # documents come after it, too
    finish, start, busy = LateWork._finish, Checkpointer.start, Checkpointer.busy.fget
    looks, saved = iter([True, True]), []

    def told_when_finished(self, *, complete):
        finish(self, complete=complete)
        finished.set()

    def noted(self, manifest, *more):
        saved.append(manifest)
        start(self, manifest, *more)

    monkeypatch.setattr(LateWork, "_finish", told_when_finished)
    monkeypatch.setattr(Checkpointer, "busy", property(lambda self: finished.is_set() and next(looks, busy(self))))
    monkeypatch.setattr(Checkpointer, "start", noted)
    told.tell()
    between = [one for one in saved if one["positions"]["item"] < len(told.world.items)]
    assert [len(manifest["sets"]["default"]["declared"]) for manifest in between] == [3, 4]


def test_a_bad_example_of_a_stream_of_examples_holds_up_nobody_elses(tmp_path):
    told = with_a_late_target(lively(), 30, [*TARGETS, LATE, target("bad", "poison")], tmp_path)
    told.targets["default"].tolerant = True
    told.tell()
    assert "changed targets cannot be used" in told.log.events("warning")
    assert told.digests()[-1] == from_scratch(lively(), [*TARGETS, LATE], CONFIG)


def test_a_bad_example_of_a_stream_of_examples_does_not_end_a_start(tmp_path):
    wide = Target("a-wide", embedding=np.ones(3, np.float32))
    told = story(lively(), tmp_path, [wide, *TARGETS, target("bad", "poison")])
    told.targets["default"].tolerant = True
    told.tell()
    assert "targets cannot be used" in told.log.events("warning")
    assert told.digests()[-1] == from_scratch(lively(), TARGETS, CONFIG)
    told.targets["default"].write([*TARGETS, target("bad", "red sea")])  # somebody mends it
    told.world.items.append(doc("one-more", "sea sky"))
    told.tell()
    assert told.last()["targets_active"] == 4


def test_vectors_without_a_model_have_the_length_of_most_examples():
    embedder = PrecomputedEmbedder()
    listed = [Target(str(i), embedding=np.ones(length, np.float32)) for i, length in enumerate((3, 8, 8))]
    _adopt_dimension(embedder, {"default": listed})
    assert embedder.dimension == 8
