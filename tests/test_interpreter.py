"""What a run changes in the interpreter is as before when it is over."""

from __future__ import annotations

import gc
import sys

import pytest

from tsds_stream.engine.interpreter import set_for_streaming


def test_searches_for_cycles_are_rare_inside_and_as_before_outside():
    before = gc.get_threshold()
    with set_for_streaming():
        assert gc.get_threshold()[0] > 10 * before[0]
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_the_lock_changes_hands_sooner_inside():
    before = sys.getswitchinterval()
    with set_for_streaming():
        assert sys.getswitchinterval() == pytest.approx(0.001)
    assert sys.getswitchinterval() == pytest.approx(before)


def test_of_two_runs_that_overlap_the_last_one_restores():
    before = gc.get_threshold()
    first, second = set_for_streaming(), set_for_streaming()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold() != before
    second.__exit__(None, None, None)
    assert gc.get_threshold() == before
