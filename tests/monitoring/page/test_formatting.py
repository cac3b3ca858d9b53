"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.monitoring.page.numbers import reads_as
from tsds_stream.monitoring.page import formatting as form


@pytest.mark.parametrize(
    ("formed", "value", "words"),
    [
        (form.count, 1_234_567, "1,234,567"),
        (form.figure, 0.81237, "0.812"),
        (form.figure, 0.4, "0.4"),
        (form.figure, 1240.5, "1,240"),
        (form.figure, 0, "0"),
        (form.figure, -12.34, "-12.3"),
        (form.figure, 0.000012345, "1.23e-05"),
        (form.share, 0.47, "47%"),
        (form.share, 0.0472, "4.7%"),
        (form.share, 0.00472, "0.47%"),
        (form.share, 0.00000001, "<0.01%"),
        (form.share, 1, "100%"),
        (form.change, 0.0472, "+4.7%"),
        (form.change, -0.012, "−1.2%"),
        (form.change, 0.0, "0%"),
        (form.size, 1_700_000_000, "1.7 GB"),
        (form.seconds, 0.41, "410 ms"),
        (form.seconds, 1.224, "1.22 s"),
        (form.seconds, 840.0, "14 minutes"),
        (form.seconds, 0.0, "0 s"),
    ],
)
def test_numbers_are_short_and_right(formed: form.Formatter, value: float, words: str) -> None:
    assert formed(value) == words


@pytest.mark.parametrize("formed", [form.count, form.figure, form.share, form.change, form.size, form.seconds])
@pytest.mark.parametrize("value", [None, "12", True, math.nan, math.inf, [], {}])
def test_what_is_no_number_is_a_dash(formed: form.Formatter, value: object) -> None:
    assert formed(value) == form.UNKNOWN


@pytest.mark.parametrize("formed", [form.count, form.figure, form.share, form.size, form.seconds])
@given(value=st.floats(0, 1e12))
def test_no_digit_is_wrong(formed: form.Formatter, value: float) -> None:
    assert reads_as(formed(value), value) or (formed is form.share and value < 5e-5)


def test_ages_are_counted_from_the_given_time() -> None:
    now = 1_790_000_000_000
    assert form.age(now - 12_000, now) == "12 s ago"
    assert form.age(now - 300, now) == "just now"
    assert form.age(0, now) == form.age(None, now) == form.age(1e300, now) == "never"
    assert form.absolute(now) == "2026-09-21 14:13:20 UTC"
    assert form.machine_time(now + 250) == "2026-09-21T14:13:20.250Z"
    assert form.machine_time(0) is None
