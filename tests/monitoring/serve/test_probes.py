"""Alive and ready."""

from __future__ import annotations

import orjson
import pytest

from tests.monitoring.samples import MINUTE, NOW, SECOND, Json, empty, failing, sample
from tsds_stream.monitoring.serve.newest import Kept, Newest
from tsds_stream.monitoring.serve.probes import alive, lacking


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def newest_of(status: Json | None, waited: float = 0.0) -> Newest:
    clock = Clock()
    newest = Newest(clock)
    if status is not None:
        newest.put(orjson.dumps(status))
    clock.now += waited
    return newest


def ticking(phase: str, age: int) -> Json:
    """A document made `age` ms after the main loop's last step."""
    process = {**sample()["process"], "phase": phase, "ticked": NOW - age, "started": NOW - 60 * MINUTE}
    return {**sample(), "created": NOW, "process": process}


@pytest.mark.parametrize(
    ("phase", "age", "waited", "good"),
    [
        ("live", 0, 0.0, True),
        ("live", 170 * SECOND, 5.0, True),
        ("live", 170 * SECOND, 15.0, False),
        ("live", 0, 181.0, False),  # whoever makes the documents hangs as well
        ("replaying", 181 * SECOND, 0.0, False),
        ("starting", 181 * SECOND, 0.0, True),
        ("starting", 9 * MINUTE, 61.0, False),
        ("stopping", 181 * SECOND, 0.0, True),
    ],
)
def test_alive_means_that_the_main_loop_turns(phase: str, age: int, waited: float, good: bool):
    found, sentence = alive(newest_of(ticking(phase, age), waited))
    assert found is good
    assert sentence.startswith(f"{phase}: the main loop took its last step ")


def test_a_clock_that_was_set_back_after_the_start_hides_nothing():
    status = ticking("live", 200 * SECOND)
    status["process"]["started"] = NOW + 60 * MINUTE
    assert not alive(newest_of(status))[0]


def test_a_start_has_time_before_the_first_step():
    status = ticking("starting", 0)
    status["process"] |= {"ticked": 0, "started": NOW - SECOND}
    assert alive(newest_of(status))[0]


def test_before_the_first_document_it_is_starting():
    assert alive(newest_of(None, 500.0))[0]
    assert not alive(newest_of(None, 601.0))[0]


def test_a_dead_embedder_lets_it_live():
    assert failing()["embedder"]["out"]
    status = {**failing(), "process": sample()["process"]}
    assert alive(newest_of(status))[0]


def test_a_clock_that_is_set_back_or_forth_ends_nothing():
    status = ticking("live", 0)
    status["created"] -= 60 * MINUTE
    assert alive(newest_of(status))[0]


def test_ready_needs_every_set_to_have_a_revision():
    assert lacking(sample()) == []
    status = sample()
    status["sets"]["young"] = {**status["sets"]["default"], "revision": 0}
    assert lacking(status) == ["target set young has no revision yet"]
    assert lacking(empty()) != []
    assert "no target set is known yet" in lacking({**sample(), "sets": {}})


@pytest.mark.parametrize("phase", ["starting", "replaying", "stopping", "stopped", "something new"])
def test_ready_is_only_what_is_live(phase: str):
    assert len(lacking({**sample(), "process": {**sample()["process"], "phase": phase}})) == 1


def test_nothing_known_is_not_ready():
    assert lacking(None) == ["nothing has come from the stream yet"]


def test_an_answer_is_made_once_per_document_and_second():
    clock, made = Clock(), []
    newest = Newest(clock)
    kept = Kept(newest, clock)

    def make(status: Json | None) -> bytes:
        made.append(status)
        return str(len(made)).encode()

    assert [kept.get("a", make), kept.get("a", make), kept.get("b", make)] == [b"1", b"1", b"2"]
    newest.put(b'{"n":1}')
    assert [kept.get("a", make), kept.get("a", make)] == [b"3", b"3"]
    clock.now += 1.5
    assert kept.get("a", make) == b"4"
    assert made == [None, None, {"n": 1}, {"n": 1}]


def test_a_document_that_is_none_changes_nothing():
    newest = newest_of({"n": 1})
    with pytest.raises(orjson.JSONDecodeError):
        newest.put(b"{")
    assert newest.snapshot is not None
    assert newest.snapshot.status == {"n": 1}
