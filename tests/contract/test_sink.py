"""What every sink keeps to, wherever it publishes. The process of the one test is the past of the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.contract.conftest import KAFKA, make_store
from tests.contract.ledger import Ledger
from tests.streams.stories import Members
from tsds_stream.records import DeadLetter
from tsds_stream.streams.base import Committed, SinkError

A: Members = {"x": (0.5, 1.0, 1), "y": (0.25, 2.0, 1), "z": (0.25, 2.0, 3)}
B: Members = {"x": (0.5, 1.0, 1), "z": (0.375, 1.5, 2), "new": (0.125, 4.0, 1)}
SOURCE = {"path": "a.jsonl", "line": 3}
_numbers = count()


@pytest.fixture(params=["memory", "directory", KAFKA], scope="module")
def ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One of each kind for all tests, which take sets of their own."""
    ledger = Ledger(make_store(request.param, tmp_path_factory.mktemp("store"), request))
    yield ledger
    ledger.check_seen()
    ledger.close()


@pytest.fixture
def fresh_set() -> Callable[[], str]:
    """Names that no other test uses."""
    return lambda: f"set-{next(_numbers)}"


def letter(reason: str, key: bytes | None = None, value: bytes | None = b"{}") -> DeadLetter:
    return DeadLetter(reason, f"because of {reason}", SOURCE, key, value, 1)


@pytest.mark.parametrize("kind", ["memory", "directory", KAFKA])
def test_nothing_is_recovered_where_nothing_was_published(kind, tmp_path, request):
    ledger = Ledger(make_store(kind, tmp_path, request))
    ledger.check_seen()
    assert ledger.restart() == Committed(None, {}, {})
    ledger.close()


def test_what_was_published_is_what_readers_see_and_the_next_process_recovers(ledger: Ledger, fresh_set):
    name = fresh_set()
    ledger.commit({name: A})
    ledger.check_seen()
    assert ledger.restart().members[name].keys() == A.keys()
    ledger.commit({name: B})
    ledger.check_seen()
    ledger.restart()


def test_several_sets_are_published_in_one_step_and_others_stay(ledger: Ledger, fresh_set):
    one, two, three = fresh_set(), fresh_set(), fresh_set()
    ledger.commit({one: A, two: B, three: A})
    ledger.commit({two: A, three: B})
    ledger.check_seen()
    ledger.restart()


def test_members_leave_down_to_the_empty_revision_and_come_back(ledger: Ledger, fresh_set):
    name, empty = fresh_set(), fresh_set()
    ledger.commit({name: A, empty: {}})
    ledger.commit({name: {}})
    ledger.check_seen()
    ledger.restart()
    ledger.commit({name: B, empty: A})
    ledger.check_seen()


def test_a_revision_that_changes_nothing_for_readers_counts(ledger: Ledger, fresh_set):
    name = fresh_set()
    ledger.commit({name: A})
    ledger.commit({name: A})
    ledger.check_seen()
    assert ledger.restart().revisions[name]["revision"] == 2


def test_ids_are_any_text(ledger: Ledger, fresh_set):
    ids = [
        "ä/ö\x00\N{DUCK}",
        "\uffff",
        "\U00010000",
        "e\u0301",
        "\u00e9",
        " ",
        "/",
        ":x",
        "line\nline\u2028",
        "i" * 500,
    ]
    ledger.commit({(name := fresh_set()): dict.fromkeys(ids, (0.1, 10.0, 1))})
    ledger.check_seen()
    assert set(ledger.restart().members[name]) == set(ids)
    ledger.commit({name: dict.fromkeys(ids[::2], (0.2, 5.0, 1))})
    ledger.check_seen()


def test_numbers_come_back_to_the_last_bit(ledger: Ledger, fresh_set):
    members: Members = {
        f"n{p}": (p, w, m)
        for p, w, m in [(5e-324, 1.7976931348623157e308, 1), (0.1 + 0.2, 1 / 3, 2**31 - 1), (1.0, 1e-300, 7)]
    }
    ledger.commit({fresh_set(): members})
    ledger.check_seen()
    ledger.restart()


def test_a_large_text_and_many_members_arrive_whole(ledger: Ledger, fresh_set):
    ledger.commit({(large := fresh_set()): {"one": (0.5, 2.0, 1)}}, text="x" * 700_000)
    assert len(ledger.store.seen().members[large]["one"]["text"]) > 700_000
    ledger.commit({(many := fresh_set()): {f"m{i}": (0.001, 1.0, 1) for i in range(1000)}})
    ledger.commit({many: {f"m{i}": (0.001, 1.0, 1) for i in range(500, 1500)}})
    ledger.check_seen()
    ledger.restart()


def test_positions_alone_are_a_commit_and_a_heartbeat_changes_nothing(ledger: Ledger, fresh_set):
    ledger.commit({fresh_set(): A})
    ledger.commit({})
    ledger.sink.heartbeat(ledger.state.positions, 1_700_000_000_000)
    ledger.check_seen()
    ledger.restart()


def test_dead_letters_arrive_once_and_byte_by_byte(ledger: Ledger, fresh_set):
    letters = [
        letter("decode", b"k", b"\xff\x00\n"),
        letter("empty", b"", b""),
        letter("null value", b"k", None),
        letter("null both", None, None),
        letter("\N{DUCK}", "é".encode(), "ü".encode()),
        DeadLetter("headers", "of a record", SOURCE, b"k", b"v", 5, (("a", b"1"), ("a", b""), ("b", b"\xff"))),
    ]
    ledger.commit({}, letters)
    ledger.commit({fresh_set(): A}, [letter("with a revision")])
    ledger.check_seen()
    ledger.restart()
    ledger.commit({}, [letter("after a restart")])
    ledger.check_seen()


def test_a_commit_that_is_interrupted_is_whole_or_nothing(ledger: Ledger, fresh_set):
    one, two = fresh_set(), fresh_set()
    ledger.commit({one: A, two: B})
    done = set()
    for step, point in enumerate(ledger.store.points):
        members = A | {f"step {step}": (0.5, 1.0, 1)}
        done.add(ledger.interrupted(point, {one: members, two: B if step % 2 else A}, [letter(f"{one}, {point}")]))
        ledger.commit({one: A}, [letter(f"{one}, behind {point}")])
    assert done == {True, False}, "it was interrupted early and late"
    ledger.check_seen()


def test_a_second_writer_cannot_publish_beside_the_first(ledger: Ledger, fresh_set):
    """It is kept out, or it keeps the first one out."""
    name = fresh_set()
    ledger.commit({name: A})
    first = ledger.sink
    try:
        second = ledger.store.open()
        second.recover()
    except SinkError:
        ledger.commit({name: B})
    else:
        ledger.refused()
        ledger.sink = second
        ledger.commit({name: B})
        ledger.sink = first
        ledger.refused()
        first.close()
        ledger.sink = second
    ledger.check_seen()
    ledger.restart()


def test_nothing_is_published_before_recovery_nor_after_the_end(ledger: Ledger, fresh_set):
    ledger.sink.close()
    ledger.refused()
    ledger.sink.close()
    ledger.sink = ledger.store.open()
    ledger.refused()
    ledger.sink.close()
    ledger.restart()


def test_two_revisions_of_one_set_in_one_commit_are_refused(ledger: Ledger, fresh_set):
    ledger.commit({(name := fresh_set()): A})
    _, (one, _, _) = ledger.planned({name: B})
    _, (two, _, positions) = ledger.planned({name: A})
    with pytest.raises(SinkError):
        ledger.sink.commit([*one, *two], [letter("never seen")], positions)
    ledger.restart()
    ledger.check_seen()
