"""The live view, as somebody sees it who sits in front of a terminal."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest
from rich.console import Console, Group

from tests.monitoring.samples import MINUTE, NOW, SECOND, Json, empty, failing, sample, two_sets
from tests.monitoring.screens import Screen
from tsds_stream.monitoring.health import judge
from tsds_stream.monitoring.lines import fitted
from tsds_stream.monitoring.live import LiveView, picture_of


def picture(status: Json, width: int = 110) -> list[str]:
    """The lines of a status document, as plain text."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(Group(*picture_of(status, judge(status, NOW), NOW, width)))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_healthy_run_is_three_quiet_lines():
    assert picture(sample()) == [
        "● live · 1,240 documents/s · 40 records wait · 1,234,700 read · 0.5 s to a revision",
        "  default  revision 42 · 1,000 of 1,000 documents · exact · +7 -7 · 12 s ago",
        "  drift 0.4 (distance of default, short window) · checkpoint 21 s ago · 412.0 MB of 8.0 GB",
    ]


def test_a_run_that_has_just_begun_says_so():
    assert picture(empty()) == ["● starting for 2 s; nothing is read yet", "  default  no revision yet"]


def test_each_set_has_a_line():
    assert picture(two_sets())[1:3] == [
        "  default         revision 42 · 1,000 of 1,000 documents · exact · +7 -7 · 12 s ago",
        "  chess-openings  revision 7 · 250 of 250 documents · not exact: truncated · +7 -7 · 12 s ago",
    ]


def test_many_sets_do_not_fill_the_screen():
    status = sample()
    status["sets"] = {f"set-{k}": status["sets"]["default"] for k in range(30)}
    assert len(picture(status)) == 9
    assert "  and 24 more sets" in picture(status)


def test_a_finite_run_does_not_call_its_rest_a_lag():
    status = sample()
    status["configuration"]["follow"] = False
    status["flow"]["lag"] = {"bytes": 26_600_000.0}
    assert "26.6 MB are left · 1,234,700 read" in picture(status)[0]


def test_what_is_the_matter_stands_beneath_and_the_worst_first():
    lines = picture(failing())
    assert [line for line in lines if line.startswith("!")] == [
        "! The embedder has not answered for 9 minutes: http://embedder:8080 does not answer: connection refused.",
        "! Falling behind: 1.2 million records wait (14 minutes behind), and the lag grows.",
        "! The last checkpoint could not be written: no space left on device: state/checkpoints; the newest one was",
    ]
    assert lines[-1] == "  and 8 more warnings; tsds-stream status says what to do"


def test_who_looks_learns_of_an_outage_before_there_is_an_alarm():
    status = sample()
    status["embedder"].update(out=True, since=NOW - 7 * SECOND, error="connection refused")
    status["publishing"]["heartbeat"] = NOW - MINUTE
    assert judge(status, NOW).warnings == ()
    assert picture(status)[-2:] == [
        "! The embedder has not answered for 7 s: connection refused",
        "! Publishing has been held up for 1 minute",
    ]


@pytest.mark.parametrize("make", [sample, empty, failing, two_sets])
@pytest.mark.parametrize("width", [12, 20, 33, 60, 79, 80, 200])
def test_lines_keep_to_the_width(make, width: int):
    assert max(map(len, picture(make(), width))) <= width


def test_a_line_drops_what_has_no_room():
    parts = [("first", ""), ("", ""), ("second", ""), ("third", "")]
    assert [fitted(parts, width).plain for width in (80, 14, 13, 3)] == [
        "first · second · third",
        "first · second",
        "first",
        "first",
    ]


def test_what_a_document_says_does_not_steer_the_terminal():
    status = failing()
    status["embedder"]["error"] = "\x1b[2Jgone\x07\nnew line"
    assert not any("\x1b" in line or "\x07" in line for line in picture(status))


def test_where_nobody_looks_nothing_is_written():
    stream = io.StringIO()
    with LiveView(1000, stream) as view:
        view.shown(sample())
    assert not view.watched
    assert stream.getvalue() == ""


class Told:
    """A live view on a screen, and the pipe by which it is told what to show."""

    def __init__(self, screen: Screen, pipe: TextIO) -> None:
        self.screen = screen
        self._pipe = pipe

    def tell(self, **order: object) -> None:
        self._pipe.write(json.dumps(order) + "\n")

    def finish(self) -> None:
        self._pipe.close()
        assert self.screen.ended() == 0


@contextmanager
def live(*words: str, columns: int = 100, rows: int = 24, **environment: str) -> Iterator[Told]:
    read, write = os.pipe()
    command = ["-m", "tests.monitoring.live_child", str(read), *words]
    with Screen(command, columns, rows, give=(read,), **environment) as screen:
        os.close(read)
        with os.fdopen(write, "w", buffering=1) as pipe:
            yield Told(screen, pipe)


def test_the_view_changes_in_its_place_and_goes_at_the_end():
    with live() as told:
        told.screen.wait_for("● starting")
        told.tell(bytes=0, documents=3000)
        told.screen.wait_for("● running · 3,000 read")
        told.tell(sample="sample")
        assert len(told.screen.wait_for("checkpoint 21 s ago")) == 3
        told.tell(milliseconds=4000)
        assert len(told.screen.wait_for("checkpoint 25 s ago")) == 3
        told.finish()
        assert told.screen.lines == ["the last line"]
        assert told.screen.cursor_is_shown


def test_the_log_scrolls_above_the_view():
    with live() as told:
        told.tell(sample="sample")
        told.screen.wait_for("● live")
        for number in range(40):
            told.tell(log=f"event {number} of many")
        lines = told.screen.wait_for("event 39 of many")
        lines = told.screen.wait(lambda lines: lines[-3:][0].startswith("● live"))
        assert sum("● live" in line for line in lines) == 1
        events = [line for line in lines if "event" in line]
        assert [line.partition("warning ")[2] for line in events] == [f"event {k} of many" for k in range(40)][
            -len(events) :
        ]
        told.finish()


def test_a_known_end_has_a_bar_with_percent_and_time_left():
    with live("200000000") as told:
        told.screen.wait_for("0%")
        for number in range(1, 11):
            told.tell(milliseconds=1000, bytes=number * 10_000_000, documents=number)
        line = told.screen.wait_for("50%")[0]
        assert line.startswith("Selecting ━")
        assert line.endswith("50% · 10 s left · 100.0 MB of 200.0 MB · 10.0 MB/s")
        told.finish()


def test_the_view_follows_the_size_of_the_window():
    with live(columns=110) as told:
        told.tell(sample="sample")
        told.screen.wait_for("412.0 MB of 8.0 GB")
        told.screen.resize(50)
        lines = told.screen.wait(lambda lines: lines[-1:] == ["  drift 0.4 (distance of default, short window)"])
        assert lines[-3:-1] == [
            "● live · 1,240 documents/s · 40 records wait",
            "  default  revision 42 · 1,000 of 1,000 documents",
        ]
        told.finish()


def test_a_low_window_shows_what_is_most_important():
    with live(rows=4) as told:
        told.tell(sample="failing")
        told.screen.wait_for("● live")
        assert len(told.screen.lines) <= 4
        told.finish()


def test_colours_are_left_out_on_request():
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        with live(**environment) as told:
            told.tell(sample="failing")
            told.screen.wait_for("! The embedder")
            told.finish()
            assert (b"\x1b[33m" in told.screen.raw or b"\x1b[31m" in told.screen.raw) == coloured


def test_a_dumb_terminal_gets_lines_and_nothing_else():
    with live(TERM="dumb") as told:
        told.tell(sample="sample", log="embedder unavailable")
        told.screen.wait_for("embedder unavailable")
        told.finish()
        assert b"\x1b" not in told.screen.raw
        assert b"live" not in told.screen.raw
