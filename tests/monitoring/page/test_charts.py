"""Lines over time say what the history says."""

from __future__ import annotations

import re
from typing import Any

from tsds_stream.monitoring.page.charts import Series, bar, history, lines

NOW = 1_790_000_000_000
MINUTE = 60_000


def _series(*values: float | None) -> Series:
    return Series(
        "short", "drift/mean/short", [NOW - MINUTE * (len(values) - 1 - k) for k in range(len(values))], values
    )


def _points(drawing: str) -> list[list[tuple[float, float]]]:
    found = re.findall(r'class="line line-\d"[^>]*points="([^"]*)"', drawing)
    return [[(float(x), float(y)) for x, y in (one.split(",") for one in line.split())] for line in found]


def test_a_column_of_the_history_is_found_by_its_name() -> None:
    table: dict[str, Any] = {"columns": ["time", "a", "b"], "rows": [[NOW - 5, 1, None], [NOW, 2.5, 3]]}
    assert history(table, "b") == Series("", "b", [NOW - 5, NOW], [None, 3])
    for broken in (None, {}, {"columns": ["time"], "rows": []}, {"columns": "b", "rows": 3}, []):
        assert history(broken, "b").known == []
    assert history({"columns": ["time", "b"], "rows": [[NOW], "x", [NOW, "text"]]}, "b").known == []


def test_lines_run_from_left_to_right_and_up_where_values_rise() -> None:
    (line,) = _points(str(lines("a", "A", [_series(0.0, 1.0, 2.0)], NOW)))
    assert [x for x, _ in line] == [0.0, 160.0, 320.0]
    assert line[0][1] > line[1][1] > line[2][1]
    assert line[0][1] - line[1][1] == line[1][1] - line[2][1]


def test_a_gap_is_not_drawn_over_and_a_point_alone_is_a_dot() -> None:
    drawn = _points(str(lines("a", "A", [_series(1.0, 1.0, None, 2.0, None, 1.0, 1.0)], NOW)))
    assert [len(line) for line in drawn] == [2, 2, 2]
    assert drawn[1][0] == drawn[1][1]


def test_everything_lies_within_the_picture() -> None:
    for values in ((0.0, 0.0), (5.0, 5.0), (-1.0, 3.0), (1e-12, 2e-12), (1e15, 1.0), (0.99, 999.9)):
        for from_zero in (True, False):
            drawing = str(
                lines("a", "A", [_series(*values)], NOW, from_zero=from_zero, alarm=1.0 if from_zero else None)
            )
            heights = [float(y) for y in re.findall(r'y1="([^"]*)"', drawing)]
            heights += [y for line in _points(drawing) for _, y in line]
            assert all(0 <= y <= 96 for y in heights), values


def test_the_alarm_line_is_above_what_is_below_it() -> None:
    drawing = str(lines("a", "A", [_series(0.2, 0.9)], NOW, alarm=1.0))
    alarm = float(re.findall(r'class="alarm"[^>]*y1="([^"]*)"', drawing)[0])
    assert alarm < min(y for _, y in _points(drawing)[0])


def test_a_sentence_says_what_the_lines_show() -> None:
    drawing = str(lines("a", "A <score>", [_series(0.2, 1.9, 0.4)], NOW, alarm=1.0))
    assert '<title id="a-title">A &lt;score&gt;</title>' in drawing
    expected = "short: 0.2 2 minutes ago, at most 1.9 (1 minute ago), 0.4 at the end. The alarm line is at 1."
    assert f'<desc id="a-desc">{expected}</desc>' in drawing


def test_there_is_no_line_through_fewer_than_two_points() -> None:
    for values in ((), (1.0,), (None, None), (None, 1.0)):
        assert lines("a", "A", [_series(*values)], NOW) is None


def test_bars_are_as_long_as_their_share() -> None:
    assert [re.findall(r'width="([\d.]+)"', bar(share, "asked"))[1] for share in (0.47, 1.5, -1, None)] == [
        "47.00", "100.00", "0.00", "0.00",
    ]  # fmt: skip
