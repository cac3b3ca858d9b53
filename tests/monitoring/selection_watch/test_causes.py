"""The rule of precedence, line by line."""

from __future__ import annotations

from tsds_stream.monitoring.selection_watch.causes import causes_of


def causes(entered="", left="", arrived="", reconfigured=False, retargeted=False, **gone):
    return causes_of(
        list(entered), list(left), arrived=set(arrived), gone=gone, reconfigured=reconfigured, retargeted=retargeted
    )


def test_who_is_pushed_out_and_who_pushes_are_arrivals():
    assert causes("ab", "cd", arrived="a") == ({"a": "arrivals", "b": "arrivals"}, {"c": "arrivals", "d": "arrivals"})


def test_what_is_known_of_one_document_precedes_what_is_known_of_the_revision():
    entered, left = causes("a", "cde", "a", reconfigured=True, retargeted=True, c="retractions", d="expiry")
    assert left == {"c": "retractions", "d": "expiry", "e": "configuration"}
    assert entered == {"a": "configuration"}
    assert causes("a", "e", retargeted=True) == ({"a": "targets"}, {"e": "targets"})


def test_places_left_vacant_are_taken_by_those_that_waited():
    entered, _ = causes("zyxwv", "cde", arrived="v", c="expiry", d="retractions", e="retractions")
    assert entered == {
        "v": "arrivals",
        "w": "retractions",
        "x": "retractions",
        "y": "expiry",
        "z": "arrivals",
    }
