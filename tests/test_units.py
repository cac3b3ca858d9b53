"""Durations and sizes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsds_stream.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("500ms", 0.5), ("1h", 3600), ("1h 30m", 5400), ("2 days", 172_800), ("1.5", 1.5), ("1W", 604_800)],
)
def test_durations_are_read(text: str, seconds: float):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("1 MiB", 2**20), ("1.5 KiB", 1536), ("2GB", 2 * 10**9), ("10_000", 10_000)]
)
def test_sizes_are_read(text: str, size: int):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "soon", "1 parsec", "1s 2", "- 1s", "1s,"])
def test_what_is_no_duration_is_refused(text: str):
    with pytest.raises(ValueError, match="a duration such as"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "1 Mx", "0.3", "-1"])
def test_what_is_no_size_is_refused(text: str):
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@given(st.integers(0, 10**12))
def test_formatted_durations_and_sizes_read_back(number: int):
    assert parse_duration(format_duration(number / 1000)) == pytest.approx(number / 1000)
    assert parse_size(format_size(number)) == number
