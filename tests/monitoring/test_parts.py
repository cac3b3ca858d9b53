"""The small parts of a monitor: history, events, sampling, rates, histograms, the status file."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine_fakes import ListLog
from tests.monitoring.samples import NOW, failing, sample
from tsds_stream.engine.statistics import BOUNDS, Histogram, Latency
from tsds_stream.monitoring.events import Events
from tsds_stream.monitoring.history import History
from tsds_stream.monitoring.process import memory_limit_bytes, resident_bytes
from tsds_stream.monitoring.sampling import Sampler
from tsds_stream.monitoring.status import Rate, histogram_of, latency_of
from tsds_stream.monitoring.status_file import NAME, StatusFile


@given(seconds=st.integers(1, 5000), rows=st.integers(2, 40))
def test_a_history_spans_the_whole_run_in_a_bounded_number_of_rows(seconds: int, rows: int) -> None:
    history = History(rows, interval=1000, recent=0)
    for second in range(seconds):
        history.add(second * 1000, {"n": float(second)})
    found = history.document()["rows"]
    assert len(found) <= rows
    assert found[0] == [0, 0.0]
    steps = np.diff([row[0] for row in found])
    assert len(set(steps.tolist())) <= 1
    assert (seconds - 1) * 1000 - found[-1][0] < 2 * max(steps.tolist(), default=seconds * 1000)


def test_rows_that_lack_a_number_say_so() -> None:
    history = History(interval=1)
    history.add(1, {"a": 1.0})
    history.add(2, {"a": 2.0, "b": None, "c": 3.0})
    assert history.document() == {
        "columns": ["time", "a", "b", "c"],
        "rows": [[1, 1.0, None, None], [2, 2.0, None, 3.0]],
    }


def test_a_clock_that_jumps_back_does_not_stop_the_history() -> None:
    history = History(interval=1000)
    for moment in (5000, 10_000, 2000, 3500):
        history.add(moment, {})
    assert [row[0] for row in history.document()["rows"]] == [2000, 3500, 5000, 10_000]


def test_the_last_minutes_are_kept_closely_however_long_the_run() -> None:
    history = History()
    for second in range(100_000):
        history.add(second * 1000, {"n": float(second)})
    found = [row[0] for row in history.document()["rows"]]
    assert len(found) <= 240
    assert found[0] == 0
    last = [moment for moment in found if moment > found[-1] - 800_000]
    assert max(np.diff(last)) <= 15_000


def test_events_tell_what_differs_between_two_documents() -> None:
    events = Events()
    events.compare(sample())
    assert events.document() == []
    events.compare({**failing(), "sets": {"default": failing()["sets"]["default"]}, "created": NOW + 1})
    told = {event["text"]: event["kind"] for event in events.document()}
    assert "the embedder does not answer: http://embedder:8080 does not answer: connection refused" in told
    assert told["revision 42 is not exact: truncated, short"] == "exactness"
    assert told["drift of the stream: embedding (short window) has crossed the alarm line"] == "drift"
    events.compare(sample())
    told_now = {event["text"] for event in events.document()} - set(told)
    assert told_now >= {"the embedder answers again", "revision 42 is exact"}
    assert len(events.document()) <= 20


def test_sets_that_come_with_the_restored_state_are_no_news() -> None:
    events, empty, restored = Events(), deepcopy(sample()), deepcopy(sample())
    empty["sets"] = {}
    restored["sets"]["default"] |= {"sigma": None, "calibrated": False}
    for one in (empty, restored, sample()):
        events.compare(one)
    assert events.document() == []


def test_a_document_without_drift_is_compared_like_any_other() -> None:
    events, off = Events(), deepcopy(sample())
    off["drift"] = {"state": "off"}
    events.compare(off)
    events.compare(off)
    assert events.document() == []


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0, 3)), min_size=1, max_size=60), st.floats(0.5, 500))
def test_no_more_documents_are_looked_at_than_allowed(arrivals: list[tuple[int, float]], rate: float) -> None:
    now = 0.0
    sampler = Sampler(rate, lambda: now)
    taken = 0
    for count, pause in arrivals:
        now += pause
        positions = sampler.take(count)
        assert len(positions) <= count
        assert (np.diff(positions) > 0).all()
        assert not len(positions) or (positions[0] >= 0 and positions[-1] < count)
        taken += len(positions)
    assert taken <= rate * now + max(rate, 1.0) + 1e-6


def test_a_slow_stream_is_looked_at_whole() -> None:
    now = 0.0
    sampler = Sampler(100.0, lambda: now)
    for _ in range(50):
        now += 0.1
        assert sampler.take(7).tolist() == list(range(7))


def test_a_share_of_a_batch_is_spread_over_all_of_it() -> None:
    assert Sampler(4.0, lambda: 0.0).take(100).tolist() == [12, 37, 62, 87]


def test_the_rate_is_of_the_last_seconds() -> None:
    rate = Rate()
    assert rate.at(0, 0) == 0.0
    assert rate.at(1000, 100) == 100.0
    for second in range(2, 40):
        found = rate.at(second * 1000, 100 + (second - 1) * 7)
    assert found == pytest.approx(7.0)


def test_a_rate_goes_on_when_the_clock_is_set_back() -> None:
    rate = Rate()
    for second in range(20):
        rate.at(3_600_000 + second * 1000, second * 50)
    for second in range(1, 5):
        found = rate.at(second * 1000, 1000 + second * 7)
    assert found == pytest.approx(7.0)


def test_every_duration_falls_into_its_bucket() -> None:
    durations = Histogram()
    for seconds in (0.0, 0.001, 0.0011, 0.3, 300.0, 301.0):
        durations.observe(seconds)
    found = histogram_of(durations)
    assert found["counts"][0] == 2
    assert found["counts"][1] == 1
    assert found["counts"][BOUNDS.index(0.5)] == 1
    assert found["counts"][-2:] == [1, 1]
    assert (found["count"], found["sum"]) == (6, pytest.approx(601.3021))


def test_quantiles_are_of_the_last_minute() -> None:
    latency = Latency()
    latency.observe(1_000_000, [900_000])
    assert latency_of(latency, 1_000_000)["recent"] == {"p50": 100.0, "p99": 100.0, "count": 1}
    latency.observe(2_000_000, [2_000_000 - k for k in range(100)] + [2_000_500])
    assert latency_of(latency, 2_000_000)["recent"] == {"p50": 0.049, "p99": 0.098, "count": 101}
    assert latency_of(latency, 3_000_000)["recent"] is None
    assert latency_of(latency, 3_000_000)["count"] == 102


def test_the_status_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    log = ListLog()
    file = StatusFile(tmp_path, log)
    file.write(orjson.dumps({"a": 1}))
    file.write(orjson.dumps({"b": 2}))
    assert orjson.loads((tmp_path / NAME).read_bytes()) == {"b": 2}
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_status_file_that_cannot_be_written_is_told_of_once(tmp_path: Path) -> None:
    log = ListLog()
    file = StatusFile(tmp_path / "gone", log)
    file.write(b"{}")
    file.write(b"{}")
    assert [event for _, event, _ in log.lines].count("the status file cannot be written") == 1


def test_memory_is_known() -> None:
    assert 10_000_000 < resident_bytes() < memory_limit_bytes()
    assert memory_limit_bytes(5) == 5
