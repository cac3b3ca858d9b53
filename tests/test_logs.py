"""Structured logs: one line per event, readable by people or by machines, and never in the way."""

from __future__ import annotations

import io
import json
import logging
from unittest.mock import ANY

import pytest

from tsds_stream.logs import LineLog, forwarded


def written(form: str, level: str = "debug", **fields: object) -> str:
    stream = io.StringIO()
    LineLog(level, form, stream, clock=lambda: 1_790_000_000.5).info("published", **fields)
    return stream.getvalue()


def test_a_text_line_quotes_only_what_needs_it():
    fields = {"why": "two words", "none": None, "ids": ["a", "b"], "counts": {"a": 1}, "reasons": []}
    line = written("text", set="default", revision=3, exact=True, cost=0.123456789, **fields)
    assert line == (
        '2026-09-21T14:13:20.500Z info    published set=default revision=3 exact=true cost=0.123457 why="two words" '
        "none=none ids=a,b counts=a:1 reasons=none\n"
    )


def test_a_json_line_has_time_level_and_event_first():
    line = written("json", revision=3, counts={"a": 1})
    assert list(json.loads(line).items()) == [
        ("time", "2026-09-21T14:13:20.500Z"),
        ("level", "info"),
        ("event", "published"),
        ("revision", 3),
        ("counts", {"a": 1}),
    ]


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_event_is_one_line_whatever_its_fields_hold(form: str):
    assert len(written(form, text="a\nb\r\x1b[31m", odd=object()).splitlines()) == 1


def test_a_field_cannot_pretend_to_be_the_level():
    assert json.loads(written("json", level_="x"))["level"] == "info"


def test_less_important_events_are_left_out():
    assert written("text", level="warning") == ""


def test_events_that_somebody_else_tells_are_left_out():
    stream = io.StringIO()
    log = LineLog(stream=stream, without=("advice",))
    log.warning("advice")
    log.warning("embedder unavailable")
    assert stream.getvalue().splitlines()[0].endswith("embedder unavailable")


def test_a_stream_that_is_gone_stops_nobody():
    stream = io.StringIO()
    log = LineLog(stream=stream)
    stream.close()
    log.error("disk full")
    assert log.dropped == 1


def test_what_parts_tell_the_logging_of_python_has_the_form_of_the_log():
    stream = io.StringIO()
    part = logging.getLogger("tsds_stream.streams.file_changes")
    with forwarded(LineLog("info", "json", stream)):
        part.warning("%s was replaced", "a.jsonl")
        part.debug("left out")
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"time": ANY, "level": "warning", "event": "note", "part": "file_changes", "message": "a.jsonl was replaced"}
    ]
    assert not logging.getLogger("tsds_stream").handlers
