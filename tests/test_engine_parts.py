"""The small parts of the engine: queue, runs, differences, deadlines, summaries, stop."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine_fakes import ListLog, ManualClock, doc, gone
from tests.patience import PATIENCE
from tsds_stream.digests import digest_of
from tsds_stream.engine.bounded_queue import BoundedQueue
from tsds_stream.engine.clock import Every
from tsds_stream.engine.difference import Held, difference
from tsds_stream.engine.runs import runs
from tsds_stream.engine.statistics import Statistics
from tsds_stream.engine.stop import Deadline, Stop
from tsds_stream.engine.summary import Summary
from tsds_stream.exit_status import ExitStatus
from tsds_stream.streams.base import Sent

# -- queue --------------------------------------------------------------------------------------------------------


def test_a_full_queue_makes_the_putting_thread_wait():
    queue = BoundedQueue(documents=10, size=1000)
    assert queue.put("a", 8, 10)
    putting = threading.Thread(target=queue.put, args=("b", 8, 10))
    putting.start()
    putting.join(0.05)
    assert putting.is_alive()
    assert queue.get(0.0) == "a"
    putting.join(PATIENCE)
    assert queue.get(0.0) == "b"


def test_bytes_bound_a_queue_too():
    queue = BoundedQueue(documents=1000, size=100)
    queue.put("a", 1, 90)
    putting = threading.Thread(target=queue.put, args=("b", 1, 90))
    putting.start()
    putting.join(0.05)
    assert putting.is_alive()
    queue.close()
    putting.join(PATIENCE)
    assert not putting.is_alive(), "closing sets who waits free"


def test_one_item_that_is_larger_than_the_queue_passes():
    queue = BoundedQueue(documents=1, size=1)
    assert queue.put("large", 50, 5000)
    assert queue.get(0.0) == "large"


def test_what_came_before_an_error_is_delivered_before_it():
    queue = BoundedQueue(documents=10, size=1000)
    queue.put("a", 1, 1)
    queue.finish(ValueError("broken"))
    assert queue.get(0.0) == "a"
    assert not queue.ended
    with pytest.raises(ValueError, match="broken"):
        queue.get(0.0)


def test_an_empty_queue_answers_none_in_time_and_says_when_it_has_ended():
    queue = BoundedQueue(documents=10, size=1000)
    assert queue.get(0.001) is None
    assert not queue.ended
    queue.finish()
    assert queue.get(0.001) is None
    assert queue.ended


# -- runs ---------------------------------------------------------------------------------------------------------

RECORDS = st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=20)


@given(RECORDS, st.booleans())
def test_runs_applied_one_after_another_equal_the_stream(records, in_order):
    documents = [gone(name) if deleted else doc(name, str(i)) for i, (name, deleted) in enumerate(records)]
    expected, found = {}, {}
    for document in documents:
        expected.pop(document.id, None) if document.deleted else expected.__setitem__(document.id, document.text)
    seen = []
    for retracted, positions in runs(documents, in_order=in_order):
        assert positions, "no empty runs"
        assert len({documents[i].id for i in positions}) == len(positions), "no id twice in a run"
        for i in positions:
            assert documents[i].deleted == retracted
            found.pop(documents[i].id, None) if retracted else found.__setitem__(documents[i].id, documents[i].text)
        seen += positions
    assert found == expected
    assert sorted(seen) == list(range(len(documents)))
    if in_order:
        assert seen == sorted(seen)


def test_a_few_retractions_do_not_break_a_batch_into_pieces():
    documents = [gone(f"x{i}") if i % 10 == 0 else doc(f"d{i}") for i in range(1000)]
    assert len(list(runs(documents, in_order=False))) == 2


# -- difference ---------------------------------------------------------------------------------------------------


@dataclass
class Picked:
    ids: list[str]
    keys: list[bytes]
    probabilities: np.ndarray
    weights: np.ndarray
    multiplicities: np.ndarray


def pick(seed, names="abcdefghij"):
    chosen = random.Random(seed)
    ids = sorted(chosen.sample(names, chosen.randrange(len(names) + 1)))
    values = [chosen.choice([0.1, 0.104, 0.2]) for _ in ids]
    keys = [bytes([chosen.randrange(2)] * 16) for _ in ids]
    copies = [chosen.randrange(1, 3) for _ in ids]
    return Picked(ids, keys, np.array(values, float), np.array(values, float) * 2, np.array(copies, np.int64))


@pytest.mark.parametrize("seed", range(50))
def test_a_consumer_that_applies_all_differences_holds_the_revision(seed):
    held, consumer = Held.of({}), {}
    for step in range(6):
        revision = pick(seed * 10 + step)
        change = difference(held, revision, 0.05)
        for name in change.removed:
            del consumer[name]
        added = 0
        for i in change.send.tolist():
            added += revision.ids[i] not in consumer
            values = revision.probabilities[i], revision.weights[i], revision.keys[i], int(revision.multiplicities[i])
            consumer[revision.ids[i]] = Sent(*values)
        assert added == change.added
        assert sorted(consumer) == revision.ids
        held = change.held
        assert held.digest == Held.of(consumer).digest
        assert held.digest == digest_of(held.ids, held.probabilities, held.weights)
        for name, p, m in zip(revision.ids, revision.probabilities, revision.multiplicities, strict=True):
            assert abs(consumer[name].probability - p) <= 0.05 * consumer[name].probability
            assert consumer[name].multiplicity == m
        assert difference(held, revision, 0.05).empty, "nothing is sent twice"


def test_small_steps_add_up_until_they_are_sent():
    held, sent = Held.of({}), 0
    for step in range(10):
        value = np.array([1.0 + 0.02 * step])
        change = difference(held, Picked(["a"], [b"k" * 16], value, value, np.array([1])), 0.05)
        sent += len(change.send)
        held = change.held
    assert sent == 4


def test_keys_that_differ_only_in_zeros_differ():
    one = np.array([1.0])
    held = difference(Held.of({}), Picked(["a"], [b"k" * 15 + b"\0"], one, one, np.array([1])), 0.05).held
    assert not difference(held, Picked(["a"], [b"k" * 14 + b"\0\1"], one, one, np.array([1])), 0.05).empty
    assert difference(held, Picked(["a"], [b"k" * 15 + b"\0"], one, one, np.array([1])), 0.05).empty


# -- time ---------------------------------------------------------------------------------------------------------


def test_a_deadline_is_shared_by_all_steps():
    clock = ManualClock()
    deadline = Deadline(10.0, clock)
    clock.move(7.0)
    assert deadline.remaining == pytest.approx(3.0)
    clock.move(7.0)
    assert deadline.remaining == 0.0
    assert deadline.passed
    assert Deadline(None, clock).remaining is None
    assert not Deadline(None, clock).passed


def test_every_is_due_once_per_interval():
    clock = ManualClock()
    every = Every(2.0, clock)
    assert not every.due
    clock.move(2.5)
    assert every.due
    every.done()
    assert every.wait == pytest.approx(2.0)


def test_a_summary_says_what_was_done_since_the_last_one():
    clock, log, statistics = ManualClock(), ListLog(), Statistics()
    summary = Summary(statistics, log, clock, 60.0)
    statistics.documents_applied = 100
    clock.move(61.0)
    summary.tick()
    statistics.documents_applied = 150
    statistics.last_checkpoint, statistics.checkpoint_bytes = clock.now(), 4096
    clock.move(61.0)
    summary.tick()
    assert [fields["documents"] for _, _, fields in log.lines] == [100, 50]
    assert [fields.get("checkpoint_age") for _, _, fields in log.lines] == [None, 61]
    assert log.lines[-1][2]["checkpoint_bytes"] == 4096
    for _ in range(120):
        clock.move(61.0)
        summary.tick()
    assert log.events()[2:] == ["quiet", "quiet"]


# -- signals ------------------------------------------------------------------------------------------------------

PROGRAM = """
    import sys, time
    from tsds_stream.engine.stop import Stop, stop_on_signals
    stop = Stop()
    with stop_on_signals(stop):
        print("ready", flush=True)
        stop.wait(100)
        print("asked", stop.reason, flush=True)
        if sys.argv[1] == "slow":
            time.sleep(100)
"""


def started(how):
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), how]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": os.getcwd()})
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_first_signal_asks_to_leave(number):
    with started("quick") as process:
        process.send_signal(number)
        assert process.stdout.readline() == f"asked {number.name}\n"
        assert process.wait(PATIENCE) == 0


def interrupted(stop, at):
    """Wait, and ask to leave before the step with this number, as a handler does, in the waiting thread. The steps."""
    steps = 0

    def trace(frame, event, argument):
        nonlocal steps
        frame.f_trace_opcodes = True
        if event == "opcode":
            if steps == at:
                stop.request("signal")
            steps += 1
        return trace

    sys.settrace(trace)
    try:
        stop.wait(0.0)
    finally:
        sys.settrace(None)
    return steps


def test_a_signal_between_any_two_steps_of_waiting_is_heard():
    steps = interrupted(Stop(), -1)
    assert steps > 10
    for at in range(steps):
        stop = Stop()
        waiting = threading.Thread(target=interrupted, args=(stop, at), daemon=True)
        waiting.start()
        waiting.join(PATIENCE)
        assert not waiting.is_alive(), f"the signal before step {at} waits for what it has interrupted"
        assert stop.requested
        assert stop.wait(PATIENCE)


def test_all_who_wait_hear_that_leaving_is_asked_for():
    stop, heard = Stop(), []
    waiting = [threading.Thread(target=lambda: heard.append(stop.wait(PATIENCE))) for _ in range(8)]
    for one in waiting:
        one.start()
    assert not stop.wait(0.01)
    assert not stop.wait(-1.0)
    asking = [threading.Thread(target=stop.request, args=(f"reason {k}",)) for k in range(8)]
    for one in asking:
        one.start()
    for one in [*asking, *waiting]:
        one.join()
    assert heard == [True] * 8
    assert stop.reason.startswith("reason ")
    assert stop.wait(0.0)


def test_a_second_signal_leaves_at_once():
    with started("slow") as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked SIGTERM\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(50) == ExitStatus.INTERRUPTED
