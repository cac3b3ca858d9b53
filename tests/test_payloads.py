"""Texts are found again after any crash, for as long as a checkpoint can ask for them."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.streams.stories import key_of
from tsds_stream.payloads import Payload, PayloadError, PayloadStore


def payload(name, text=None, **more):
    return Payload(name, key_of(name), text if text is not None else f"text of {name}", **more)


def pair(name):
    return name, key_of(name)


def texts(store, *names):
    return [None if row is None else row.text for row in store.get(map(pair, names))]


def test_everything_about_a_document_comes_back(tmp_path):
    full = payload(
        "é", "words", meta={"a": [1, None, {"b": 2.5}], 3: "x"}, tokens=7, timestamp=-5, source={"path": "p"}
    )
    with PayloadStore(tmp_path / "state" / "payloads.sqlite") as store:
        store.put([full, payload("bare", None)])
        assert store.get([pair("é"), pair("nobody"), pair("bare")]) == [full, None, payload("bare")]
        assert len(store) == 2
        assert store.size > 0


def test_a_document_is_stored_once_per_point_and_the_last_record_wins(tmp_path):
    with PayloadStore(tmp_path / "p") as store:
        other = Payload("a", b"\x00" * 16, "at another point")
        store.put([payload("a", "old"), other])
        store.put([payload("a", "new")])
        assert texts(store, "a") == ["new"]
        assert store.get([("a", b"\x00" * 16)]) == [other]
        assert len(store) == 2


def test_what_was_put_is_there_after_reopening(tmp_path):
    with PayloadStore(tmp_path / "p") as store:
        store.put([payload("a")])
        mark = store.sync()
    with PayloadStore(tmp_path / "p") as store:
        assert texts(store, "a") == ["text of a"]
        assert store.lacks(mark) is None
        assert store.damage is None


WRITER = """
import sys
from tests.test_payloads import payload
from tsds_stream.payloads import PayloadStore
store = PayloadStore(sys.argv[1])
start = int(sys.argv[2])
for n in range(start, start + 100_000):
    store.put([payload(f"{n}-{i}", "words " * 50) for i in range(20)])
    store.sync()
    if n % 7 == 0:
        store.collect([(f"{n}-{i}", payload(f"{n}-{i}").key) for i in range(20)], -10)
    print(n, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_it_had_stored(tmp_path):
    path, start = tmp_path / "p", 0
    for lines in (1, 4, 9, 15):
        command = [sys.executable, "-c", WRITER, str(path), str(start)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            last = start
            for _ in range(lines):
                last = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
        with PayloadStore(path) as store:
            assert store.damage is None
            names = [f"{n}-{i}" for n in range(last + 1) for i in range(20)]
            assert None not in store.get(map(pair, names))
        start = last + 1


def test_a_reader_beside_the_writer_sees_what_is_stored(tmp_path):
    with PayloadStore(tmp_path / "p") as store, PayloadStore(tmp_path / "p", read_only=True) as reader:
        store.put([payload("a")])
        assert texts(reader, "a") == ["text of a"]
        with pytest.raises(PayloadError, match="Could not store payloads"):
            reader.put([payload("b")])
    with pytest.raises(PayloadError, match="nothing has been stored there yet"):
        PayloadStore(tmp_path / "none", read_only=True)


@pytest.mark.parametrize("damage", ["header", "middle", "cut", "text"])
def test_a_damaged_database_is_moved_aside_and_begun_anew(tmp_path, damage):
    path = tmp_path / "p"
    with PayloadStore(path) as store:
        store.put([payload(str(i), "words " * 100) for i in range(500)])
        mark = store.sync()
    data = bytearray(path.read_bytes())
    if damage == "header":
        data[3] ^= 1
    elif damage == "middle":
        data[5 * 4096 : 6 * 4096] = b"\xff" * 4096
    elif damage == "cut":
        data = data[: len(data) // 2]
    else:
        data = bytearray(b"this is no database at all, but a text" * 500)
    path.write_bytes(data)
    with PayloadStore(path) as store:
        assert f"{path} was damaged (" in store.damage
        assert "is now p.damaged-1. The stream is read again" in store.damage
        assert len(store) == 0
        assert "were in another p" in store.lacks(mark)
        store.put([payload("a")])
    assert (tmp_path / "p.damaged-1").read_bytes() == data
    with PayloadStore(path) as store:
        assert store.damage is None
        assert texts(store, "a") == ["text of a"]


def test_a_damaged_text_is_named(tmp_path):
    path = tmp_path / "p"
    with PayloadStore(path) as store:
        store.put([payload("a", "a needle in here")])
    data = path.read_bytes()
    path.write_bytes(data.replace(b"needle", b"noodle"))
    with PayloadStore(path) as store, pytest.raises(PayloadError, match="a damaged text of document 'a'"):
        store.get([pair("a")])


def test_a_log_that_lost_its_end_is_noticed_by_the_mark(tmp_path):
    path = tmp_path / "p"
    store = PayloadStore(path)
    store.put([payload("a")])
    early = store.sync()
    store.put([payload("b")])
    late = store.sync()
    wal = path.with_name("p-wal").read_bytes()
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    copy.with_name("copy-wal").write_bytes(wal[:-3000])
    store.close()
    with PayloadStore(copy) as broken:
        assert "has lost texts" in broken.lacks(late)
        if texts(broken, "a") == ["text of a"]:
            assert broken.lacks({**early, "syncs": 0}) is None


def test_the_database_of_a_newer_version_is_left_alone(tmp_path):
    PayloadStore(tmp_path / "p").close()
    db = sqlite3.connect(tmp_path / "p")
    db.execute("UPDATE about SET format = 2")
    db.commit()
    db.close()
    with pytest.raises(PayloadError, match="has format 2, and this version reads 1"):
        PayloadStore(tmp_path / "p")


def test_a_limit_is_a_sentence_and_nothing_is_half_stored(tmp_path):
    with PayloadStore(tmp_path / "p", max_bytes=200_000) as store:
        store.put([payload("first")])
        with pytest.raises(PayloadError, match=r"has reached its limit of 200000 bytes\. Raise the limit"):
            store.put([payload(str(i), "words " * 100) for i in range(1000)])
        assert len(store) == 1
        store.put([payload("second")])
        assert texts(store, "first", "second") == ["text of first", "text of second"]


def test_a_row_stays_until_neither_kept_checkpoint_can_ask_for_it(tmp_path):
    with PayloadStore(tmp_path / "p") as store:
        store.put([payload("kept"), payload("dropped")])
        assert store.collect([pair("kept"), pair("dropped")], 1) == 0  # checkpoint 1 holds both
        assert store.collect([pair("kept")], 2) == 0  # 1 and 2 are kept: 1 asks for it
        assert store.collect([pair("kept")], 3) == 0  # held may have been taken after the snapshot of 2
        assert store.collect([pair("kept")], 4) == 1
        assert texts(store, "kept", "dropped") == ["text of kept", None]


def test_a_row_that_is_held_again_is_not_deleted(tmp_path):
    with PayloadStore(tmp_path / "p") as store:
        store.put([payload("put again"), payload("held again")])
        store.collect([], 1)
        store.put([payload("put again")])
        for number in range(2, 4):
            assert store.collect([pair("held again")], number) == 0
        assert store.collect([pair("held again")], 4) == 1
        assert texts(store, "put again", "held again") == [None, "text of held again"]


def test_reopening_forgets_the_marks(tmp_path):
    with PayloadStore(tmp_path / "p") as store:
        store.put([payload("a")])
        store.collect([], 1)
        store.collect([], 2)
    with PayloadStore(tmp_path / "p") as store:
        assert store.collect([], 3) == 0
        assert store.collect([], 4) == 0
        assert store.collect([], 5) == 1


def test_a_checkpoint_without_collection_makes_rows_stay_longer(tmp_path):
    with PayloadStore(tmp_path / "p") as store:
        store.put([payload("a")])
        store.collect([], 1)
        assert [store.collect([], number) for number in (3, 4, 5)] == [0, 0, 1]


def test_a_collection_that_fails_lets_nothing_go_too_early(tmp_path):
    def broken():
        yield pair("a")
        raise RuntimeError("the selector is gone")

    with PayloadStore(tmp_path / "p") as store:
        store.put([payload("a")])
        store.collect([], 1)
        with pytest.raises(RuntimeError):
            store.collect(broken(), 2)
        assert [store.collect([], number) for number in (3, 4, 5)] == [0, 0, 1]


def test_a_second_writer_is_told_who_is_first(tmp_path):
    with (
        PayloadStore(tmp_path / "p"),
        pytest.raises(PayloadError, match=rf"{tmp_path / 'p'} has a writer already: process \d+ on .*\. Stop it first"),
    ):
        PayloadStore(tmp_path / "p")
    PayloadStore(tmp_path / "p").close()


def test_damage_that_shows_up_later_has_a_remedy(tmp_path):
    path = tmp_path / "p"
    with PayloadStore(path) as store:
        store.put([payload(str(i), "words " * 100) for i in range(500)])
    store = PayloadStore(path)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(PayloadError, match=r"is damaged .*Move it away and start again"):
        store.get([pair(str(i)) for i in range(500)])
    store.close()


def test_puts_go_on_while_rows_are_collected(tmp_path):
    with PayloadStore(tmp_path / "p") as store:
        store.put([payload(str(i), "") for i in range(30_000)])
        collector = threading.Thread(target=store.collect, args=([pair(str(i)) for i in range(30_000)], 1))
        collector.start()
        for i in range(50):
            store.put([payload(f"new {i}")])
        collector.join()
        assert None not in store.get([pair(f"new {i}") for i in range(50)])


STEPS = st.one_of(
    st.tuples(st.just("hold"), st.sets(st.sampled_from("abcd"))),
    st.tuples(st.just("checkpoint"), st.sampled_from(["quiet", "busy", "not collected"])),
    st.tuples(st.just("restart"), st.booleans()),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=30))
def test_whatever_happens_each_kept_checkpoint_finds_its_texts(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("payloads") / "p"
    store, held, number = PayloadStore(path), set(), 0
    kept: list[tuple[int, set[str]]] = []  # checkpoints on disk, oldest first
    for step, argument in steps:
        if step == "hold":
            store.put([payload(name) for name in argument - held])
            held = set(argument)
        elif step == "checkpoint":
            number += 1
            snapshot = set(held)
            store.sync()
            if argument == "busy":  # documents come and go between the snapshot and the collection
                store.put([payload(name) for name in set("ab") - held])
                held = set("ab")
            kept = [*kept, (number, snapshot)][-2:]
            if argument != "not collected":
                store.collect(map(pair, held), number)
        else:
            store.close()
            store = PayloadStore(path)
            if argument and kept:  # the newest is damaged: it is dropped, and the older one used
                kept.pop()
            held = set(kept[-1][1]) if kept else set()
        for _, names in kept:
            assert None not in texts(store, *names)
        assert None not in texts(store, *held)
    store.close()
