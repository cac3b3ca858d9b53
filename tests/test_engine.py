"""The engine as stories over a source and a sink in memory, with the real selector."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from tests.engine_fakes import Bad, CrashItem, Do, Wait, WordEmbedder, doc, gone, target, vector_of
from tests.engine_stories import CONFIG, EAGER, ListedTargets, from_scratch, story
from tsds_stream.engine import Options, loop
from tsds_stream.engine.stop import Stop
from tsds_stream.exit_status import ExitStatus
from tsds_stream.selection.settings import SelectorConfig

WORDS = ["red", "green", "blue", "cat", "dog", "bird", "sea", "sky", "stone"]
TARGETS = [target("t1", "red cat"), target("t2", "blue sea"), target("t3", "green stone sky")]


def some_documents(count, seed=0):
    chosen = random.Random(seed)
    return [doc(f"d{i:03d}", " ".join(chosen.choices(WORDS, k=3))) for i in range(count)]


def lively(count=60, seed=1):
    """New documents, new versions, copies, retractions, among them of what was never there."""
    chosen = random.Random(seed)
    items = []
    for i in range(count):
        kind = chosen.random()
        name = f"d{chosen.randrange(i + 1):03d}"
        text = " ".join(chosen.choices(WORDS, k=3))
        items.append(gone(name) if kind < 0.2 else doc(name if kind < 0.4 else f"d{i:03d}", text))
    return items


def test_every_revision_is_the_selection_of_its_prefix(tmp_path):
    told = story(lively(), tmp_path, TARGETS)
    told.tell()
    assert len(told.digests()) > 5
    told.check()


def test_the_end_of_the_input_is_published_at_once(tmp_path):
    told = story(some_documents(30), tmp_path, TARGETS, options=Options(interval=3600.0))
    told.tell()
    assert len(told.digests()) == 1
    assert told.last()["digest"] == from_scratch(some_documents(30), TARGETS, CONFIG)
    assert told.world.committed.positions == {"item": 30}


def test_the_first_and_the_last_revision_of_a_run_are_told_although_they_are_usual_ones(tmp_path):
    documents = some_documents(30)
    told = story(documents[:20], tmp_path, TARGETS, options=Options(interval=3600.0))
    told.tell()
    told.world.items.extend(documents[20:])
    told.tell()
    assert told.log.events("info").count("published") == len(told.digests()) == 2
    told.configs["default"] = CONFIG.model_copy(update={"budget": 5})
    told.tell()  # published at once, with nothing to add at the end
    assert told.log.events("info").count("published") == len(told.digests()) == 3


def test_what_a_user_should_know_of_a_selection_is_told_once_and_not_before_sigma_is_settled(tmp_path):
    told = story(some_documents(40), tmp_path, TARGETS, SelectorConfig(budget=500, calibration=30), batch=5)
    told.tell()
    advice = [(level, fields) for level, event, fields in told.log.lines if event == "advice"]
    assert [(level, fields["code"]) for level, fields in advice].count(("warning", "short_of_budget")) == 1
    assert all("advice" in fields and fields["set"] == "default" for _, fields in advice)
    first = next(i for i, (_, event, _) in enumerate(told.log.lines) if event == "advice")
    assert sum(event == "published" for _, event, _ in told.log.lines[:first]) >= 1


def test_the_interval_bounds_the_number_of_revisions(tmp_path):
    items = [item for document in some_documents(40) for item in (document, Wait(0.25))]
    often = story(items, tmp_path / "often", TARGETS, options=Options(interval=0.25))
    seldom = story(items, tmp_path / "seldom", TARGETS, options=Options(interval=5.0))
    often.tell()
    seldom.tell()
    assert len(seldom.digests()) <= 4
    assert often.digests()[-1] == seldom.digests()[-1]


def test_a_stream_that_brings_nothing_new_makes_no_revision(tmp_path):
    documents = some_documents(12)
    told = story([*documents, *documents, *documents], tmp_path, TARGETS)
    told.tell()
    assert len({tuple(d) for d in zip(told.digests(), told.digests(), strict=True)}) == len(told.digests())
    assert told.last()["positions"]["item"] <= 12
    assert told.world.committed.positions == {"item": 36}


def test_an_empty_input_publishes_nothing_and_ends_well(tmp_path):
    told = story([], tmp_path, TARGETS)
    told.tell()
    assert told.digests() == []


def test_when_everything_is_retracted_an_empty_revision_says_so(tmp_path):
    documents = some_documents(6)
    told = story([*documents, *(gone(d.id) for d in documents)], tmp_path, TARGETS)
    told.tell()
    assert told.last()["size"] == 0
    assert told.world.committed.members["default"] == {}


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_the_last_record_of_an_id_wins_within_a_batch(tmp_path, batch):
    items = [doc("a", "red"), doc("b", "sea"), gone("a"), doc("c", "sky"), doc("a", "blue"), gone("b"), doc("b", "cat")]
    told = story(items, tmp_path, TARGETS, batch=batch)
    told.tell()
    assert told.digests()[-1] == from_scratch(items, TARGETS, CONFIG)
    assert sorted(told.world.committed.members["default"]) == ["a", "b", "c"]


def test_records_say_what_consumers_need(tmp_path):
    told = story([doc("a", "red cat", meta={"lang": "en"}), doc("b", "sea")], tmp_path, TARGETS)
    told.tell()
    publication = told.world.history["default"][-1]
    (record,) = [upsert for upsert in publication.upserts if upsert["id"] == "a"]
    assert (record["set"], record["text"], record["meta"]) == ("default", "red cat", {"lang": "en"})
    assert record["nearest"][0][0] == "t1"
    assert len(record["nearest"]) == 3
    assert set(publication.revision) >= {
        "set", "revision", "size", "added", "removed", "exact", "reasons", "short_of_budget", "documents_seen",
        "positions", "targets_active", "targets_pending", "targets_digest", "s", "tau", "alpha", "sigma", "support",
        "transport_cost", "effective_sample_size", "truncated", "short", "digest", "published_digest",
        "selection_end", "created", "embedder",
    }  # fmt: skip
    assert publication.revision["tau"] is None, "infinite values are null"


def test_a_small_change_of_weight_is_not_sent_but_the_last_revision_is_exact(tmp_path):
    options = Options(interval=0.0, weight_change=0.5)
    told = story(some_documents(60), tmp_path, TARGETS, options=options)
    told.tell()
    told.check()
    last = told.last()
    assert last["digest"] == from_scratch(some_documents(60), TARGETS, CONFIG)
    assert last["digest"] != last["published_digest"]


def test_poison_goes_to_the_dead_letters_and_the_stream_goes_on(tmp_path):
    wrong_size = doc("w", embedding=vector_of("red")[:5])
    items = [
        doc("a", "red"),
        Bad(b"{"),
        doc("p", "poison"),
        wrong_size,
        doc("z", embedding=vector_of("") * 0),
        doc("b"),
    ]
    told = story(items, tmp_path, TARGETS)
    told.tell()
    letters = told.world.dead_letters
    assert [letter.reason for letter in letters] == ["decode", "refused", "embedding", "embedding"]
    assert letters[1].key == b"p"
    assert b"poison" in letters[1].value
    assert sorted(told.world.committed.members["default"]) == ["a", "b"]


def test_a_dead_letter_is_committed_without_waiting_for_a_revision(tmp_path):
    told = story([Bad(b"{"), Bad(b"[")], tmp_path, TARGETS)
    told.tell()
    assert len(told.world.dead_letters) == 2
    assert told.digests() == []


def test_the_first_record_that_cannot_be_used_for_some_reason_is_told_at_once(tmp_path):
    told = story([Bad(b"{"), Bad(b"["), doc("p", "poison"), Bad(b"<")], tmp_path, TARGETS)
    told.tell()
    warnings = [fields for level, event, fields in told.log.lines if event == "a record cannot be used"]
    assert [fields["reason"] for fields in warnings] == ["decode", "refused"]
    assert warnings[0]["source"] == told.world.dead_letters[0].source


def test_dead_letters_that_wait_are_committed_before_they_fill_the_memory(tmp_path, monkeypatch):
    """While refreshing takes long, revisions wait; what waits with them must not grow with the stream."""
    monkeypatch.setattr(loop, "_MOST_WAITING", 10_000)
    items = [one for n in range(100) for one in (doc(f"d{n}"), Bad(b"x" * 1000))]
    told = story(items, tmp_path, TARGETS, batch=2, options=replace(EAGER, interval=1e9))
    sizes = []
    told.world.at_commit = lambda when, number: when == "after" and sizes.append(len(told.world.dead_letters))
    told.tell()
    assert len(told.world.dead_letters) == 100
    assert max(b - a for a, b in zip([0, *sizes], sizes, strict=False)) <= 13


def test_a_document_that_brings_its_embedding_is_not_embedded(tmp_path):
    embedder = WordEmbedder()
    brought = doc("brought", text="never embedded", embedding=vector_of("red cat"))
    told = story([brought, doc("b", "sea")], tmp_path, TARGETS, embedder=lambda: embedder)
    told.tell()
    assert "never embedded" not in embedder.texts
    assert told.digests()[-1] == from_scratch([doc("brought", "red cat"), doc("b", "sea")], TARGETS, CONFIG)


def test_an_outage_of_the_embedder_loses_nothing(tmp_path):
    class Shaky(WordEmbedder):
        def embed_all(self, texts):
            if self.calls % 3 == 1:
                self.outages = 2
            return super().embed_all(texts)

    told = story(some_documents(40), tmp_path, TARGETS, embedder=Shaky)
    engine = told.tell()
    assert engine.statistics.embedder_outages > 2
    assert told.world.dead_letters == []
    assert told.digests()[-1] == from_scratch(some_documents(40), TARGETS, CONFIG)


def test_two_target_sets_share_one_pass_and_do_not_meet(tmp_path):
    told = story(lively(), tmp_path, TARGETS)
    embedders = []
    told.embedder = lambda: embedders.append(WordEmbedder()) or embedders[-1]
    told.targets["other"] = ListedTargets([target("o1", "dog"), target("o2", "bird sky")])
    told.configs["other"] = SelectorConfig(budget=3, max_k=16, slack=16, sigma=0.6, seed=7)
    told.tell()
    told.check("default")
    told.check("other")
    expected = sum(not d.deleted for d in lively()) + len(TARGETS) + 2
    assert len(embedders[0].texts) == expected, "one embedding serves all sets"


def test_sigma_is_calibrated_at_the_end_of_a_short_input(tmp_path):
    config = SelectorConfig(budget=4, max_k=6, slack=2)
    told = story(some_documents(30), tmp_path, TARGETS, config)
    told.tell()
    first, last = told.world.history["default"][0].revision, told.last()
    assert "provisional" in first["reasons"]
    assert "provisional" not in last["reasons"]


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_sigma_is_calibrated_on_the_same_documents_in_any_batches(tmp_path, batch):
    config = SelectorConfig(budget=4, max_k=16, slack=16, calibration=20)
    told = story(lively(80), tmp_path, TARGETS, config, batch=batch)
    told.tell()
    assert told.last()["sigma"] == pytest.approx(0.43, abs=0.4)
    told_by_one = story(lively(80), tmp_path / "by one", TARGETS, config, batch=1)
    told_by_one.tell()
    assert told.last()["sigma"] == told_by_one.last()["sigma"]
    assert told.last()["digest"] == told_by_one.last()["digest"]


def test_positions_are_committed_although_nothing_is_published(tmp_path):
    documents = some_documents(8)
    seen = []
    items = [*documents, Wait(11.0), *documents, Wait(11.0), *documents, Wait(11.0), *documents]
    told = story(items, tmp_path, TARGETS, options=Options(interval=1.0), batch=8)
    told.world.at_commit = lambda when, number: seen.append(number) if when == "after" else None
    told.tell()
    assert len(told.digests()) <= 2
    assert len(seen) >= 3


def test_a_quiet_stream_beats_like_a_heart_and_hardly_logs(tmp_path):
    stop = Stop()
    told = story(some_documents(8), tmp_path, TARGETS, follow=True, options=Options())
    polls = itertools.count()

    def five_seconds_pass():
        told.world.clock.move(5.0)
        if next(polls) >= 720 and told.world.heartbeats >= 3:  # the engine may be slower than this clock
            stop.request("the hour is over")

    told.world.at_idle = five_seconds_pass
    told.engine(stop).run()
    assert told.world.heartbeats >= 3
    assert len([line for line in told.log.lines if line[0] != "debug"]) < 20


def test_a_busy_stream_beats_as_well(tmp_path):
    items = [one for k in range(12) for one in (*some_documents(8, seed=k), Wait(5.0))]
    told = story(items, tmp_path, TARGETS, options=Options(interval=1.0, heartbeat_interval=10.0), batch=8)
    told.tell()
    assert told.world.heartbeats >= 4


def test_a_request_to_stop_publishes_checkpoints_and_leaves(tmp_path):
    stop = Stop()
    items = [*some_documents(20), Do(lambda: stop.request("SIGTERM"))]
    told = story(items, tmp_path, TARGETS, options=Options(interval=3600.0), follow=True)
    assert told.engine(stop).run() is ExitStatus.OK
    record = told.last()
    assert record["digest"] == from_scratch(told.world.prefix(record["positions"]), TARGETS, CONFIG)
    assert any((tmp_path / "checkpoints").iterdir())


def test_a_crash_in_the_reader_ends_the_engine_and_not_only_the_thread(tmp_path):
    told = story([*some_documents(10), CrashItem(), *some_documents(20, seed=5)], tmp_path, TARGETS, options=EAGER)
    told.tell()
    assert told.crashes == 1
    told.check()


@pytest.mark.parametrize("works", [0, 1], ids=["for targets", "for documents"])
def test_a_stop_while_the_embedder_is_out_is_heard(tmp_path, works):
    stop = Stop()

    class Out(WordEmbedder):
        def embed_all(self, texts):
            if self.calls >= works + 3:
                stop.request("test")
            self.outages = int(self.calls >= works)
            return super().embed_all(texts)

    told = story(some_documents(40), tmp_path, TARGETS, embedder=Out, follow=True)
    assert told.engine(stop).run() is ExitStatus.OK
    assert told.digests() == []
