"""The auditor on stories in memory: it agrees with the engine, and finds whatever is tampered with."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine_fakes import Bad, CrashItem, Do, doc, gone, target
from tests.engine_stories import CONFIG, ListedTargets, Story, story
from tests.test_engine import TARGETS
from tests.verification_cases import WorldLog, audited, located, published
from tsds_stream.exit_status import ExitStatus
from tsds_stream.records import DeadLetter, Json
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.streams.base import Sent
from tsds_stream.verification.evidence import Current
from tsds_stream.verification.report import MOST, Report

WORDS = ["red", "green", "blue", "cat", "dog", "bird", "sea", "sky", "stone", "poison"]
MEASURED = SelectorConfig(budget=4, max_k=16, slack=16, calibration=25)
SETTINGS = [
    CONFIG,
    MEASURED,
    SelectorConfig(budget=3, max_k="auto", slack=64, calibration=40, spread=2.0),
    SelectorConfig(budget=4, max_k=16, slack=16, regularizer="uniform", min_distance="auto"),
    SelectorConfig(budget=4, max_k=64, regularizer="tv", alpha=0.5),
    SelectorConfig(budget=None, token_budget=12, max_k=16, slack=16, mode="turns", sigma=0.5),
    SelectorConfig(budget=4, max_k=32, slack=16, scope="corpus", ttl=30, sigma=0.7, mode="top"),
]


def items(seed: int, length: int) -> list[object]:
    """Documents, new versions, copies, retractions, records that cannot be used, crashes."""
    chosen = random.Random(seed)
    made: list[object] = []
    for i in range(length):
        kind, name = chosen.random(), f"d{chosen.randrange(i + 1):03d}"
        text = " ".join(chosen.choices(WORDS[:-1] if chosen.random() < 0.95 else WORDS, k=3))
        if kind < 0.05:
            made.append(Bad(b"not a record"))
        elif kind < 0.08:
            made.append(CrashItem())
        elif kind < 0.2:
            made.append(gone(name))
        else:
            time = i + chosen.randrange(5)
            made.append(doc(name if kind < 0.4 else f"d{i:03d}", text, tokens=len(text), timestamp=time))
    for offset, item in enumerate(made):
        if not isinstance(item, Bad | CrashItem):
            item.source = {"item": offset}
    return made


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A story whose evidence tests may copy and tamper with.

    It has 28 batches that change the selection. A crash may cost one revision more or less than that, as threads
    happen to run: after it, the engine goes on from what was last committed, and batches are cut elsewhere.
    """
    one = story(items(5, 120), tmp_path_factory.mktemp("told"), TARGETS)
    one.tell()
    assert len(one.digests()) > 20
    assert one.crashes == 4
    assert len(one.world.dead_letters) > 3
    return one


def kinds(report: Report) -> set[str]:
    return {fault.kind for fault in report.faults}


@given(seed=st.integers(0, 10_000), config=st.sampled_from(SETTINGS), length=st.integers(1, 70))
@settings(max_examples=40)
def test_what_the_engine_publishes_is_what_the_auditor_computes(seed: int, config: SelectorConfig, length: int):
    with TemporaryDirectory() as directory:
        one = story(items(seed, length), Path(directory), TARGETS, config)
        one.tell()
        report = audited(one)
        assert (report.faults, report.cannot) == ([], [])
        if one.digests():
            found = report.sets["default"]
            exact = [p.revision for p in one.world.history["default"] if p.revision["exact"]]
            assert {record["revision"] for record in exact} <= set(found.compared)
            assert len(found.compared) + len(found.skipped) == found.revisions
            assert found.selection


def test_a_revision_with_a_measured_sigma_is_compared_before_and_after_it_is_frozen(tmp_path: Path):
    one = story(items(1, 60), tmp_path, TARGETS, MEASURED)
    one.tell()
    reasons = [tuple(p.revision["reasons"]) for p in one.world.history["default"]]
    assert {(), ("provisional",)} == set(reasons)
    assert audited(one).sets["default"].compared == list(range(1, len(reasons) + 1))


def test_several_sets_share_one_reading(tmp_path: Path):
    one = story(items(2, 60), tmp_path, TARGETS)
    one.targets["other"] = ListedTargets([target("o", "bird stone")])
    one.configs["other"] = MEASURED
    one.tell()
    report = audited(one)
    assert report.faults == []
    assert report.records == sum(not isinstance(item, CrashItem) for item in one.world.items)
    assert all(found.compared and not found.skipped for found in report.sets.values())


def test_the_shortlists_of_a_set_keep_the_length_that_its_first_targets_gave_them(tmp_path: Path):
    config = SelectorConfig(budget=100, max_k="auto", sigma=0.8, spread=1.0)
    one = story([], tmp_path, TARGETS, config)
    change = Do(lambda: one.targets["default"].write([*TARGETS, target("t4", "dog bird")]))
    before, after = items(3, 40), items(4, 80)[40:]
    for offset, item in enumerate(after, 41):
        if not isinstance(item, Bad | CrashItem):
            item.source = {"item": offset}
    one.world.items[:] = [*before, change, *after]
    one.tell()
    report = audited(one)
    assert report.faults == []
    assert one.last()["revision"] in report.sets["default"].compared
    assert 1 in report.sets["default"].skipped, "its targets are not those of now"


def test_only_the_newest_revisions_are_computed_when_asked(told: Story):
    last = told.last()["revision"]
    assert audited(told, wanted=1).sets["default"].compared == [last]
    assert audited(told, wanted=3).sets["default"].compared == [last - 2, last - 1, last]
    assert audited(told, wanted=1).status is ExitStatus.OK


def test_a_wrong_digest_is_found_and_named(told: Story):
    found = published(told)
    found.revisions["default"][7]["digest"] = "0" * 32
    report = audited(told, found)
    [fault] = report.faults
    assert (fault.kind, fault.set, fault.revision) == ("digest", "default", 8)
    assert report.status is ExitStatus.STATE
    assert fault.details["found"] == "0" * 32


def test_a_document_that_the_selection_lacks_is_named(told: Story):
    found = published(told)
    members = found.current["default"].members
    name = sorted(members)[0]
    del members[name]
    report = audited(told, found)
    assert kinds(report) == {"published_digest", "members"}
    assert next(fault.details["missing"] for fault in report.faults if fault.kind == "members") == [name]


def test_a_document_that_the_engine_never_read_is_found(told: Story):
    """The stream holds a document that was lost on the way: the counts and the selections tell."""
    one = Story(told.world, told.directory, told.targets, told.configs)
    shifted = replace(told.world, items=list(told.world.items))
    place = next(i for i, item in enumerate(shifted.items) if isinstance(item, CrashItem))
    shifted.items[place] = doc("lost", TARGETS[0].text, tokens=3, timestamp=place, source={"item": place})
    report = audited(one, published(told), log=WorldLog(shifted))
    assert {"seen", "digest"} <= kinds(report)


def test_a_retraction_that_was_ignored_is_found(told: Story):
    shifted = replace(told.world, items=list(told.world.items))
    selected = sorted(told.world.committed.members["default"])[0]
    place = max(i for i, item in enumerate(shifted.items) if isinstance(item, CrashItem | Bad))
    shifted.items[place] = gone(selected)
    found = published(told)
    found.letters = [one for one in found.letters if one.source != located({"item": place})]
    report = audited(told, found, log=WorldLog(shifted), wanted=1)
    assert "digest" in kinds(report)
    assert selected in next(fault for fault in report.faults if fault.kind == "digest").details["too_many"]


@pytest.mark.parametrize(
    ("tamper", "part"),
    [
        (lambda records: records.insert(9, dict(records[8])), "revision 9 of 'default' is there again"),
        (lambda records: records.pop(4), "revision 6 of 'default' follows 4"),
        (lambda records: records.pop(0), "revision 2 of 'default' follows 0"),
        (lambda records: records[5].update(size=99), "has 99 members"),
        (lambda records: records[5].update(documents_seen=1), "counts 1 documents"),
        (lambda records: records[5].update(positions=records[0]["positions"]), "before those of the revision before"),
    ],
)
def test_a_series_that_is_not_whole_is_found(told: Story, tamper, part: str):
    found = published(told)
    tamper(found.revisions["default"])
    report = audited(told, found)
    assert any(part in fault.sentence for fault in report.faults), report.faults
    assert report.status is ExitStatus.STATE


@pytest.mark.parametrize(
    ("change", "kind", "part"),
    [
        ({"probability": 9.0}, "values", "has p = 9"),
        ({"weight": 9.0}, "values", "has weight 9"),
        ({"multiplicity": 77}, "values", "multiplicity 77"),
        ({"key": b"x" * 16}, "values", "another point"),
    ],
)
def test_a_wrong_value_of_a_selected_document_is_found(told: Story, change, kind: str, part: str):
    found = published(told)
    members = found.current["default"].members
    name = sorted(members)[0]
    members[name] = replace(members[name], **change)
    report = audited(told, found, wanted=1)
    fault = next(fault for fault in report.faults if fault.kind == kind)
    assert part in fault.sentence
    assert fault.details["id"] == name


def test_a_selection_of_another_revision_than_the_last_is_found(told: Story):
    found = published(told)
    found.current["default"] = Current(3, {"a": Sent(1.0, 1.0, b"k" * 16, 1)})
    assert kinds(audited(told, found)) == {"selection"}


def test_a_lost_a_doubled_and_an_invented_dead_letter_are_found(told: Story):
    found = published(told)
    lost = found.letters.pop(0)
    found.letters.append(found.letters[0])
    usable = next(i for i, item in enumerate(told.world.items) if getattr(item, "text", None))
    found.letters.append(DeadLetter("decode", "", located({"item": usable}), None, None, 0))
    found.letters[1].reason = "text"
    report = audited(told, found)
    assert kinds(report) == {"lost_letter", "double_letter", "extra_letter", "wrong_letter"}
    assert str(lost.source["offset"]) in next(f for f in report.faults if f.kind == "lost_letter").sentence
    assert (report.letters, report.found) == (len(told.world.dead_letters), len(told.world.dead_letters) + 1)


def test_dead_letters_that_were_deleted_by_retention_are_not_missed(told: Story):
    found = published(told)
    found.letters.pop(0)
    found.letters_whole = False
    report = audited(told, found)
    assert report.faults == []
    assert any("not looked for" in note for note in report.notes)


def test_a_letter_about_a_timestamp_is_believed_where_the_clock_may_have_said_so(tmp_path: Path):
    one = story(items(6, 30), tmp_path, TARGETS)
    one.tell()
    now = one.world.clock.now()
    found = published(one)
    log = WorldLog(one.world)
    ahead = one.world.items[3] = doc("ahead", "red cat", timestamp=now + 2 * 3_600_000, source={"item": 3})
    letter = DeadLetter("timestamp", "", located({"item": 3}), None, None, now)
    found.letters = [letter, *(one for one in found.letters if one.source["offset"] != 3)]
    assert not {"extra_letter", "lost_letter"} & kinds(audited(one, found, log=log))
    letter.created = ahead.timestamp
    assert "extra_letter" not in kinds(audited(one, found)), "the clock of now says the same"
    del found.letters[0]
    assert "lost_letter" in kinds(audited(one, found))


def test_other_targets_parameters_or_embedders_are_left_out_and_told(told: Story):
    for change, part in (
        ({"embedder": "another"}, "embedder another"),
        ({"parameters": "0" * 16}, "other parameters"),
        ({"targets_digest": "0" * 32}, "target examples"),
        ({"reasons": ["truncated", "short"]}, "not exact: truncated, short"),
        ({"reasons": ["provisional"]}, "not exact: provisional"),
    ):
        found = published(told)
        found.revisions["default"][2].update(change, digest="0" * 32)
        report = audited(told, found)
        assert report.faults == []
        assert list(report.sets["default"].skipped) == [3]
        assert part in report.sets["default"].skipped[3]
    one = Story(told.world, told.directory, told.targets, {"another": CONFIG})
    assert "no such target set" in audited(one, published(told)).sets["default"].skipped[1]


@pytest.mark.parametrize(
    "change",
    [{"embedder": "another"}, {"parameters": "0"}, {"targets_digest": "0"}, {"reasons": ["truncated"]}],
)
def test_where_every_revision_is_left_out_nothing_is_proved(told: Story, change: Json):
    found = published(told)
    last = found.revisions["default"][-1]
    last.update(change)
    report = audited(told, found, wanted=1)
    assert (report.faults, report.cannot) == ([], [])
    assert report.nothing_compared
    assert report.status is ExitStatus.INPUT
    assert audited(told, found, wanted=2).status is ExitStatus.OK, "one was compared"
    last["size"] += 1
    assert audited(told, found, wanted=1).status is ExitStatus.STATE, "what is wrong counts more"


def test_where_nothing_was_published_nothing_is_missing(tmp_path: Path):
    assert Report().status is ExitStatus.OK
    one = story([], tmp_path, TARGETS)
    one.tell()
    assert audited(one).status is ExitStatus.OK


def test_documents_that_are_gone_leave_nothing_to_compare_and_say_so(told: Story):
    log = WorldLog(told.world)
    log.lost = "the log begins too late"
    report = audited(told, log=log)
    assert report.faults == []
    assert report.cannot == ["the log begins too late"]
    assert report.status is ExitStatus.INPUT
    found = published(told)
    found.revisions["default"].pop(3)
    log = WorldLog(told.world)
    log.lost = "the log begins too late"
    assert audited(told, found, log=log).status is ExitStatus.STATE, "what is wrong counts more"


def test_ids_in_several_partitions_have_no_last_record(told: Story):
    log = WorldLog(told.world)
    read = log.batches

    def scattered(until):
        for batch in read(until):
            for number, document in zip(count(), batch.documents):
                document.source = {**document.source, "partition": number % 2}
            yield batch

    log.batches = scattered
    found = published(told)
    found.letters = []
    for record in found.revisions["default"]:
        record["digest"] = "0" * 32
    report = audited(told, found, log=log)
    assert "digest" not in kinds(report)
    assert "several partitions" in report.cannot[0]


def test_of_many_faults_of_one_kind_the_first_are_told_and_the_others_counted():
    report = Report()
    for number in range(MOST + 5):
        report.fault("digest", f"fault {number}")
    report.fault("numbers", "another kind")
    assert len(report.faults) == MOST + 2
    assert report.faults[MOST].sentence == "and 5 more of this kind"
    assert report.as_json()["faults"][0]["sentence"] == "fault 0"


def test_where_compaction_has_taken_records_a_difference_proves_nothing(told: Story):
    """Earlier records of documents are gone: of the last revision all is there, of earlier ones perhaps not."""
    log = WorldLog(replace(told.world, items=list(told.world.items)))
    log.thinned = "the log is compacted"
    last = {item.id: place for place, item in enumerate(log._items) if getattr(item, "id", None)}
    for place, item in enumerate(log._items):
        if getattr(item, "id", None) and last[item.id] != place:
            log._items[place] = CrashItem(True)  # nothing to read
    report = audited(told, log=log)
    assert report.faults == []
    assert told.last()["revision"] in report.sets["default"].compared
    assert set(report.sets["default"].skipped.values()) == {"the log is compacted"}
    assert report.status is ExitStatus.INPUT
